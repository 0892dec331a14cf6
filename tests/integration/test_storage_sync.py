"""Push and pull against a real server: what moves, what stays, what is said."""

from __future__ import annotations

import os
import random
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest

from fault_proxy import proxy_to
from maquette.errors import BadInput, JobFailed, NotFound, UsageError
from maquette.pipelines.pipeline import COMMON
from maquette.scene import stage_records
from maquette.scene.checkpoints import POINTER
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord
from maquette.storage.conflicts import Conflict
from maquette.storage.etags import PART_BYTES
from maquette.storage.manifest import MANIFEST, Snapshot, publish
from maquette.storage.object_store import ObjectStore, RemoteObject
from maquette.storage.syncing import SyncOptions
from s3_server import (
    content_of,
    foreign_client,
    place_in,
    pull,
    push,
    put_foreign,
    syncing,
    write_scene,
)

pytestmark = pytest.mark.other_server("soak")
RUN = "runs/neuralangelo/experiments"
CHECKPOINT = f"{RUN}/epoch_00001_iteration_000000010_checkpoint.pt"
SMALL = {"images/1.jpg": b"one", "images/2.jpg": b"two", "report.json": b"{}"}
NAMES = (
    "with space.jpg", "plus+and%percent.jpg", "quotes'\".jpg", "a&b=c;d,e?f#g.jpg", "tab\there",
    unicodedata.normalize("NFC", "Müßig/é.jpg"), unicodedata.normalize("NFD", "Müßig/é.jpg"),
    "写真/🦉.jpg", "%2e%2e/not-up", ".hidden", "back\\slash", "empty",
)  # fmt: skip


@pytest.fixture
def other(scene: Path, tmp_path: Path, bucket: ObjectStore) -> Path:
    """A second copy of the scene, pulled from the bucket: both sides agree."""
    copy = tmp_path / "other"
    write_scene(scene, SMALL)
    push(scene, bucket)
    pull(copy, bucket)
    return copy


@pytest.mark.behind_proxy
@pytest.mark.other_server("docker")
def test_a_scene_comes_back_as_it_was_and_a_second_time_nothing_moves(
    scene: Path, tmp_path: Path, bucket: ObjectStore
) -> None:
    large = random.Random(0).randbytes(2 * PART_BYTES + 12345)
    write_scene(scene, {**SMALL, CHECKPOINT: large, f"{RUN}/{POINTER}": b"x\n"})
    assert push(scene, bucket).files == 5
    assert push(scene, bucket).files == 0
    other = tmp_path / "other" / "thing"
    assert pull(other, bucket).files == 5
    assert content_of(other) == content_of(scene)
    assert pull(other, bucket).files == 0
    assert push(other, bucket, relist=True).files == 0


@pytest.mark.behind_proxy
@pytest.mark.other_server("docker")
def test_every_name_survives(scene: Path, tmp_path: Path, bucket: ObjectStore) -> None:
    write_scene(scene, {name: name.encode() for name in NAMES if name != "empty"})
    (scene / "empty").touch()
    assert push(scene, bucket).files == len(NAMES)
    for relist in (False, True):
        other = tmp_path / f"other{relist}"
        pull(other, bucket, relist=relist)
        assert content_of(other) == content_of(scene)


def test_only_what_changed_moves(scene: Path, bucket: ObjectStore) -> None:
    write_scene(scene, SMALL)
    push(scene, bucket)
    write_scene(scene, {"images/1.jpg": b"new", "images/3.jpg": b"three"})
    (scene / "images/2.jpg").touch()
    outcome = push(scene, bucket)
    assert (outcome.files, outcome.bytes) == (2, 8)


def test_newer_files_are_never_replaced_by_older_ones(
    scene: Path, other: Path, bucket: ObjectStore
) -> None:
    write_scene(other, {"report.json": b"newer"})
    push(other, bucket)
    outcome = push(scene, bucket)
    assert outcome.files == 0
    assert [item.path for item in outcome.plan.newer_elsewhere] == ["report.json"]
    write_scene(scene, {"images/1.jpg": b"mine"})
    assert pull(scene, bucket).files == 1
    assert content_of(scene)["report.json"] == b"newer"
    assert content_of(scene)["images/1.jpg"] == b"mine"


