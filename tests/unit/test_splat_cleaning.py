"""What is left out of a trained scene, and what is told of it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from maquette.errors import BadInput
from maquette.recon.page_data.manifest import Facts, manifest
from maquette.recon.splats.cameras import Camera
from maquette.recon.splats.cleaning import CleaningOptions, clean
from maquette.recon.splats.gaussians import Gaussians, logit
from maquette.recon.splats.importance import importance, importance_in, pruned
from maquette.recon.splats.rasteriser import render
from maquette.recon.splats.size_limit import fit
from maquette.scene.region import Region
from maquette.scene.transforms import Frame, Intrinsics
from splat_scene import lopsided

REGION = Region.around([0.0, 0.0, 5.0], 1.0)
LENS = Intrinsics(100, 100, 400.0, 400.0, 50.0, 50.0)


def frame(x: float) -> Frame:
    pose = np.eye(4)
    pose[0, 3] = x
    return Frame(f"images/{x}.jpg", pose, LENS)


FRAMES = [frame(-0.1), frame(0.0), frame(0.1)]


def good(count: int = 200) -> Gaussians:
    """Opaque balls in the region, seen by all cameras."""
    draws = torch.Generator().manual_seed(0)
    means = 0.3 * torch.rand(count, 3, generator=draws) + torch.tensor([0.0, 0.0, 5.0])
    return Gaussians(
        means, torch.full((count, 3), -4.0), torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1),
        torch.full((count,), 2.0), torch.zeros(count, 4, 3),
    )  # fmt: skip


def with_one(name: str, value: object) -> Gaussians:
    splats = good()
    getattr(splats, name)[7] = torch.as_tensor(value)
    return splats


BAD = {
    "not_finite": [("sh", math.nan), ("means", math.inf), ("quaternions", 0.0)],
    "outside": [("means", [0.0, 0.0, 6.5])],
    "faint": [("opacity_logits", logit(0.01))],
    "huge": [("log_scales", 2.0), ("log_scales", [-4.0, -4.0, 200.0])],
    "needles": [("log_scales", [-8.0, -2.0, -8.0])],
    "seen_by_few": [("means", [-0.9, 0.0, 5.0])],
    "isolated": [("means", [0.0, 0.0, 5.95])],
    "floating": [],
}


@pytest.mark.parametrize(
    ("rule", "name", "value"), [(rule, *case) for rule, cases in BAD.items() for case in cases]
)
def test_each_rule_drops_what_it_is_about_and_nothing_else(
    rule: str, name: str, value: object
) -> None:
    wanted = {key: int(key == rule) for key in BAD}
    cleaned = clean(with_one(name, value), REGION, FRAMES, CleaningOptions())
    assert cleaned.dropped == wanted
    assert len(cleaned.gaussians) == 199


def test_each_rule_can_be_switched_off() -> None:
    off = CleaningOptions(
        crop=False,
        min_opacity=0,
        max_size=0,
        max_elongation=0,
        max_isolation=0,
        min_views=0,
        free_share=0,
    )
    for rule, cases in BAD.items():
        for name, value in cases:
            if rule != "not_finite":
                cleaned = clean(with_one(name, value), REGION, FRAMES, off)
                assert not any(cleaned.dropped.values()), rule


@pytest.mark.parametrize(("z", "dropped"), [(4.7, 1), (5.2, 0)])
def test_what_cameras_see_past_floats_unless_it_lies_on_what_they_see(
    z: float, dropped: int
) -> None:
    """A faint ball before a wall, alone as it is near it; balls of the wall itself stay."""
    across = torch.linspace(-0.4, 0.4, 20)
    wall = torch.cartesian_prod(across, across, torch.tensor([5.2]))
    means = torch.cat([wall, torch.tensor([[0.0, 0.0, z]])])
    count = len(means)
    splats = Gaussians(
        means, torch.full((count, 3), -3.2), torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1),
        torch.full((count,), 4.0), torch.zeros(count, 1, 3),
    )  # fmt: skip
    splats.opacity_logits[-1] = logit(0.1)
    cleaned = clean(splats, REGION, FRAMES, CleaningOptions(max_isolation=0))
    assert cleaned.dropped["floating"] == dropped
    assert sum(cleaned.dropped.values()) == dropped


def test_flat_gaussians_are_surface_and_no_needles() -> None:
    flat = with_one("log_scales", [-2.5, -2.5, -12.0])
    assert not any(clean(flat, REGION, FRAMES, CleaningOptions()).dropped.values())


def test_what_is_far_may_be_large() -> None:
    """A shell of far splats is what lies behind the scene, when that is kept."""
    far = good()
    far.means[7], far.log_scales[7] = torch.tensor([0.0, 0.0, 45.0]), 2.0
    kept_around = CleaningOptions(crop=False)
    assert not any(clean(far, REGION, FRAMES, kept_around).dropped.values())
    far.log_scales[7] = 3.5
    assert clean(far, REGION, FRAMES, kept_around).dropped["huge"] == 1


def test_pruning_keeps_the_most_important_in_their_order() -> None:
    splats = lopsided(200)
    left = pruned(splats, 0.2)
    assert len(left) == 160
    threshold = importance(splats).sort().values[40]
    assert torch.equal(left.means, splats.means[importance(splats) >= threshold])
    assert len(pruned(splats, 0.0)) == 200


def test_what_pictures_do_not_show_is_the_least_important_in_them() -> None:
    splats = lopsided(300)
    splats.means[:] = splats.means - splats.means.mean(0) + torch.tensor([0.0, 0.0, 4.0])
    pose, lens = np.eye(4), Intrinsics(64, 48, 60.0, 60.0, 32.0, 24.0)
    frame = Frame("images/a.png", pose, lens)
    splats.means[:40, 2] = -4.0  # behind the camera
    worth = importance_in(splats, [frame])
    assert (worth[:40] == 0).all() and worth.sum() <= 64 * 48
    unseen = int((worth == 0).sum())
    assert torch.equal(pruned(splats, unseen / 300, worth).means, splats.means[worth > 0])
    covered = 1 - render(splats, Camera.of(frame, torch.device("cpu"))).passing
    assert worth.sum() == pytest.approx(float(covered.sum()), rel=1e-3)


def size_of(splats: Gaussians, rows: Tensor | None = None) -> int:
    return len(splats) * (20 + 3 * splats.sh.shape[1])


def test_what_fits_stays_whole() -> None:
    splats = lopsided(100)
    found = fit(splats, 10_000, size_of, lambda part: 1.0)
    assert torch.equal(found.rows, torch.arange(100))
    assert (found.gaussians, found.share, found.loss) == (splats, 1.0, 0.0)


@pytest.mark.parametrize("prefers_many", [True, False])
def test_a_limit_is_met_by_what_loses_least(prefers_many: bool) -> None:
    splats = lopsided(1000)

    def loss(part: Gaussians) -> float:
        few, pale = 1000 - len(part), 3 - part.degree
        return few + 1e-3 * pale if prefers_many else 1e-3 * few + pale

    found = fit(splats, 24_000, size_of, loss)
    assert size_of(found.gaussians) == found.size_bytes <= 24_000
    assert torch.equal(splats.means[found.rows], found.gaussians.means)
    assert found.gaussians.degree == (0 if prefers_many else 3)
    assert found.share == pytest.approx(1.0 if prefers_many else 24 / 68, rel=0.05)


def test_a_limit_that_nothing_fits_is_told_in_a_sentence() -> None:
    with pytest.raises(BadInput, match="1,000 splats do not fit into 1e-05 MB"):
        fit(lopsided(1000), 10, size_of, lambda part: 0.0)


def facts(**changes: object) -> Facts:
    given = Facts(
        files={"sog": "a.sog", "splat": "a.splat"}, sizes={"sog": 1, "splat": 5_000_000},
        best="sog",
        region=REGION, frames=FRAMES, up=np.array([0.0, -2.0, 0.0]), scale=1.0,
        provenance={"iteration": 7},
    )  # fmt: skip
    return replace(given, **changes)


def test_a_manifest_has_the_keys_that_viewers_know() -> None:
    means = good(1000).means.double().numpy()
    told = manifest(means, facts())
    assert (told["splat_url"], told["viewer_mode"]) == ("a.splat", "splat")
    assert told["viewer_modes"] == ["topdown", "walk"]
    assert told["metadata"] == {"scene_scale": 1.0, "splat_size_mb": 5.0, "source_images": 3}
    bounds = told["scene_bounds"]
    assert bounds["ground_z"] == pytest.approx(np.percentile(means[:, 2], 5), rel=1e-6)
    assert np.allclose(bounds["min"], np.percentile(means, 1, axis=0), rtol=1e-6)
    assert np.allclose(np.add(bounds["min"], bounds["size"]), bounds["max"])
    assert told["formats"] == {"sog": "a.sog", "splat": "a.splat"}
    assert told["best_format"] == "sog"
    assert told["provenance"]["iteration"] == 7 and "no generated" in str(told["provenance"])


def test_cameras_of_a_manifest_stand_above_the_ground() -> None:
    told = manifest(good(1000).means.double().numpy(), facts())
    up = np.array(told["up"])
    for name, gaze in (("camera_defaults", -up), ("walk_camera_defaults", None)):
        camera = told[name]
        position, target = np.array(camera["position"]), np.array(camera["look_at"])
        assert position @ up > told["ground_height"]
        assert abs(np.dot(camera["up"], target - position)) < 1e-6
        if gaze is not None:
            assert np.allclose((target - position) / np.linalg.norm(target - position), gaze)


def test_a_scaled_manifest_scales_cameras_and_region() -> None:
    told = manifest(50 * good().means.double().numpy(), facts(scale=50.0))
    assert told["region"]["sphere_radius"] == 50.0
    assert told["cameras"][2]["position"] == [5.0, 0.0, 0.0]
    assert told["cameras"][2]["fl_x"] == 400.0
