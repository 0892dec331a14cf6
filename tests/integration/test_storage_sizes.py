"""Very many files, and a very large one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from maquette.storage.object_store import ObjectStore
from s3_server import (
    content_of,
    pull,
    push,
    write_scene,
)
from storage_scenes import BIG, moving

MOST_MB = 300
huge = pytest.mark.skipif(
    not os.environ.get("MAQUETTE_TEST_HUGE"),
    reason="takes minutes and 10 GB of disk: set MAQUETTE_TEST_HUGE=1",
)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_ten_thousand_small_files(tmp_path: Path, bucket: ObjectStore) -> None:
    scene = tmp_path / "scene"
    write_scene(scene, {f"images/{n % 100}/{n}.txt": str(n).encode() for n in range(10_000)})
    assert push(scene, bucket).files == 10_000
    assert push(scene, bucket).files == 0
    assert push(scene, bucket, relist=True).files == 0
    assert pull(tmp_path / "other", bucket).files == 10_000
    assert content_of(tmp_path / "other") == content_of(scene)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("gib", [1, pytest.param(5, marks=huge)])
def test_the_memory_that_a_very_large_file_takes(
    scene: Path, tmp_path: Path, bucket: ObjectStore, gib: int
) -> None:
    """It does not follow the size: what is in flight at once is far smaller than either."""
    path, size = scene / BIG, gib << 30
    path.parent.mkdir(parents=True)
    with open(path, "wb") as file:
        file.seek(size - 3)
        file.write(b"end")
    pushed = peak_mb("push", scene, bucket)
    assert bucket.head(BIG).size == size
    pulled = peak_mb("pull", tmp_path / "other", bucket)
    bucket.delete(BIG)
    with open(tmp_path / "other" / BIG, "rb") as file:
        file.seek(size - 3)
        assert file.read() == b"end"
    assert pushed < MOST_MB and pulled < MOST_MB


def peak_mb(move: str, root: Path, bucket: ObjectStore) -> float:
    """The most memory that a push or pull had at once; it must end well."""
    measure = (
        "for line in open('/proc/self/status'):\n"  # not getrusage: that starts at the parent's
        "    if line.startswith('VmHWM'): print(line.split()[1])\n"
    )
    child = moving(move, root, bucket, after=measure)
    measured, errors = child.communicate()
    assert child.returncode == 0, errors
    return int(measured) / 1000