@pytest.mark.parametrize("move", [push, pull])
def test_a_conflict_keeps_both_names_both_and_moves_the_rest(
    scene: Path, other: Path, bucket: ObjectStore, move: object
) -> None:
    write_scene(other, {"report.json": b"theirs", "images/theirs.jpg": b"t"})
    push(other, bucket)
    write_scene(scene, {"report.json": b"mine!", "images/mine.jpg": b"m"})
    with pytest.raises(Conflict) as caught:
        move(scene, bucket)
    assert caught.value.exit_code == 14 and "PREFER=" in caught.value.hint
    assert "report.json" in caught.value.detail and bucket.url("report.json") in caught.value.detail
    assert content_of(scene)["report.json"] == b"mine!"
    assert bucket.get_if_changed("report.json", "").body == b"theirs"
    moved = "images/theirs.jpg" in content_of(scene), bucket.head("images/mine.jpg") is not None
    assert moved == (move is pull, move is push)


@pytest.mark.other_server("docker")
@pytest.mark.parametrize(
    ("move", "prefer", "here", "there"),
    [
        (push, "local", b"mine!", b"mine!"),
        (push, "remote", b"mine!", b"theirs"),
        (pull, "remote", b"theirs", b"theirs"),
        (pull, "local", b"mine!", b"theirs"),
    ],
)
def test_prefer_decides_a_conflict(
    scene: Path,
    tmp_path: Path,
    bucket: ObjectStore,
    move: object,
    prefer: str,
    here: bytes,
    there: bytes,
) -> None:
    write_scene(tmp_path / "other", {"report.json": b"theirs"})
    push(tmp_path / "other", bucket)
    write_scene(scene, {"report.json": b"mine!"})
    move(scene, bucket, prefer=prefer)
    assert content_of(scene)["report.json"] == here
    assert bucket.get_if_changed("report.json", "").body == there


@pytest.mark.behind_proxy
@pytest.mark.other_server("docker")
@pytest.mark.parametrize("direction", ["push", "pull"])
def test_an_exact_copy_replaces_what_changed_on_the_other_side_alone(
    scene: Path, other: Path, bucket: ObjectStore, direction: str
) -> None:
    write_scene(other, {"images/2.jpg": b"changed"})
    if direction == "push":
        push(other, bucket)
        assert push(scene, bucket).plan.newer_elsewhere
        push(scene, bucket, exact=True)
        pull(other, bucket)
    else:
        assert pull(other, bucket).plan.newer_elsewhere
        pull(other, bucket, exact=True)
    assert content_of(other) == content_of(scene) == SMALL


def test_a_push_without_the_manifest_writes_files_alone(
    scene: Path, tmp_path: Path, bucket: ObjectStore
) -> None:
    write_scene(scene, SMALL)
    push(scene, bucket)
    before = bucket.get_if_changed(".maquette/manifest.json", "").body
    part = tmp_path / "part"
    write_scene(part, {"dense/new.bin": b"new", "images/2.jpg": b"anew"})
    push(part, bucket, exact=True, relist=True, publishes=False)
    assert bucket.get_if_changed(".maquette/manifest.json", "").body == before
    pull(scene, bucket)
    assert content_of(part).items() <= content_of(scene).items()


def test_only_delete_removes_and_only_what_both_sides_had(
    scene: Path, tmp_path: Path, bucket: ObjectStore
) -> None:
    other = tmp_path / "other"
    write_scene(scene, SMALL)
    push(scene, bucket)
    write_scene(other, {"images/foreign.jpg": b"f"})
    push(other, bucket)
    pull(other, bucket)
    (scene / "images/1.jpg").unlink()
    kept = push(scene, bucket)
    assert [item.path for item in kept.plan.removable] == ["images/1.jpg"]
    assert bucket.head("images/1.jpg") is not None
    assert push(scene, bucket, delete=True).removed == 1
    assert bucket.head("images/1.jpg") is None and bucket.head("images/foreign.jpg") is not None
    pull(other, bucket)
    assert (other / "images/1.jpg").exists()
    assert pull(other, bucket, delete=True).removed == 1
    assert set(content_of(other)) == {"images/2.jpg", "images/foreign.jpg", "report.json"}


