"""What dense stereo is to do, and who does which part."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from maquette.errors import BadInput
from maquette.recon import gpus
from maquette.recon.mvs import shards
from maquette.recon.mvs.neighbours import share_seen_by
from maquette.recon.mvs.plan import (
    PRESETS,
    TRAINING,
    VIEWS,
    Plan,
    long_side,
    read_plan,
    taken_views,
    write_plan,
)
from maquette.recon.mvs.view_records import ViewRecords
from maquette.recon.stages.dense.neighbours import size_remark
from maquette.recon.views.split import held_out_of
from maquette.scene.colmap_model import Tracks

PLAN = Plan(
    1200, (3, 3, 2), ("a.jpg", "b.jpg", "c.jpg"), ((1.0, 2.5), None, (0.5, 4.0)),
    [[(2, 31.5)], [], [(0, 31.5)]],
)  # fmt: skip


def test_a_plan_comes_back_and_a_damaged_one_says_how_to_make_it_again(tmp_path: Path) -> None:
    assert write_plan(tmp_path, PLAN)[1] == tmp_path / VIEWS
    assert read_plan(tmp_path) == PLAN
    assert PLAN.views == [0, 2] and PLAN.sources(0) == [2]
    content = json.loads((tmp_path / VIEWS).read_text())
    for key, value in (("spans", [[1.0, 2.5]]), ("names", 3), ("spans", [[2, 1], None, None])):
        (tmp_path / VIEWS).write_text(json.dumps({**content, key: value}))
        with pytest.raises(BadInput, match=r"views\.json") as caught:
            read_plan(tmp_path)
        assert "FORCE_STAGE=neighbours" in caught.value.hint


def test_maps_smaller_than_the_photos_are_said() -> None:
    assert size_remark(1200, 1200) == ""
    assert "DENSE_SIZE=1987 " in size_remark(1200, 1987)


def walked_past(views: int, seen_by: int) -> Tracks:
    """Photos of a walk, of which so many in a row see the same point."""
    image = np.concatenate([np.arange(seen_by) + first for first in range(views - seen_by + 1)])
    point = np.repeat(np.arange(views - seen_by + 1), seen_by)
    names = tuple(f"{number:03d}.jpg" for number in range(views))
    points = np.zeros((point.max() + 1, 3))
    return Tracks(names, points, np.zeros(len(points)), point, image)


def test_views_are_thinned_where_there_are_many_and_shared_out_in_groups() -> None:
    many = walked_past(80, seen_by=8)
    assert taken_views(walked_past(23, seen_by=8), PRESETS["preview"]) == list(range(23))
    assert taken_views(many, PRESETS["preview"]) == list(range(0, 80, 2))
    assert taken_views(many, PRESETS["auto"]) == list(range(80))
    for_training = taken_views(many, TRAINING)
    assert len(for_training) == 35 and not set(for_training) & set(held_out_of(80))
    assert taken_views(walked_past(10, seen_by=8), TRAINING) == list(range(10))
    assert len(taken_views(walked_past(30, seen_by=8), TRAINING)) == 13
    assert shards.split([0, 2, 4, 6, 8], 2) == [[0, 2], [4, 6], [8]]


def test_training_has_maps_of_all_photos_where_few_show_the_same() -> None:
    street = walked_past(80, seen_by=4)
    assert share_seen_by(3, range(80), street) == 1.0
    assert share_seen_by(3, range(0, 80, 2), street) == 0.0
    assert len(taken_views(street, TRAINING)) == 70
    assert len(taken_views(street, PRESETS["preview"])) == 40, "as it is told to"


@pytest.mark.parametrize(("suggested", "preview"), [(1200, 600), (478, 360), (320, 320)])
def test_a_preview_has_half_the_size_but_no_tiny_maps(suggested: int, preview: int) -> None:
    assert long_side(suggested, PRESETS["preview"]) == preview
    assert long_side(suggested, PRESETS["auto"]) == suggested


def test_a_view_stands_for_its_key_while_its_files_are_whole(tmp_path: Path) -> None:
    records, file = ViewRecords(tmp_path / "records", tmp_path), tmp_path / "a.bin"
    file.write_bytes(b"123")
    records.write("a.jpg", "key", [file], kept=0.5)
    keys, said = {0: "key", 1: "key of b"}, list[str]()

    def missing(numbers: list[int]) -> list[tuple[int, str]]:
        return list(records.missing(numbers, ["a.jpg", "b.jpg"], keys.__getitem__, said.append))

    assert records.key("a.jpg") == "key" and records.numbers("a.jpg") == {"kept": 0.5}
    assert missing([0, 1]) == [(1, "key of b")] and not said
    file.write_bytes(b"12")
    assert missing([0]) == [(0, "key")]
    assert said == ["`a.jpg`: a map of it is gone or damaged, and is made again alone"]
    keys[0] = "other"
    assert missing([0]) == [(0, "other")] and len(said) == 1, "another key is no damage"
    (tmp_path / "records" / "a.jpg.json").write_text("[]")
    assert missing([0]) == [(0, "other")] and records.key("a.jpg") == ""


def test_parts_take_the_gpus_in_turns_and_the_processor_where_none_may_be_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert [str(gpus.device_of(2, part)) for part in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert str(gpus.device_of(0)) == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert str(gpus.device_of(2)) == "cpu"
