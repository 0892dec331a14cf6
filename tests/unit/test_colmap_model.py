"""The numpy reader against pycolmap, and against damage."""

from __future__ import annotations

import shutil
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sparse_models
import synthetic_scene
from maquette.errors import BadInput
from maquette.scene import colmap_model
from maquette.scene.lens_models import BY_ID, Lens


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    points = sparse_models.ball(300, np.array([1.0, 2.0, 3.0]), 0.5)
    sketch = sparse_models.around(np.array([1.0, 2.0, 3.0]), 4.0, 7, points)
    return sparse_models.write_workspace(tmp_path_factory.mktemp("work") / "w", sketch)


def assert_same(folder: Path) -> None:
    model, twin = colmap_model.read(folder), pycolmap.Reconstruction(folder)
    images = sorted(twin.images.values(), key=lambda image: image.name)
    assert model.names == tuple(image.name for image in images)
    for index, image in enumerate(images):
        pose = np.vstack([image.cam_from_world().inverse().matrix(), [0, 0, 0, 1]])
        assert np.allclose(model.world_from_cam[index], pose, atol=1e-12)
        lens = model.lenses[index]
        assert (lens.model.name, lens.width, lens.height) == (
            image.camera.model.name, image.camera.width, image.camera.height,
        )  # fmt: skip
        assert lens.parameters == tuple(image.camera.params)
    order = np.lexsort(model.points.T)
    points = list(twin.points3D.values())
    places = np.array([point.xyz for point in points])
    twins = np.lexsort(places.T)
    assert np.array_equal(model.points[order], places[twins])
    assert np.array_equal(model.colors[order], np.array([p.color for p in points])[twins])
    views = np.array([point.track.length() for point in points])
    assert np.array_equal(model.views[order], views[twins])


def test_the_reader_agrees_with_pycolmap(tmp_path: Path) -> None:
    scene = synthetic_scene.write_posed_scene(tmp_path / "ring", 6, 64, 48)
    synthetic_scene.write_landmarks(scene, 300)
    assert_same(scene.sparse)


def test_tracks_agree_with_pycolmap(tmp_path: Path) -> None:
    scene = synthetic_scene.write_posed_scene(tmp_path / "ring", 6, 64, 48)
    synthetic_scene.write_landmarks(scene, 300)
    twin = pycolmap.Reconstruction(scene.sparse)
    wanted = sorted(
        (
            *point.xyz,
            point.error,
            sorted(twin.images[e.image_id].name for e in point.track.elements),
        )
        for point in twin.points3D.values()
    )
    found = colmap_model.read_tracks(scene.sparse)
    seen = [found.image[found.point == row] for row in range(len(found.points))]
    assert wanted == sorted(
        (*xyz, error, sorted(found.names[image] for image in images))
        for xyz, error, images in zip(found.points, found.errors, seen, strict=True)
    )


def test_a_track_of_an_unknown_image_is_damage(tmp_path: Path) -> None:
    scene = synthetic_scene.write_posed_scene(tmp_path / "ring", 6, 64, 48)
    synthetic_scene.write_landmarks(scene, 300)
    data = bytearray((scene.sparse / "points3D.bin").read_bytes())
    data[59:63] = (999).to_bytes(4, "little")  # the first image of the first point
    (scene.sparse / "points3D.bin").write_bytes(data)
    with pytest.raises(BadInput, match="does not have"):
        colmap_model.read_tracks(scene.sparse)


def test_every_camera_model_of_colmap_is_known() -> None:
    members = {int(kind): name for name, kind in pycolmap.CameraModelId.__members__.items()}
    assert {number: model.name for number, model in BY_ID.items()} == {
        number: name for number, name in members.items() if name != "INVALID"
    }
    for model in BY_ID.values():
        twin = pycolmap.Camera.create_from_model_name(1, model.name, 700.0, 640, 480)
        assert len(twin.params) == model.parameters
        shown = Lens(model, 640, 480, tuple(twin.params)).pinhole()
        assert (shown.cx, shown.cy) == (320, 240)
        if model.focals:
            assert (shown.fl_x, shown.fl_y) == (twin.focal_length_x, twin.focal_length_y)


def test_several_cameras_keep_their_own_intrinsics(workspace: Path) -> None:
    frames = colmap_model.read(workspace / "sparse" / "0").frames()
    assert [frame.intrinsics.width for frame in frames[:3]] == [64, 48, 64]
    assert frames[1].intrinsics.cy == 29.5


def test_distorted_cameras_can_be_shown_but_not_written(workspace: Path, tmp_path: Path) -> None:
    folder = tmp_path / "0"
    shutil.copytree(workspace / "sparse" / "0", folder)
    data = bytearray((folder / "cameras.bin").read_bytes())
    data[12:16] = (2).to_bytes(4, "little")  # four parameters too: SIMPLE_RADIAL
    (folder / "cameras.bin").write_bytes(data)
    model = colmap_model.read(folder)
    assert model.lenses[0].pinhole().fl_y == 50.0
    with pytest.raises(BadInput, match="SIMPLE_RADIAL"):
        model.frames()


@pytest.mark.parametrize("name", colmap_model.FILES)
def test_a_missing_file_is_named(workspace: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(workspace / "sparse" / "0", tmp_path / "0")
    (tmp_path / "0" / name).unlink()
    with pytest.raises(BadInput, match=name):
        colmap_model.read(tmp_path / "0")


@pytest.mark.parametrize("name", colmap_model.FILES)
def test_a_count_beyond_the_file_allocates_nothing(
    workspace: Path, tmp_path: Path, name: str
) -> None:
    shutil.copytree(workspace / "sparse" / "0", tmp_path / "0")
    path = tmp_path / "0" / name
    path.write_bytes((2**62).to_bytes(8, "little") + path.read_bytes()[8:])
    tracemalloc.start()
    with pytest.raises(BadInput, match="damaged"):
        colmap_model.read(tmp_path / "0")
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


@settings(deadline=None, max_examples=300)
@given(
    name=st.sampled_from(colmap_model.FILES),
    cut=st.floats(0, 1),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
)
def test_damage_is_a_sentence_or_a_model_and_quick(
    workspace: Path, tmp_path_factory: pytest.TempPathFactory, name: str, cut: float, changes: list
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    for other in colmap_model.FILES:
        shutil.copyfile(workspace / "sparse" / "0" / other, folder / other)
    data = bytearray((folder / name).read_bytes())
    data = data[: int(cut * len(data))] if cut < 0.5 else data
    for place, value in changes:
        if data:
            data[int(place * (len(data) - 1))] = value
    (folder / name).write_bytes(data)
    began = time.process_time()
    try:
        model = colmap_model.read(folder)
    except BadInput as error:
        assert str(folder) in error.what
    else:
        assert np.isfinite(model.points).all() and np.isfinite(model.world_from_cam).all()
    assert time.process_time() - began < 5
