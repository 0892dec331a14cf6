"""Which points a page draws, and the lines that it draws."""

from __future__ import annotations

import io

import numpy as np
import pytest

pytest.importorskip("viser", reason="pip install -e 'python[view]'")

from maquette.scene.thinning import choose
from maquette.viewer import frustums


@pytest.mark.parametrize("most", [0, 1, 7, 50, 99, 100, 101, 1000])
@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 0.9, 1.0])
def test_as_many_points_are_chosen_as_asked_and_half_of_them_inside(
    most: int, share: float
) -> None:
    inside = np.random.default_rng(0).random(100) < share
    outside = ~inside
    outside[:10] = inside[:10] = False  # too far to draw
    chosen = choose(inside, outside, most)
    assert chosen.sum() == min(most, 90) and not chosen[:10].any()
    fair = min(int(inside.sum()), most // 2)
    assert (chosen & inside).sum() >= fair
    assert (chosen & outside).sum() >= min(int(outside.sum()), most // 2)


def test_chosen_points_are_spread_over_the_list() -> None:
    inside = np.ones(1000, bool)
    places = np.flatnonzero(choose(inside, ~inside, 100))
    assert (np.diff(places) == 10).all()


def test_another_program_reads_the_lines_as_they_were() -> None:
    trimesh = pytest.importorskip("trimesh")
    segments = np.random.default_rng(0).normal(size=(24, 2, 3))
    packed = frustums.lines_glb(segments, (255, 0, 128))
    assert len(packed) % 4 == 0
    (read,) = trimesh.load_scene(io.BytesIO(packed), file_type="glb").geometry.values()
    assert isinstance(read, trimesh.path.Path3D)
    lines = np.array([read.vertices[entity.points] for entity in read.entities]).reshape(-1, 2, 3)
    assert lines == pytest.approx(segments, abs=1e-6)
