"""Files of a COLMAP model that were cut short are named before COLMAP reads them for ever."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pycolmap
import pytest

from maquette.errors import BadInput
from maquette.recon.sfm.colmap import read_model
from maquette.recon.sfm.given import reading
from maquette.recon.sfm.kept_models import Finished, Snapshots
from maquette.scene import colmap_sizes
from turns import linked_copy

NAMES = ("cameras.bin", "images.bin", "points3D.bin", "rigs.bin", "frames.bin")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with rigs of several cameras."""
    options = pycolmap.SyntheticDatasetOptions(
        num_rigs=2, num_cameras_per_rig=3, num_frames_per_rig=2, num_points3D=40
    )
    folder = tmp_path_factory.mktemp("model")
    pycolmap.synthesize_dataset(options).write_binary(folder)
    return folder


@pytest.fixture
def model(whole: Path, tmp_path: Path) -> Path:
    return linked_copy(whole, tmp_path / "model")


def cut(path: Path, size: int) -> None:
    data = path.read_bytes()
    path.unlink()  # a link to the whole one
    path.write_bytes(data[:size])


def cuts(path: Path) -> Iterator[int]:
    size = path.stat().st_size
    yield from (0, 5, 8, size // 3, size - size // 7, size - 1)


def test_a_whole_model_has_no_damage_and_is_read(whole: Path) -> None:
    assert sorted(path.name for path in whole.iterdir()) == sorted(NAMES)
    assert colmap_sizes.damage(whole) == ""
    assert read_model(whole, "").num_points3D() == 40


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_was_cut_is_named_with_what_to_do(model: Path, name: str) -> None:
    for size in reversed(list(cuts(model / name))):
        cut(model / name, size)
        with pytest.raises(BadInput, match=f"{name}` is damaged") as caught:
            read_model(model, "run `make prepare` with FORCE_STAGE=poses")
        assert caught.value.hint.endswith("run `make prepare` with FORCE_STAGE=poses")


def test_how_much_is_whole_is_told(model: Path) -> None:
    cut(model / "points3D.bin", (model / "points3D.bin").stat().st_size - 1)
    assert "it states 40 entries, and 39 are whole" in colmap_sizes.damage(model)


def test_bytes_after_the_end_are_damage(model: Path) -> None:
    data = (model / "images.bin").read_bytes()
    (model / "images.bin").unlink()
    (model / "images.bin").write_bytes(data + b"?" * 7)
    assert "7 bytes follow its end" in colmap_sizes.damage(model)


def test_a_model_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="can not be read"):
        read_model(tmp_path, "")


def test_kept_models_that_are_damaged_do_not_count(whole: Path, tmp_path: Path) -> None:
    kept = Finished(tmp_path / "kept", "key")
    kept.write([pycolmap.Reconstruction(whole)])
    assert kept.read() is not None
    cut(tmp_path / "kept" / "0" / "points3D.bin", 0)
    assert kept.read() is None


def test_a_damaged_snapshot_gives_way_to_the_one_before(whole: Path, tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "snapshots", "key")
    snapshots.open()
    for name in ("1", "2"):
        linked_copy(whole, snapshots.folder / name)
    snapshots.tidy()
    cut(snapshots.folder / "2" / "points3D.bin", 100)
    assert snapshots.open() == snapshots.folder / "1"
    assert not (snapshots.folder / "2").exists()


def test_cameras_that_came_with_the_photos_are_looked_at_too(model: Path) -> None:
    cut(model / "cameras.bin", 60)
    files = sorted(model.iterdir())
    with pytest.raises(BadInput, match=r"cameras.bin` is damaged") as caught:
        reading.read(files, [], lambda number: (0, 0))
    assert "POSES=find" in caught.value.hint
