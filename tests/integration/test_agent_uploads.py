"""Pushes of the agent while training replaces and removes the very files that are pushed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fault_proxy import Fault, proxy_to
from maquette.agent.arguments import KEY_NAMES, Arguments, Store
from maquette.agent.scene_sync import SceneSync
from maquette.scene.checkpoints import CHECKSUM_SUFFIX, POINTER, checkpoint_name, write_pointer
from maquette.storage.etags import PART_BYTES
from maquette.storage.object_store import ObjectStore
from maquette.storage.transfer import FileChanged
from s3_server import BUCKET, KEYS, content_of, pull, unfinished_uploads, write_scene

RUN = "runs/neuralangelo/experiments"
SIZE = PART_BYTES + 5


@contextmanager
def sync_of(
    scene: Path, bucket: ObjectStore, judge: Callable[[str, str], Fault | None]
) -> Iterator[SceneSync]:
    """An agent's scene_sync whose every request `judge` sees first."""
    with proxy_to(bucket.location.endpoint, judge) as proxy:
        keys = dict(zip(KEY_NAMES, (KEYS.access_key, KEYS.secret_key), strict=False))
        arguments = Arguments((), scene, "process", "process-1", secrets=keys)
        scene_sync = SceneSync(
            arguments, Store(proxy.endpoint, "us-east-1", BUCKET, bucket.prefix), print
        )
        yield scene_sync
        scene_sync.close()


def save(scene: Path, number: int, name: str = "") -> str:
    """Write a checkpoint of several parts as training does, in one step, and point at it."""
    name = name or checkpoint_name(1, number)
    write_scene(scene, {f"{RUN}/.tmp-{name}": bytes([number]) * SIZE})
    (scene / RUN / f".tmp-{name}").rename(scene / RUN / name)
    write_pointer(scene / RUN, name)
    return name


def stored(folder: Path, bucket: ObjectStore) -> dict[str, bytes]:
    """What the store holds, seen by somebody else."""
    pull(folder, bucket)
    return content_of(folder)


REMOVED_AT = {
    "before it is opened": ("POST", r"_000000001_checkpoint\.pt\?uploads"),
    "between its parts": ("PUT", r"_000000001_checkpoint\.pt\?.*partNumber=2"),
}


@pytest.mark.parametrize("moment", REMOVED_AT)
def test_a_checkpoint_that_is_removed_while_its_parts_go_does_not_stop_the_push(
    tmp_path: Path, scene: Path, bucket: ObjectStore, moment: str
) -> None:
    wanted, outrun = REMOVED_AT[moment], []

    def judge(method: str, path: str) -> None:
        if not outrun and method == wanted[0] and re.search(wanted[1], path):
            outrun.append(path)
            save(scene, 2)
            (scene / RUN / first).unlink()

    first = save(scene, 1)
    with sync_of(scene, bucket, judge) as scene_sync:
        scene_sync.push()
        assert outrun, "nothing was outrun"
        found = stored(tmp_path / "seen", bucket)
        second = checkpoint_name(1, 2)
        assert found[f"{RUN}/{POINTER}"].decode().split() == [second]
        assert found[f"{RUN}/{second}"] == b"\x02" * SIZE
        assert f"{RUN}/{second}{CHECKSUM_SUFFIX}" in found
        scene_sync.push()
        assert unfinished_uploads(bucket) == []


def test_a_checkpoint_that_is_replaced_while_its_parts_go_is_pushed_as_the_newer(
    tmp_path: Path, scene: Path, bucket: ObjectStore
) -> None:
    outrun = []

    def judge(method: str, path: str) -> None:
        if not outrun and method == "PUT" and "partNumber=2" in path:
            outrun.append(path)
            save(scene, 2, name)

    name = save(scene, 1)
    with sync_of(scene, bucket, judge) as scene_sync:
        scene_sync.push()
    found = stored(tmp_path / "seen", bucket)
    assert outrun and found[f"{RUN}/{name}"] == b"\x02" * SIZE
    assert unfinished_uploads(bucket) == []


def test_a_large_file_that_never_stands_still_keeps_no_checkpoint_back(
    tmp_path: Path, scene: Path, bucket: ObjectStore
) -> None:
    def judge(method: str, path: str) -> None:
        if "large.log" in path and "partNumber" in path:
            os.utime(scene / "large.log", ns=(0, len(proxied)))
            proxied.append(path)

    proxied: list[str] = []
    name = save(scene, 1)
    write_scene(scene, {"large.log": b"x" * SIZE})
    with sync_of(scene, bucket, judge) as scene_sync, pytest.raises(FileChanged, match="large"):
        scene_sync.push()
    found = stored(tmp_path / "seen", bucket)
    assert found[f"{RUN}/{POINTER}"].decode().split() == [name]
    assert found[f"{RUN}/{name}"] == b"\x01" * SIZE and "large.log" not in found