def test_a_pruned_scene_is_whole_wherever_it_is_pulled(
    scene: Path, other: Path, bucket: ObjectStore, tmp_path: Path
) -> None:
    files = {name: len(content) for name, content in SMALL.items()}
    record = StageRecord("frames", "prepare", "key", {}, {}, files, "", 1.0)
    stage_records.write(Scene(scene), COMMON, replace(record, pruned=["images/1.jpg"]))
    (scene / "images/1.jpg").unlink()
    push(scene, bucket)
    pull(other, bucket)
    push(scene, bucket, delete=True)
    pull(tmp_path / "third", bucket)
    for root in (scene, other, tmp_path / "third"):
        found = stage_records.read(Scene(root), "frames")
        assert found and stage_records.outputs_stand(Scene(root), found)
        lacking = stage_records.lacking_output(Scene(root), found)
        assert lacking == ("" if root == other else "images/1.jpg")


def test_a_file_that_changed_is_not_removed(scene: Path, other: Path, bucket: ObjectStore) -> None:
    (scene / "images/1.jpg").unlink()
    push(scene, bucket, delete=True)
    write_scene(other, {"images/1.jpg": b"worked on"})
    assert pull(other, bucket, delete=True).removed == 0
    assert content_of(other)["images/1.jpg"] == b"worked on"


def test_removals_are_shown_before_and_can_be_refused(scene: Path, bucket: ObjectStore) -> None:
    write_scene(scene, SMALL)
    push(scene, bucket)
    (scene / "images/1.jpg").unlink()

    def refuse(plan: object) -> None:
        raise UsageError(str([item.path for item in plan.removing()]))

    with pytest.raises(UsageError, match=r"images/1\.jpg"):
        syncing(scene, bucket).run(SyncOptions("push", delete=True), lambda *_: None, refuse)
    assert bucket.head("images/1.jpg") is not None


def test_a_dry_run_changes_nothing_on_either_side(
    scene: Path, tmp_path: Path, bucket: ObjectStore
) -> None:
    write_scene(scene, SMALL)
    comparison = syncing(scene, bucket).compare(SyncOptions("push"))
    assert comparison.plan.to_json()["bytes"] == 8
    assert bucket.objects() == {} and not (scene / ".maquette").exists()
    push(scene, bucket)
    other = tmp_path / "other"
    assert len(syncing(other, bucket).compare(SyncOptions("pull")).plan.moving()) == 3
    assert not other.exists()


def test_selection(scene: Path, tmp_path: Path, bucket: ObjectStore) -> None:
    files = {
        "results/a/thing.ply": b"m", "results/a/thing_views.png": b"p", "report.json": b"{}",
        "report.html": b"<p>", CHECKPOINT: b"c", f"{RUN}/{POINTER}": b"x", "images/1.jpg": b"1",
        "images/.tmp-half.jpg": b"half", "notes/secret.txt": b"s", "notes/keep.txt": b"k",
    }  # fmt: skip
    write_scene(scene, files)
    (scene / ".maquetteignore").write_text("notes/*\n!notes/keep.txt\n")
    (scene / ".ovhaiignore").write_text("/images/2.jpg\n")
    write_scene(scene, {"images/2.jpg": b"2"})
    push(scene, bucket)
    there = set(bucket.objects()) - {MANIFEST}
    hidden = {"notes/secret.txt", "images/.tmp-half.jpg"}
    assert there == (set(files) | {".maquetteignore", ".ovhaiignore"}) - hidden
    results = {"results/a/thing.ply", "results/a/thing_views.png", "report.json", "report.html"}
    for only, wanted in (
        ("results", results),
        ("checkpoints", {CHECKPOINT, f"{RUN}/{POINTER}"}),
        ("*.ply", {"results/a/thing.ply"}),
    ):
        other = tmp_path / f"other-{only.strip('*.')}"
        pull(other, bucket, only=only)
        assert set(content_of(other)) == wanted


def test_a_push_of_a_part_leaves_the_rest_known(
    scene: Path, tmp_path: Path, bucket: ObjectStore
) -> None:
    write_scene(scene, SMALL)
    push(scene, bucket)
    write_scene(scene, {"results/neuralangelo/thing.ply": b"mesh", "images/9.jpg": b"not yet"})
    push(scene, bucket, only="results")
    pull(tmp_path / "other", bucket)
    assert set(content_of(tmp_path / "other")) == {*SMALL, "results/neuralangelo/thing.ply"}


