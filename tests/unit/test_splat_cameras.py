"""From where splats are shown, and how pictures become a film."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from maquette.recon.pictures.movie import write_movie
from maquette.recon.splats.camera_paths import fly_through, looking_at, sides
from maquette.scene.transforms import Frame
from synthetic_scene import CAMERA_DISTANCE, CENTER, orbit, region

UP = np.array([0.0, 0.0, 1.0])


def test_a_camera_looks_at_its_target_and_is_level() -> None:
    pose = looking_at(np.array([1.0, 2.0, 3.0]), CENTER, UP)
    forward = (CENTER - pose[:3, 3]) / np.linalg.norm(CENTER - pose[:3, 3])
    assert np.allclose(pose[:3, 2], forward) and abs(pose[:3, 0] @ UP) < 1e-12
    assert pose[:3, 1] @ UP < 0, "y points down"
    assert np.allclose(pose[:3, :3].T @ pose[:3, :3], np.eye(3))
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)


def test_what_was_walked_around_is_shown_from_eight_sides() -> None:
    views = sides(orbit(24, 96, 72), region(), UP)
    assert len(views) == 8
    offsets = np.array([view.world_from_cam[:3, 3] for view in views]) - CENTER
    angles = np.sort(np.degrees(np.arctan2(offsets[:, 1], offsets[:, 0])) % 360)
    assert np.allclose(np.diff(angles), 45, atol=1e-6)
    assert np.allclose(np.linalg.norm(offsets, axis=1), CAMERA_DISTANCE, rtol=0.1)


def test_an_arc_is_shown_from_its_own_photos() -> None:
    arc = orbit(40, 96, 72)[:12]
    views = sides(arc, region(), UP)
    assert len(views) == 8 and all(view in arc for view in views)
    assert len(sides(arc[:3], region(), UP)) == 3


@pytest.mark.parametrize("is_shuffled", [False, True])
def test_a_film_goes_along_the_cameras_without_jumps(is_shuffled: bool) -> None:
    frames = orbit(24, 96, 72)
    if is_shuffled:  # names that tell no order
        mixed = np.random.default_rng(1).permutation(24)
        frames = [
            Frame(f"{number}.png", frames[index].world_from_cam, frames[index].intrinsics)
            for number, index in enumerate(mixed)
        ]
    path = fly_through(frames, 100)
    poses = np.array([frame.world_from_cam for frame in path])
    assert np.allclose(poses[:, :3, :3] @ poses[:, :3, :3].transpose(0, 2, 1), np.eye(3))
    steps = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    around = 2 * np.pi * CAMERA_DISTANCE
    assert steps.max() < 3 * around / 100
    assert steps.sum() > 0.6 * around
    away = np.linalg.norm(poses[:, :3, 3] - CENTER, axis=1)
    assert away.min() > 0.8 * CAMERA_DISTANCE and away.max() < 1.1 * CAMERA_DISTANCE


def test_pictures_become_a_film_that_plays(tmp_path: Path) -> None:
    shades = (40, 120, 200)
    pictures = [np.full((49, 64, 3), shade, np.uint8) for shade in shades for _ in range(4)]
    write_movie(tmp_path / "a.mp4", pictures, 12)
    with av.open(str(tmp_path / "a.mp4")) as container:
        found = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(found) == 12 and found[0].shape == (48, 64, 3)
    assert [abs(float(picture.mean()) - shade) < 6 for picture, shade in
            zip(found[::4], shades, strict=True)] == [True] * 3  # fmt: skip
