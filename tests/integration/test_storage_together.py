"""A large file is pulled by requests for several parts each; what goes wrong costs one of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from fault_proxy import Fault, proxy_to
from maquette.errors import JobFailed
from maquette.storage import object_reader
from maquette.storage.etags import PART_BYTES
from maquette.storage.object_store import ObjectStore
from s3_server import content_of, place_in, pull, push, write_scene
from storage_scenes import BIG, large

SIZE = len(large(50)[BIG])


def asked_for(first: int, count: int) -> str:
    """The range header for so many parts, the first counted from 0."""
    end = min((first + count) * PART_BYTES, SIZE)
    return f"bytes={first * PART_BYTES}-{end - 1}"


BOTH_HALVES = [asked_for(0, 2), asked_for(2, 2)]


@pytest.fixture
def pushed(scene: Path, bucket: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """A bucket with a file of four parts, for which two requests are enough."""
    monkeypatch.setattr(object_reader, "_FEWEST_REQUESTS", 2)
    write_scene(scene, large(50))
    push(scene, bucket)
    return bucket


@pytest.mark.parametrize(
    ("fault", "again"),
    [
        (None, []),
        (Fault(answer_bytes=PART_BYTES + 5), [asked_for(1, 1)]),
        (Fault(answer_bytes=5), [asked_for(0, 1), asked_for(1, 1)]),
        (Fault(flip=True), [asked_for(0, 1), asked_for(1, 1)]),
        (Fault(503, "SlowDown"), [asked_for(0, 1), asked_for(1, 1)]),
    ],
    ids=["all well", "cut in the second", "cut in the first", "damaged", "refused"],
)
def test_only_parts_that_did_not_come_are_asked_for_again(
    pushed: ObjectStore, tmp_path: Path, fault: Fault | None, again: list[str]
) -> None:
    asked: list[str] = []

    def gate(headers: Mapping[str, str]) -> Fault | None:
        asked.append(headers.get("range", ""))
        return fault if asked[-1] == BOTH_HALVES[0] else None

    with proxy_to(pushed.location.endpoint, gate=gate) as proxy:
        outcome = pull(tmp_path / "other", place_in(proxy.endpoint, pushed.prefix))
    assert sorted(filter(None, asked)) == sorted(BOTH_HALVES + again)
    assert content_of(tmp_path / "other") == large(50)
    assert outcome.bytes == SIZE


def test_what_came_before_the_store_went_away_is_kept(pushed: ObjectStore, tmp_path: Path) -> None:
    def gate(headers: Mapping[str, str]) -> Fault | None:
        asked = headers.get("range", "")
        if asked == BOTH_HALVES[0]:
            return Fault(answer_bytes=PART_BYTES + 5)
        return Fault(500, "InternalError") if asked and asked != BOTH_HALVES[1] else None

    other = tmp_path / "other"
    with (
        proxy_to(pushed.location.endpoint, gate=gate) as proxy,
        pytest.raises(JobFailed, match="InternalError"),
    ):
        pull(other, place_in(proxy.endpoint, pushed.prefix))
    ranges: list[str] = []

    def note(headers: Mapping[str, str]) -> None:
        ranges.append(headers.get("range", ""))

    with proxy_to(pushed.location.endpoint, gate=note) as proxy:
        pull(other, place_in(proxy.endpoint, pushed.prefix))
    assert list(filter(None, ranges)) == [asked_for(1, 1)]
    assert content_of(other) == large(50)
