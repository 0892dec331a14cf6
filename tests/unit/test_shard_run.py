"""What a machine keeps while it does shards for a scene that it does not see."""

from __future__ import annotations

from pathlib import Path

from maquette.agent.shard_run import own_folder


def test_a_shard_has_a_folder_of_its_own_and_sweeps_those_of_killed_ones(tmp_path: Path) -> None:
    work = tmp_path / "shards" / "work"
    (work / "of-a-killed-one" / "scene").mkdir(parents=True)
    with own_folder(work) as first:
        (first / "file").touch()
        with own_folder(work) as second:
            assert {*work.iterdir()} == {first, second}, "who is at work keeps its own"
        assert [*work.iterdir()] == [first] and (first / "file").exists()
    assert not [*work.iterdir()]