@pytest.mark.behind_proxy
def test_a_push_without_changes_is_one_request_and_a_pull_two_at_once(
    scene: Path, bucket: ObjectStore
) -> None:
    write_scene(scene, SMALL)
    push(scene, bucket)
    with proxy_to(bucket.location.endpoint) as proxy:
        near = place_in(proxy.endpoint, bucket.prefix)
        assert push(scene, near).files == 0
        assert [line.split()[0] for line in proxy.seen] == ["GET"]
        assert pull(scene, near).files == 0
        assert [line.split()[0] for line in proxy.seen] == ["GET"] * 3
        alone = place_in(proxy.endpoint, bucket.prefix, is_ours_alone=True)
        assert pull(scene, alone).files == 0
        assert len(proxy.seen) == 4


@pytest.mark.other_server("docker")
def test_what_other_programs_write_is_not_overwritten_by_a_push(
    scene: Path, bucket: ObjectStore
) -> None:
    """The manifest does not tell of it; the look before each overwrite does."""
    write_scene(scene, SMALL)
    push(scene, bucket)
    put_foreign(bucket, "report.json", b"foreign")
    write_scene(scene, {"report.json": b"mine"})
    with pytest.raises(Conflict):
        push(scene, bucket)
    assert bucket.get_if_changed("report.json", "").body == b"foreign"


def test_a_pull_brings_what_other_programs_wrote(
    scene: Path, other: Path, bucket: ObjectStore
) -> None:
    put_foreign(bucket, "report.json", b"foreign")
    put_foreign(bucket, "new.txt", b"new")
    assert pull(other, bucket).files == 2
    assert content_of(other) == {**SMALL, "report.json": b"foreign", "new.txt": b"new"}
    write_scene(scene, {"report.json": b"mine"})
    with pytest.raises(Conflict):
        pull(scene, bucket)
    assert content_of(scene)["new.txt"] == b"new"


def test_a_push_of_many_files_lists_instead_of_looking_at_each(
    scene: Path, bucket: ObjectStore
) -> None:
    write_scene(scene, SMALL)
    push(scene, bucket)
    write_scene(scene, {f"images/more{number}.jpg": b"more" for number in range(60)})
    put_foreign(bucket, "images/more7.jpg", b"foreign")
    with proxy_to(bucket.location.endpoint) as proxy, pytest.raises(Conflict):
        push(scene, place_in(proxy.endpoint, bucket.prefix))
    assert not any(line.startswith("HEAD") and "more8" in line for line in proxy.seen)
    assert bucket.get_if_changed("images/more7.jpg", "").body == b"foreign"


@pytest.mark.other_server("docker")
def test_a_foreign_large_object_is_recognised_by_its_content(
    scene: Path, tmp_path: Path, bucket: ObjectStore
) -> None:
    from boto3.s3.transfer import TransferConfig

    content = random.Random(1).randbytes(20 << 20)
    write_scene(scene, {"images/big.bin": content})
    bucket.ensure()
    foreign_client(bucket).upload_file(
        str(scene / "images/big.bin"), bucket.name, bucket.key("images/big.bin"),
        Config=TransferConfig(multipart_chunksize=5 << 20, multipart_threshold=5 << 20),
    )  # fmt: skip
    assert push(scene, bucket).files == 0
    pull(tmp_path / "other", bucket, relist=True)
    assert content_of(tmp_path / "other") == content_of(scene)


def test_pointers_follow_the_files_they_name(scene: Path, bucket: ObjectStore) -> None:
    names = [
        f"{RUN}/{POINTER}",
        CHECKPOINT,
        "stages/neuralangelo/mesh.json",
        "results/neuralangelo/thing.ply",
    ]
    write_scene(scene, dict.fromkeys(names, b"x"))
    with proxy_to(bucket.location.endpoint) as proxy:
        push(scene, place_in(proxy.endpoint, bucket.prefix))
        written = [line.split("/")[-1] for line in proxy.seen if line.startswith("PUT")]
    assert written.index(POINTER) > written.index(Path(CHECKPOINT).name)
    assert written.index(POINTER) > written.index("mesh.json") > written.index("thing.ply")
    assert written[-1] == "manifest.json"


