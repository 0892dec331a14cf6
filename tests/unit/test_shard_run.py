"""What a machine keeps while it does shards for a scene that it does not see."""

from __future__ import annotations

from pathlib import Path

from maquette.agent.shard_run import lay_out, own_folder


def test_a_shard_has_a_folder_of_its_own_and_sweeps_those_of_killed_ones(tmp_path: Path) -> None:
    work = tmp_path / "shards" / "work"
    (work / "of-a-killed-one" / "scene").mkdir(parents=True)
    with own_folder(work) as first:
        (first / "file").touch()
        with own_folder(work) as second:
            assert {*work.iterdir()} == {first, second}, "who is at work keeps its own"
        assert [*work.iterdir()] == [first] and (first / "file").exists()
    assert not [*work.iterdir()]


def test_a_shards_scene_holds_its_inputs_alone_and_all_where_none_are_declared(
    tmp_path: Path,
) -> None:
    known = tmp_path / "known"
    for name in (".maquette/index", "images/1.jpg", "images/2.jpg", "database.db"):
        (known / name).parent.mkdir(parents=True, exist_ok=True)
        (known / name).write_text(name)
    some, whole = tmp_path / "some", tmp_path / "whole"
    lay_out(known, some, ["images/1.jpg", "database.db", "not/there"])
    lay_out(known, whole, None)

    def files(root: Path) -> set[str]:
        found = (path for path in root.rglob("*") if path.is_file())
        return {path.relative_to(root).as_posix() for path in found}

    assert files(some) == {"images/1.jpg", "database.db"}
    assert files(whole) == {"images/1.jpg", "images/2.jpg", "database.db"}
    assert (some / "images/1.jpg").samefile(known / "images/1.jpg")
    assert not (some / "database.db").samefile(known / "database.db")
