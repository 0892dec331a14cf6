"""PatchMatch stereo on a small scene whose depths are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from maquette.recon.mvs.patch_match import DepthMap, Matching, estimate, refine
from maquette.recon.mvs.stacks import GreyView
from stereo_scene import SPAN, stereo_views
from threads import threads

Floats = NDArray[np.float32]
FEW = Matching(sweeps=(3, 2))


@pytest.fixture(scope="module")
def views() -> tuple[list[GreyView], list[Floats]]:
    return stereo_views(128, 96)


@pytest.fixture(scope="module")
def found(views: tuple[list[GreyView], list[Floats]]) -> DepthMap:
    return estimate(views[0][0], views[0][1:], SPAN, matching=FEW)


def right(depth: Floats, truth: Floats) -> float:
    """Share of all pixels within 1 %."""
    return float((np.abs(depth - truth) < 0.01 * truth).mean())


def test_five_of_six_depths_of_a_small_picture_are_within_a_percent(
    views: tuple[list[GreyView], list[Floats]], found: DepthMap
) -> None:
    assert right(found.depth, views[1][0]) > 0.82
    assert found.depth.dtype == np.float32 and found.normals.shape == (96, 128, 3)


def test_normals_have_unit_length_and_face_the_camera(
    views: tuple[list[GreyView], list[Floats]], found: DepthMap
) -> None:
    assert np.abs(np.linalg.norm(found.normals, axis=-1) - 1).max() < 1e-5
    lens = views[0][0].frame.intrinsics
    x, y = np.meshgrid(np.arange(128) + 0.5 - lens.cx, np.arange(96) + 0.5 - lens.cy)
    rays = np.stack([x / lens.fl_x, y / lens.fl_y, np.ones_like(x)], -1)
    assert ((found.normals * rays).sum(-1) < 0).all()
    wall = np.s_[2:10, 2:20]  # a plane across the camera's axis
    assert np.median(found.normals[wall][..., 2]) < -0.97


def test_the_same_seed_gives_the_same_map_on_any_number_of_threads(
    views: tuple[list[GreyView], list[Floats]], found: DepthMap
) -> None:
    with threads(3):
        again = estimate(views[0][0], views[0][1:], SPAN, matching=FEW)
    assert np.array_equal(found.depth, again.depth)
    assert np.array_equal(found.costs, again.costs)
    other = estimate(views[0][0], views[0][1:], SPAN, matching=replace(FEW, seed=1))
    assert not np.array_equal(found.depth, other.depth)


def test_masked_pixels_have_no_depth_and_are_no_match(
    views: tuple[list[GreyView], list[Floats]],
) -> None:
    reference, *sources = views[0]
    mask = np.ones(reference.image.shape, bool)
    mask[20:40, 30:60] = False
    found = estimate(replace(reference, mask=mask), sources, SPAN, matching=FEW)
    assert not found.depth[~mask].any() and not found.normals[~mask].any()
    assert (found.depth[mask] > 0).all()
    hidden = [replace(view, mask=np.zeros(view.image.shape, bool)) for view in sources]
    blind = estimate(reference, hidden, SPAN, matching=Matching(sweeps=(1,)))
    assert (blind.costs == 2.0).all()


def test_the_geometric_pass_repairs_what_the_pictures_alone_leave_wrong(
    views: tuple[list[GreyView], list[Floats]], found: DepthMap
) -> None:
    pictures, truths = views
    sources = [
        replace(view, depth=truth) for view, truth in zip(pictures[1:], truths[1:], strict=True)
    ]
    refined = refine(found, pictures[0], sources, SPAN)
    assert right(refined.depth, truths[0]) > right(found.depth, truths[0]) + 0.05
    without = found.kept(np.ones(found.depth.shape, bool))
    without.depth[30:34, 40:44] = 0  # pixels without depth get one
    assert right(refine(without, pictures[0], sources, SPAN).depth, truths[0]) > 0.9


def test_known_points_are_a_start(views: tuple[list[GreyView], list[Floats]]) -> None:
    pictures, truths = views
    y, x = np.mgrid[4:96:8, 4:128:8]
    points = np.stack([x + 0.5, y + 0.5, truths[0][y, x]], -1).reshape(-1, 3)
    once = Matching(sweeps=(1,))
    blind = estimate(pictures[0], pictures[1:], SPAN, matching=once)
    told = estimate(pictures[0], pictures[1:], SPAN, points, once)
    assert right(told.depth, truths[0]) > right(blind.depth, truths[0]) + 0.2


def test_impossible_requests_are_refused(
    views: tuple[list[GreyView], list[Floats]], found: DepthMap
) -> None:
    pictures, _ = views
    with pytest.raises(ValueError, match="1 to 8 source views"):
        estimate(pictures[0], [], SPAN)
    with pytest.raises(ValueError, match="between two positive numbers"):
        estimate(pictures[0], pictures[1:], (0.0, 1.0))
    with pytest.raises(ValueError, match="depth map of each source view"):
        refine(found, pictures[0], pictures[1:], SPAN)