def test_symbolic_links_do_not_move_and_are_told(
    scene: Path, tmp_path: Path, bucket: ObjectStore
) -> None:
    write_scene(scene, SMALL)
    write_scene(tmp_path / "elsewhere", {"private.txt": b"private"})
    (scene / "images/link.txt").symlink_to(tmp_path / "elsewhere/private.txt")
    (scene / "linked").symlink_to(tmp_path / "elsewhere")
    outcome = push(scene, bucket)
    assert outcome.left_out == ("images/link.txt", "linked")
    assert set(bucket.objects()) == {*SMALL, MANIFEST}


@pytest.mark.parametrize("is_ours_alone", [False, True], ids=["listed", "by manifest"])
@pytest.mark.parametrize(
    "key", ["../escaped.txt", "a/../../escaped.txt", "/absolute.txt", "a//b.txt", "./a", "a/.."]
)
def test_keys_that_leave_the_scene_are_refused_before_anything_moves(
    scene: Path, tmp_path: Path, bucket: ObjectStore, key: str, is_ours_alone: bool
) -> None:
    """Manifest and listing are both untrusted; the test's server itself takes no such key."""
    write_scene(scene, SMALL)
    push(scene, bucket)
    other = tmp_path / "victim" / "scene"
    known = {path: item for path, item in bucket.objects().items() if path != MANIFEST}
    hostile = {key: RemoteObject(3, "0" * 32, "0" * 32, 1)}
    if is_ours_alone:
        snapshot = Snapshot(known, bucket.head(MANIFEST).etag, False)
        publish(bucket, tmp_path / "copy", snapshot, hostile)
        bucket = place_in(bucket.location.endpoint, bucket.prefix, is_ours_alone=True)
    else:
        bucket.objects = lambda guesses: {**known, **hostile}
    with pytest.raises(BadInput, match="would leave the scene folder"):
        pull(other, bucket)
    assert content_of(other) == {}
    assert {path.name for path in (tmp_path / "victim").iterdir()} <= {"scene"}


def test_a_pull_never_writes_through_a_symbolic_link(
    scene: Path, tmp_path: Path, bucket: ObjectStore
) -> None:
    write_scene(scene, SMALL)
    push(scene, bucket)
    other, outside = tmp_path / "other", tmp_path / "outside"
    outside.mkdir()
    other.mkdir()
    (other / "images").symlink_to(outside)
    with pytest.raises(BadInput, match="symbolic link"):
        pull(other, bucket)
    assert list(outside.iterdir()) == []


def test_nothing_to_push_or_pull_is_said(scene: Path, bucket: ObjectStore) -> None:
    with pytest.raises(NotFound, match="no scene"):
        push(scene, bucket)
    with pytest.raises(NotFound, match="no scene"):
        pull(scene, bucket)


@pytest.mark.other_server("docker")
def test_clear_removes_the_scene_alone(scene: Path, bucket: ObjectStore) -> None:
    neighbour = place_in(bucket.location.endpoint, bucket.prefix + "-neighbour")
    write_scene(scene, SMALL)
    push(scene, bucket)
    push(scene, neighbour)
    sync = syncing(scene, bucket)
    sync.clear(sync.stored())
    assert bucket.objects() == {} and len(neighbour.objects()) == 4
    assert push(scene, bucket).files == 3


def test_a_torn_index_loses_nothing(scene: Path, bucket: ObjectStore) -> None:
    write_scene(scene, SMALL)
    push(scene, bucket)
    for journal in (scene / ".maquette").glob("*.jsonl"):
        journal.write_bytes(journal.read_bytes()[:-7])
        os.utime(scene / "images/1.jpg")
    assert push(scene, bucket).files == 0


def test_a_file_that_changes_just_before_it_is_removed_is_kept(
    scene: Path, other: Path, bucket: ObjectStore
) -> None:
    (scene / "images/1.jpg").unlink()
    push(scene, bucket, delete=True)

    def work_on(plan: object) -> None:
        write_scene(other, {"images/1.jpg": b"worked on"})

    with pytest.raises(JobFailed, match="changed meanwhile and is kept"):
        syncing(other, bucket).run(SyncOptions("pull", delete=True), lambda *_: None, work_on)
    assert content_of(other)["images/1.jpg"] == b"worked on"
