"""Planes through well-matched pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maquette.recon.mvs.patch_match import Matching, estimate
from maquette.recon.mvs.planar_prior import planar_prior
from maquette.recon.mvs.stacks import Stack, pack
from maquette.recon.mvs.sweeping import State
from stereo_scene import SPAN, stereo_views

WIDTH, HEIGHT = 60, 40


@pytest.fixture(scope="module")
def stack() -> Stack:
    views, _ = stereo_views(WIDTH, HEIGHT)
    return pack(views[0], views[1:], torch.device("cpu"))


def state_of(planes: np.ndarray) -> State:
    """Planes [H, W, 3] of which every fifth pixel matches well, the others hardly."""
    costs = torch.full((HEIGHT, WIDTH), 0.6)
    costs[2::5, 2::5] = 0.05
    chosen = torch.zeros(HEIGHT, WIDTH, dtype=torch.int32)
    return State(torch.from_numpy(np.float32(planes)), costs, chosen)


def test_between_well_matched_pixels_of_a_plane_lies_that_plane(stack: Stack) -> None:
    plane = np.array([0.05, -0.03, 0.3])
    state = state_of(np.broadcast_to(plane, (HEIGHT, WIDTH, 3)))
    wrong = state.costs > 0.5
    state.planes[wrong] *= 1.3
    prior = planar_prior(state, stack).numpy()
    inside = prior[5:-5, 5:-5][wrong[5:-5, 5:-5].numpy()]
    assert np.abs(inside - plane).max() < 1e-4
    assert not prior[2::5, 2::5].any()  # these need none
    assert not prior[0].any()  # outside of all triangles


def test_no_plane_bridges_a_step_of_depth_and_a_line_of_pixels_has_none(stack: Stack) -> None:
    planes = np.zeros((HEIGHT, WIDTH, 3))
    planes[..., 2] = np.where(np.arange(WIDTH) < 30, 0.5, 0.25)
    prior = planar_prior(state_of(planes), stack).numpy()
    assert set(np.unique(prior[10:-10, 10:-10, 2].round(4))) <= {0.0, 0.25, 0.5}
    state = state_of(planes)
    state.costs[:] = 0.6
    assert not planar_prior(state, stack).any()
    state.costs[20] = 0.05
    assert not planar_prior(state, stack).any()


def test_a_map_with_the_prior_is_about_as_good_where_all_has_texture() -> None:
    views, depths = stereo_views(96, 72)
    found = [
        estimate(views[0], views[1:], SPAN, matching=Matching((3, 2), planar=planar))
        for planar in (False, True)
    ]
    right = [(np.abs(f.depth - depths[0]) < 0.01 * depths[0]).mean() for f in found]
    assert right[1] > right[0] - 0.05
    assert (found[0].depth != found[1].depth).any()
