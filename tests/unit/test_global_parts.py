"""All poses at once in parts: as in one call of COLMAP's, and a kill costs one part."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest

from maquette.recon.sfm import capacity, colmap, global_parts, mappers, mapping
from maquette.recon.sfm.mapping import MappingOptions
from maquette.recon.sfm.workspace import PoseOptions, Workspace
from maquette.scene.events import Progress
from maquette.scene.paths import Scene

PICTURES, POINTS = 12, 150
# What each part calls, in order.
CALLS = ((mapping, "calibrate"), (global_parts, "position"), (global_parts, "adjust"))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Matches of pictures that were made up, off by most of a pixel."""
    path = tmp_path_factory.mktemp("database") / "database.db"
    options = pycolmap.SyntheticDatasetOptions(
        num_rigs=1, num_cameras_per_rig=1, num_frames_per_rig=PICTURES, num_points3D=POINTS
    )
    noise = pycolmap.SyntheticNoiseOptions(point2D_stddev=0.7)
    pycolmap.set_random_seed(3)
    colmap.create(path)
    with colmap.opened(path) as handle:
        model = pycolmap.synthesize_dataset(options, handle)
        pycolmap.synthesize_noise(noise, model, handle)
    return path


@pytest.fixture(autouse=True)
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few pictures count as many."""
    monkeypatch.setattr(capacity, "ONE_BY_ONE", PICTURES - 1)


class Killing(Progress):
    """Ends the process at the end of its n-th part."""

    def __init__(self, part: int = 0) -> None:
        super().__init__(log=io.StringIO())
        self._part = part

    def step(self, name: str, done: int, total: int, **metrics: float | int | str) -> None:
        if name == "parts of poses" and done == self._part:
            raise KeyboardInterrupt


def solve(database: Path, place: Path, run: str, progress: Progress) -> dict[str, Any]:
    """Solve with what an earlier run kept: the centres of the cameras, and the points' number."""
    (place / run).mkdir(parents=True)
    scene = Scene(place / "thing")
    scene.images_raw.mkdir(parents=True, exist_ok=True)
    workspace = Workspace(scene, place / run, PoseOptions(), progress, place / "kept")
    (model,) = mappers.globally(workspace, "global", database)
    return told(model)


def told(model: Any) -> dict[str, Any]:
    images = sorted(model.images.values(), key=lambda image: image.name)
    centers = np.array([image.projection_center() for image in images if image.has_pose])
    centers = (centers - centers.mean(0)) / centers.std()
    apart = np.linalg.norm(centers[:, None] - centers, axis=2)  # whatever the world's axes
    return {"apart": apart, "points": model.num_points3D()}


def assert_same(one: dict[str, Any], other: dict[str, Any], within: float) -> None:
    assert one["apart"].shape == (PICTURES, PICTURES)
    assert one["points"] == other["points"] == POINTS
    np.testing.assert_allclose(one["apart"], other["apart"], atol=within)


def test_parts_give_what_one_call_gives(database: Path, tmp_path: Path) -> None:
    copy = tmp_path / "calibrated.db"
    colmap.copy(database, copy)
    mapping.calibrate(copy)
    (tmp_path / "whole").mkdir()
    (whole,) = mapping.map_globally(copy, tmp_path, tmp_path / "whole", MappingOptions())
    parts = solve(database, tmp_path, "parts", Killing())
    assert_same(parts, told(whole), 1e-3)


@pytest.mark.parametrize("part", [1, 2, 3])
def test_a_kill_between_parts_costs_none_that_is_done(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    expected = solve(database, tmp_path / "one", "whole", Killing())
    with pytest.raises(KeyboardInterrupt):
        solve(database, tmp_path / "other", "killed", Killing(part))
    for module, name in CALLS[:part]:
        monkeypatch.setattr(module, name, None)  # not called again
    assert_same(solve(database, tmp_path / "other", "again", Killing()), expected, 1e-3)
