"""Source views and depth ranges from tracks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from maquette.errors import BadInput
from maquette.recon.mvs.neighbours import (
    MVSNET,
    Scoring,
    choose_sources,
    depth_spans,
    read_pairs,
    visible_points,
    write_pairs,
)
from maquette.scene.colmap_model import Tracks
from maquette.scene.transforms import Frame, Intrinsics

ANGLES = (0.0, 1.0, 12.0, 20.0, 85.0)


def arc() -> tuple[Tracks, list[Frame]]:
    """Five cameras on an arc of radius 5, which see 50 points near its middle; the last 10."""
    points = np.random.default_rng(0).normal(0, 0.05, (50, 3))
    lens = Intrinsics(100, 80, 90.0, 90.0, 50.0, 40.0)
    frames = []
    for number, angle in enumerate(np.radians(ANGLES)):
        pose = np.eye(4)
        sine, cosine = np.sin(angle), np.cos(angle)
        pose[:3, :3] = [[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]]
        pose[:3, 3] = -5 * pose[:3, 2]
        frames.append(Frame(f"images/{number}.png", pose, lens))
    point = np.repeat(np.arange(50), 5)
    image = np.tile(np.arange(5), 50)
    kept = (image < 4) | (point < 10)
    names = tuple(f"{number}.png" for number in range(5))
    return Tracks(names, points, np.zeros(50), point[kept], image[kept]), frames


def centers(frames: list[Frame]) -> np.ndarray:
    return np.stack([frame.world_from_cam[:3, 3] for frame in frames])


def test_the_best_angle_wins_and_too_small_or_large_ones_are_no_sources() -> None:
    tracks, frames = arc()
    pairs = choose_sources(tracks, centers(frames))
    assert [view for view, _ in pairs[0]] == [2, 3]
    assert pairs[0][0][1] == pytest.approx(50, abs=2)
    assert [view for view, _ in pairs[4]] == []  # 60 degrees and more from all
    assert [view for view, _ in choose_sources(tracks, centers(frames), count=1)[0]] == [2]


def test_the_score_of_mvsnet_is_its_papers() -> None:
    worth = MVSNET.of(np.array([4.0, 5.0, 15.0]))
    assert worth == pytest.approx(np.exp([-0.5, 0.0, -0.5]))
    assert Scoring().of(np.array([2.9, 12.0, 60.1])) == pytest.approx([0, 1, 0])


def test_depths_are_searched_around_those_of_visible_points() -> None:
    tracks, frames = arc()
    low, high = depth_spans(tracks, frames)[0] or (0.0, 0.0)
    assert 3.8 < low < 4.0 and 6.2 < high < 6.5
    seen = visible_points(tracks, frames, 4)
    assert seen.shape == (10, 3)
    assert np.abs(seen[:, :2] - [50, 40]).max() < 5 and np.abs(seen[:, 2] - 5).max() < 0.3
    behind = Tracks(
        tracks.names, tracks.points - [0, 0, 9], tracks.errors, tracks.point, tracks.image
    )
    assert depth_spans(behind, frames)[0] is None


def test_pairs_come_back_from_pair_txt(tmp_path: Path) -> None:
    tracks, frames = arc()
    pairs = choose_sources(tracks, centers(frames), scoring=MVSNET)
    path = tmp_path / "pair.txt"
    write_pairs(path, pairs)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "5" and lines[1] == "0" and lines[2].split()[0] == str(len(pairs[0]))
    again = read_pairs(path)
    assert [[view for view, _ in p] for p in again] == [[view for view, _ in p] for p in pairs]
    for damage in ("5\n0\n2 1", "2\n0\n1 7 0.5\n1\n0\n", "views", "1\n3\n0\n"):
        path.write_text(damage, encoding="utf-8")
        with pytest.raises(BadInput, match="no list of view pairs"):
            read_pairs(path)
