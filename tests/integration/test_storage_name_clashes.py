"""A file and a folder of one name, which a bucket can hold and no file system can."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from maquette.errors import BadInput
from maquette.storage.conflicts import Conflict
from maquette.storage.object_store import ObjectStore
from s3_server import content_of, pull, push, write_scene

FOLDER = {"notes/1.txt": b"one", "notes/a/2.txt": b"two"}
REST = {"report.json": b"{}"}


def become(root: Path, files: dict[str, bytes]) -> None:
    place = root / "notes"
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    write_scene(root, files)


@pytest.mark.behind_proxy
@pytest.mark.parametrize(
    ("before", "after"),
    [({"notes": b"text"}, FOLDER), (FOLDER, {"notes": b"text"})],
    ids=["file to folder", "folder to file"],
)
def test_what_becomes_the_other_replaces_it_on_both_sides(
    scene: Path, tmp_path: Path, bucket: ObjectStore, before: dict, after: dict
) -> None:
    other = tmp_path / "other"
    write_scene(scene, {**before, **REST})
    push(scene, bucket)
    pull(other, bucket)
    become(scene, after)
    assert push(scene, bucket).removed == len(before)
    assert pull(other, bucket).removed == len(before)
    assert content_of(other) == content_of(scene) == {**after, **REST}
    pull(tmp_path / "new", bucket)
    assert content_of(tmp_path / "new") == content_of(scene)
    assert push(scene, bucket, relist=True).files == 0


def test_a_file_that_changed_here_stays_beside_a_folder_there(
    scene: Path, tmp_path: Path, bucket: ObjectStore
) -> None:
    other = tmp_path / "other"
    write_scene(scene, {"notes": b"text", **REST})
    push(scene, bucket)
    pull(other, bucket)
    become(scene, FOLDER)
    write_scene(scene, {"report.json": b"{2}"})
    push(scene, bucket)
    (other / "notes").write_bytes(b"edited")
    with pytest.raises(Conflict, match="a file and a folder have the same name") as caught:
        pull(other, bucket)
    assert str(other / "notes") in caught.value.what
    assert bucket.url("notes/1.txt") in caught.value.what
    assert content_of(other) == {"notes": b"edited", "report.json": b"{2}"}  # the rest has come
    pull(other, bucket, prefer="local")
    assert content_of(other)["notes"] == b"edited"
    pull(other, bucket, prefer="remote")
    assert content_of(other) == content_of(scene)


def test_a_push_leaves_what_somebody_else_put_there(
    scene: Path, tmp_path: Path, bucket: ObjectStore
) -> None:
    write_scene(tmp_path / "theirs", {"notes": b"theirs", **REST})
    push(tmp_path / "theirs", bucket)
    write_scene(scene, {**FOLDER, **REST})
    with pytest.raises(Conflict, match="the same name"):
        push(scene, bucket)
    assert "notes" in bucket.objects() and "notes/1.txt" not in bucket.objects()
    assert push(scene, bucket, prefer="local").removed == 1
    pull(tmp_path / "other", bucket)
    assert content_of(tmp_path / "other") == content_of(scene)


@pytest.mark.parametrize("blocker", ["file", "folder"])
def test_what_takes_no_part_is_named_where_it_is_in_the_way(
    scene: Path, tmp_path: Path, bucket: ObjectStore, blocker: str
) -> None:
    write_scene(scene, FOLDER if blocker == "file" else {"notes": b"text"})
    push(scene, bucket)
    other = tmp_path / "other"
    mine = {"notes": b"mine"} if blocker == "file" else {"notes/mine": b"mine"}
    ignored = b"/notes\n!/notes/*.txt\n" if blocker == "file" else b"mine\n"
    write_scene(other, {".maquetteignore": ignored, **mine})
    with pytest.raises(BadInput, match="where a f"):
        pull(other, bucket)
    assert content_of(other).items() >= mine.items()


def test_an_empty_folder_makes_way(scene: Path, tmp_path: Path, bucket: ObjectStore) -> None:
    write_scene(scene, {"notes": b"text"})
    push(scene, bucket)
    (tmp_path / "other/notes/deep").mkdir(parents=True)
    pull(tmp_path / "other", bucket)
    assert content_of(tmp_path / "other") == {"notes": b"text"}
