"""The descent: where its views stand, what they are to show, what goes and what is kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maquette.recon.aerial.descent import DescentOptions, Level, judged
from maquette.recon.aerial.descent_pruning import Pruning, is_kept
from maquette.recon.aerial.descent_targets import lifted, targets_of
from maquette.recon.aerial.descent_views import Levels, views_of
from maquette.recon.aerial.grids import Grid
from maquette.recon.aerial.photos_on_ground import Photos
from maquette.recon.splats.cameras import Camera
from maquette.recon.splats.median_depth import median_depth
from terrain_splats import Floats, frame, looking_down, sheet

GRID = Grid(-5.0, 5.0, 0.1, 100, 100)
FLAT = np.zeros((100, 100), np.float32)
LEVELS = Levels(side_px=48)


def grey(x: Floats, y: Floats) -> Floats:
    return np.full((len(x), 3), 0.5)


@pytest.mark.parametrize("level", [0, 2, 4])
def test_views_stand_at_their_height_and_look_straight_down(level: int) -> None:
    views = views_of(LEVELS, level, FLAT, GRID, frame(), 8.0)
    places = frame().mapped(np.stack([view.world_from_cam[:3, 3] for view in views]))
    assert np.allclose(places[:, 2], 8.0 * LEVELS.altitudes[level])
    assert np.abs(places[:, :2]).max() <= 4.0 + 1e-6 and 1 <= len(views) <= 64
    ahead = np.stack([view.world_from_cam[:3, 2] for view in views])
    assert np.allclose(ahead @ frame().axes[2], -1)
    angle = 2 * np.degrees(np.arctan(24 / views[0].intrinsics.fl_x))
    assert angle == pytest.approx(LEVELS.field_of_view_deg(level))


def test_neighbouring_views_overlap_as_wanted() -> None:
    levels = Levels(altitudes=(0.25,), most_views=1000)
    views = views_of(levels, 0, FLAT, GRID, frame(), 8.0)
    east = np.unique(
        frame().mapped(np.stack([v.world_from_cam[:3, 3] for v in views]))[:, 0].round(6)
    )
    width = 2 * 2.0 * np.tan(np.radians(75) / 2)
    assert len(east) > 2 and np.diff(east).max() <= 0.7 * width + 1e-6


def test_no_view_stands_over_nothing() -> None:
    gap = FLAT.copy()
    gap[:, :50] = np.nan
    views = views_of(LEVELS, 2, gap, GRID, frame(), 8.0)
    places = frame().mapped(np.stack([view.world_from_cam[:3, 3] for view in views]))
    assert len(views) and (places[:, 0] > 0).all()


def test_pixels_are_lifted_to_the_places_they_show() -> None:
    view = looking_down("a", 1.0, -0.5, 6.0, tilt_deg=20)
    splats = sheet(lambda x, y: 0.2 * x, grey, half_m=14.0, step_m=0.4)
    depth = median_depth(splats, Camera.of(view, splats.device))
    places = frame().mapped(lifted(depth, view)[depth > 0].numpy())
    assert (depth > 0).float().mean() > 0.9
    assert np.abs(places[:, 2] - 0.2 * places[:, 0]).mean() < 0.06


def test_targets_show_photos_where_a_photo_sees_and_the_splats_elsewhere() -> None:
    """The photo is lighter than the splats, and sees the west alone."""
    splats = sheet(lambda x, y: 0 * x, grey)
    photos = Photos.over(
        splats, [looking_down("a", -9.0, 0.0, 8.0)],
        lambda number: np.full((72, 96, 3), 204, np.uint8), frame().axes[2],
    )  # fmt: skip
    (view,) = views_of(Levels((0.5,), side_px=48, most_views=1), 0, FLAT, GRID, frame(), 8.0)[:1]
    (target,) = targets_of(splats, [view], photos)
    assert 0.2 < float(target.is_real.float().mean()) < 0.9
    assert target.color[0][target.is_real].numpy() == pytest.approx(0.8, abs=0.01)
    middle = target.color[0, 10:-10, 10:-10][~target.is_real[10:-10, 10:-10]]
    assert middle.numpy() == pytest.approx(0.5, abs=0.03)


def test_only_what_is_no_surface_goes_and_only_near_the_views() -> None:
    splats = sheet(lambda x, y: 0 * x, grey)
    splats.opacity_logits[0] = -5.0
    splats.log_scales[1, 0] += 4.0
    splats.sh[2, 0] = 2.0
    splats.log_scales[2] += 2.0
    near = torch.ones(len(splats), dtype=torch.bool)
    kept = is_kept(splats, near, Pruning(largest=0.0))
    assert torch.nonzero(~kept)[:, 0].tolist() == [0, 1, 2]
    assert is_kept(splats, ~near, Pruning()).all()
    fewer = is_kept(splats, near, Pruning(largest=0.1))
    assert int((~fewer).sum()) <= 3 + round(0.1 * len(splats))


@pytest.mark.parametrize(
    ("lost", "kept"), [(-0.5, True), (0.1, True), (0.11, False), (np.nan, False)]
)
def test_a_level_is_kept_only_where_held_out_photos_lose_little(lost: float, kept: bool) -> None:
    assert judged(Level(4, 1.0, lost, False, 10), DescentOptions()).is_kept is kept


def test_each_level_may_add_fewer() -> None:
    added = [DescentOptions().added(level, 5) for level in range(5)]
    assert added[0] == 2.0 and added[-1] == 0.75 and added == sorted(added)[::-1]
