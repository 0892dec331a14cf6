"""Pure parts of the backend for OVHcloud: states, dates, volumes, prices, requests."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from job_making import script_job
from maquette.config.settings import Settings
from maquette.errors import ConfigError, UsageError
from maquette.jobs.document import new_document
from maquette.jobs.states import STATES, has_ended
from maquette.runners import tracking
from maquette.runners.ovh import (
    client,
    data,
    dates,
    prices,
    responses,
    spec,
    status_codes,
    tokens,
)
from maquette.runners.ovh.command_line import (
    PERMISSIONS,
    command_line,
    volume_from_text,
    volume_to_text,
)
from maquette.runners.ovh.runner import OvhRunner
from maquette.runners.ovh.writers import WritablePrefix, refuse_later

CODES = [
    "QUEUED", "INITIALIZING", "PENDING", "RUNNING", "INTERRUPTING", "FINALIZING", "DONE",
    "FAILED", "FAILED_WITH_MESSAGE", "ERROR", "EVICTED", "TIMEOUT", "SYNC_FAILED",
    "INTERRUPTED", "INTERRUPTED_BY_PLATFORM", "IMAGE_PULL", "IMAGE_PULL_BACKOFF",
    "IMAGE_INSPECT_ERROR", "INVALID_IMAGE_NAME", "REGISTRY_UNAVAILABLE",
    "CREATE_CONTAINER_ERROR", "CREATE_CONTAINER_CONFIG_ERROR",
]  # fmt: skip
SYNC_CODES = [
    "QUEUED", "RUNNING", "DONE", "FAILED", "ERROR", "INTERRUPTED", "RETRY_ERROR",
    "AUTHENTICATE_FAILED", "DATA_STORE_NOT_FOUND", "INVALID_CONTAINER",
    "PROGRESS_FAILED_FORBIDDEN", "PROGRESS_FAILED_INVALID_CREDENTIALS",
    "PROGRESS_FAILED_NOT_FOUND", "PROGRESS_FAILED_TRANSIENT_ERROR",
    "PROGRESS_FAILED_UNKNOWN_ERROR",
]  # fmt: skip

HANDLE = {"id": "x", "url": "http://127.0.0.1:1", "job_id": "j", "log": "l", "data": {}}
name = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=12)
word = st.sampled_from([*STATES, "TELEPORTING", "", None, 7])
date = st.sampled_from(
    ["2026-09-01T14:05:58Z", "2026-09-01T14:06:58.2Z", "2026-09-01T14:31:02.823082Z", None, "", 3]
)
junk = st.one_of(st.none(), st.integers(), st.text(max_size=3), st.lists(st.none(), max_size=2))
entry = st.one_of(st.fixed_dictionaries({}, optional={"state": word, "date": date}), junk)
status = st.fixed_dictionaries(
    {},
    optional={
        "state": word,
        "exitCode": st.one_of(st.integers(0, 255), junk),
        "duration": st.one_of(st.integers(-1, 9999), junk),
        "info": st.one_of(
            st.fixed_dictionaries(
                {}, optional={"code": st.one_of(st.sampled_from(CODES), junk), "message": junk}
            ),
            junk,
        ),
        "history": st.one_of(st.lists(entry, max_size=5), junk),
        "finalizedAt": date,
        "startedAt": date,
        "stoppedAt": date,
    },
)
answer = st.fixed_dictionaries(
    {}, optional={"id": junk, "spec": junk, "status": st.one_of(status, junk)}
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(answer, max_size=6))
def test_any_sequence_of_answers_ends_in_a_valid_document(sequence: list[Any]) -> None:
    document = new_document(script_job(Path("/nowhere"), "true"), "ovh", {}, 1)
    over: str | None = None
    for told in sequence:
        tracking.apply(document, responses.status_of(told, HANDLE))
        state = document["status"]
        assert over in (None, state["state"])  # an ended job stays as it ended
        assert state["history"] and state["history"][-1]["state"] == state["state"]
        assert all(dates.parse(entry["date"]) for entry in state["history"])
        if has_ended(state):
            over = state["state"]
            assert state["finalizedAt"] and isinstance(state["duration"], int)
            reason = document["maquette"]["reason"]
            assert over == "DONE" or (reason["what"] and reason["code"])
    json.dumps(document, allow_nan=False)


@pytest.mark.parametrize(
    "code", [f"JOB_{c}" for c in CODES] + [f"DATASYNC_{c}" for c in SYNC_CODES]
)
def test_every_code_has_a_sentence(code: str) -> None:
    what, _ = status_codes.explain(code)
    assert len(what.split()) >= 3 and code not in what


def test_a_code_from_the_future_is_kept_word_for_word() -> None:
    assert "JOB_TELEPORTED" in status_codes.explain("JOB_TELEPORTED")[0]
    assert status_codes.explain("JOB_TELEPORTED", "gone to Mars")[0] == "gone to Mars"


@pytest.mark.parametrize("state", STATES)
def test_timeout_is_over_only_once_it_says_so(state: str) -> None:
    told = {"status": {"state": state, "finalizedAt": "2026-09-01T14:05:58.2Z"}}
    ended = state == "TIMEOUT" or STATES[state]
    assert (responses.status_of(told, HANDLE).ended_at is not None) == ended
    assert not has_ended({"state": "TIMEOUT", "finalizedAt": None})


@given(st.integers(0, 9), st.sampled_from(["Z", "+00:00", "+0200", ""]))
def test_dates_of_any_precision(digits: int, zone: str) -> None:
    fraction = "." + "123456789"[:digits] if digits else ""
    parsed = dates.parse(f"2026-09-01T14:05:58{fraction}{zone}")
    assert parsed is not None and parsed.tzinfo is not None and parsed.minute == 5


def test_later_dates_sort_later() -> None:
    told = ["2026-09-01T14:05:58Z", "2026-09-01T14:05:58.2Z", "2026-09-01T14:05:58.21Z"]
    assert sorted(map(str, map(dates.normal, told))) == [dates.normal(text) for text in told]
    assert dates.normal("tomorrow") is None


@pytest.mark.parametrize("newest_first", [False, True])
def test_dates_that_lost_their_digits_keep_the_order_told(newest_first: bool) -> None:
    told = [("PENDING", "01.7Z"), ("RUNNING", "02.78Z"), ("DONE", "02Z")]
    history = [{"state": name, "date": f"2026-11-21T12:01:{end}"} for name, end in told]
    job = {
        "status": {
            "state": "DONE",
            "history": history[::-1] if newest_first else history,
            "startedAt": "2026-11-21T12:01:02.78Z",
            "finalizedAt": "2026-11-21T12:01:02Z",
        }
    }
    found = responses.status_of(job, {})
    assert [entry["state"] for entry in found.history] == [name for name, _ in told]
    assert found.ended_at == "2026-11-21T12:01:02.780Z"
    assert found.cost and found.cost["minutes"] == 1


@given(
    st.one_of(
        st.builds(
            lambda alias, container, prefix: {
                "dataStore": {"alias": alias, "container": container}
                | ({"prefix": prefix} if prefix else {})
            },
            name, name, st.one_of(st.just(""), name, st.builds("{}/{}".format, name, name)),
        ),
        st.just({"publicGit": {"url": "https://github.com:443/a/b.git"}}),
        st.just({"publicSwift": {"url": "https://storage.example/v1/container"}}),
        st.just({"standalone": {}}),
    ),
    st.sampled_from(["/scenes/x", "/workspace/a b", "/x"]),
    st.sampled_from(PERMISSIONS),
    st.booleans(),
)  # fmt: skip
def test_volume_strings_come_back(
    source: dict[str, Any], mount: str, permission: str, cache: bool
) -> None:
    volume = {**source, "mountPath": mount, "permission": permission, "cache": cache}
    assert volume_from_text(volume_to_text(volume)) == volume


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("bucket@DS/scenes:/x", {"alias": "DS", "container": "bucket", "prefix": "scenes"}),
        ("b@DS/scenes/:/x:rw:cache", {"alias": "DS", "container": "b", "prefix": "scenes"}),
        ("bucket@DS:/x:RWD", {"alias": "DS", "container": "bucket"}),
    ],
)  # fmt: skip
def test_volume_strings_of_the_field(text: str, source: dict[str, str]) -> None:
    assert volume_from_text(text)["dataStore"] == source


@pytest.mark.parametrize("text", ["", "bucket:/x", "bucket@:/x", "@DS:/x", "bucket@DS:x", ":/x"])
def test_what_is_no_volume(text: str) -> None:
    with pytest.raises(ConfigError):
        volume_from_text(text)


def test_the_request_is_what_the_reference_describes(tmp_path: Path) -> None:
    settings = Settings(
        backend="ovh", ovh_region="BHS", max_hours=2,
        base_dir=tmp_path, bucket_name="scans", datastore="S3GRA",
    )  # fmt: skip
    job = script_job(tmp_path, "true", step="process", settings=settings)
    job.spec["resources"] = {"flavor": "ai1-1-gpu", "gpu": 2}
    request = OvhRunner().plan(job)
    assert request["url"] == "https://bhs.ai.cloud.ovh.net"
    assert request["body"] == {
        "image": "debian:bookworm-slim",
        "name": "thing",
        "command": ["bash", "-c", "true", "step", "/scenes/thing"],
        "resources": {"flavor": "ai1-1-gpu", "gpu": 2},
        "envVars": [],
        "volumes": [
            {
                "dataStore": {"alias": "S3GRA", "container": "scans", "prefix": "thing"},
                "mountPath": "/scenes/thing",
                "permission": "RW",
                "cache": False,
            }
        ],
        "labels": spec.labels_of(job),
        "timeout": 7200,
    }
    assert request["ovhai"] == command_line(request["body"])
    assert "--volume scans@S3GRA/thing:/scenes/thing:rw" in request["ovhai"]
    assert "--gpu 2" in request["ovhai"] and "--timeout 7200s" in request["ovhai"]


@pytest.mark.parametrize("chosen", [{}, {"datastore": "S3GRA"}])
def test_a_request_remembers_where_the_data_lies(tmp_path: Path, chosen: dict[str, str]) -> None:
    """In words that documents of earlier versions hold too."""
    asked = Settings(model="thing", base_dir=tmp_path, bucket_name="scans", **chosen)
    place = data.place_of(asked.data, asked.scene_dir)
    assert place == {
        "scene": str(asked.scene_dir), "base_dir": str(tmp_path.resolve()), "model": "thing",
        "bucket_name": "scans", **chosen,
    }  # fmt: skip
    assert data.location_of(place) == asked.data
    assert asked.data.datastore == chosen.get("datastore", "NEURALANGELO")


@pytest.mark.parametrize(
    ("hours", "cost", "seconds"),
    [(0, 0, None), (1, 0, 3600), (0, 1.93, 59 * 60), (0.5, 1.93, 1800)],
)
def test_caps_become_the_platform_s_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: float, cost: float, seconds: int | None
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    settings = Settings(backend="ovh", base_dir=tmp_path, max_hours=hours, max_cost=cost)
    job = script_job(tmp_path, "true", settings=settings)
    job.spec["resources"] = {"flavor": "ai1-1-gpu", "gpu": 1}
    assert spec.body_of(job).get("timeout") in (seconds, (seconds or 60) - 60)


def test_a_cap_in_money_needs_a_price(tmp_path: Path) -> None:
    settings = Settings(backend="ovh", base_dir=tmp_path, max_cost=1)
    job = script_job(tmp_path, "true", settings=settings)
    job.spec["resources"] = {"flavor": "h200-4-gpu", "gpu": 1}
    with pytest.raises(ConfigError, match="price of h200-4-gpu"):
        spec.body_of(job)


def test_prices_of_the_catalogue(tmp_path: Path) -> None:
    addon = {
        "planCode": "ai-training.l4-1-gpu.minute.consumption",
        "pricings": [{"price": 1250000}],
    }
    odd: list[Any] = [None, {}, {"planCode": 3}, {"planCode": addon["planCode"], "pricings": []}]
    assert prices.read_catalogue({"addons": [*odd, addon]}) == {"l4-1-gpu": 0.0125}
    file = tmp_path / "prices.json"
    assert prices.known(file)["ai1-1-gpu"].eur_per_minute == pytest.approx(1.93 / 60, abs=1e-6)
    file.write_text('{"dated": "2026-11-01", "prices": {"ai1-1-gpu": 0.04}}')
    assert prices.known(file)["ai1-1-gpu"].price_from == "catalogue of 2026-11-01"
    file.write_text("{half")
    assert "table of" in prices.known(file)["ai1-1-gpu"].price_from


def test_cost_counts_started_minutes_from_the_image_to_the_end() -> None:
    history = [
        {"state": "QUEUED", "date": "2026-09-01T14:00:00Z"},
        {"state": "PENDING", "date": "2026-09-01T14:10:00Z"},
        {"state": "RUNNING", "date": "2026-09-01T14:12:00Z"},
        {"state": "FINALIZING", "date": "2026-09-01T14:20:00.5Z"},
        {"state": "DONE", "date": "2026-09-01T15:00:00Z"},
    ]
    resources = {"flavor": "ai1-1-cpu", "cpu": 4}
    job = {"spec": {"resources": resources}, "status": {"state": "DONE", "history": history}}
    cost = responses.cost_of(job, datetime.now(UTC))
    assert cost and cost["minutes"] == 11 and cost["at_most"] == pytest.approx(11 * 4 * 0.0005)


def test_prefixes_overlap() -> None:
    assert WritablePrefix("a", "b", "x").overlaps(WritablePrefix("a", "b", "x"))
    assert WritablePrefix("a", "b", "").overlaps(WritablePrefix("a", "b", "x"))
    assert WritablePrefix("a", "b", "x/y").overlaps(WritablePrefix("a", "b", "x"))
    assert not WritablePrefix("a", "b", "x").overlaps(WritablePrefix("a", "b", "xy"))
    assert not WritablePrefix("a", "b", "x").overlaps(WritablePrefix("a", "c", "x"))


def _posted(job_id: str, created: str | None) -> dict[str, Any]:
    store = {"alias": "a", "container": "b", "prefix": "x"}
    volumes = [{"dataStore": store, "mountPath": "/x", "permission": "RW"}]
    return {"id": job_id, "createdAt": created, "spec": {"volumes": volumes}}


def _gives_way(ours: str | None, theirs: str | None, *, listed: bool = True) -> bool:
    live = [_posted("theirs", theirs), *([_posted("ours", ours)] if listed else [])]
    try:
        refuse_later(live, live[0]["spec"], "ours")
    except UsageError:
        return True
    return False


def test_of_two_that_were_posted_at_once_only_the_surely_earlier_goes_on() -> None:
    early, late, coarse = (f"2026-09-01T14:05:58{part}Z" for part in (".1", ".2981", ""))
    assert not _gives_way(early, late) and _gives_way(late, early)
    assert _gives_way(coarse, late) and _gives_way(late, coarse), "the date is cut: nobody knows"
    assert not _gives_way(coarse, "2026-09-01T14:05:59Z")
    assert _gives_way(early, early) and _gives_way(early, None) and _gives_way(None, late)
    assert _gives_way(early, late, listed=False), "ours may be later by any time"


@given(st.lists(st.integers(0, 3_000_000), min_size=2, max_size=2), st.data())
def test_never_do_both_go_on(microseconds: list[int], chance: st.DataObject) -> None:
    """Whatever digits the service cuts off, alike for both who ask."""
    dates_told = []
    for count in microseconds:
        second, fraction = divmod(count, 1_000_000)
        digits = f"{fraction:06d}"[: chance.draw(st.integers(0, 6))]
        dates_told.append(f"2026-09-01T14:05:0{second}{'.' if digits else ''}{digits}Z")
    one, other = dates_told
    assert _gives_way(one, other) or _gives_way(other, one)
    # The later one asks last, when the earlier may have asked alone and gone on.
    first, last = sorted(zip(microseconds, dates_told, strict=True))
    assert first[0] == last[0] or _gives_way(last[1], first[1])


def test_where_the_token_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(tokens.VARIABLE, raising=False)
    from maquette.errors import CredentialsError

    with pytest.raises(CredentialsError, match=tokens.VARIABLE):
        tokens.find("https://gra.ai.cloud.ovh.net", tmp_path)
    (tmp_path / ".env").write_text(f"{tokens.VARIABLE}=from-file\n")
    assert tokens.find("https://gra.ai.cloud.ovh.net", tmp_path) == ("from-file", ".env")
    monkeypatch.setenv(tokens.VARIABLE, "from-env")
    assert tokens.find("https://gra.ai.cloud.ovh.net", tmp_path) == ("from-env", "environment")


def test_a_token_never_travels_unprotected() -> None:
    with pytest.raises(ConfigError, match="unprotected"):
        client.Client("http://gra.ai.cloud.ovh.net", "secret")
    for address in ("gra.ai.cloud.ovh.net", "ftp://x", "https://user:pass@host"):
        with pytest.raises(ConfigError):
            client.check_address(address)
