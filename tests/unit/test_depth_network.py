"""Depth maps of photographs by a network: pieces, normals, files of weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from maquette.errors import BadInput, NotFound
from maquette.recon.mvsnet import networks, weights
from maquette.recon.mvsnet.inference import DepthNetwork, PhotoView, pieces, projection
from maquette.recon.mvsnet.judging import BEST_FORMAT
from maquette.recon.mvsnet.normals import normals_of
from maquette.recon.mvsnet.options import NetworkOptions
from maquette.recon.mvsnet.training import FORMAT as TRAINING_FORMAT
from maquette.recon.mvsnet.training_options import TrainingOptions
from maquette.scene.transforms import Frame, Intrinsics
from stereo_scene import SPAN, stereo_views

CPU = torch.device("cpu")
FEW = NetworkOptions(n_depths=16, hypotheses=(8, 4, 4))


def photos(width: int, height: int) -> list[PhotoView]:
    views, _ = stereo_views(width, height)
    return [PhotoView(view.frame, np.repeat(view.image[..., None], 3, -1)) for view in views]


def network(variant: str = "cascade") -> torch.nn.Module:
    torch.manual_seed(0)
    return networks.build(variant, FEW)


@pytest.mark.parametrize("variant", networks.VARIANTS)
def test_a_map_has_the_pictures_size_and_depths_within_the_span(variant: str) -> None:
    views = photos(75, 58)
    found = DepthNetwork(network(variant), views.__getitem__, CPU).depth_map(0, [1, 2], SPAN)
    assert found.depth.shape == found.costs.shape == (58, 75)
    assert found.normals.shape == (58, 75, 3)
    assert found.depth.min() >= SPAN[0] * 0.999 and found.depth.max() <= SPAN[1] * 1.001
    assert found.costs.min() >= 0 and found.costs.max() <= 1


def test_it_is_what_the_network_says_of_the_whole_pictures() -> None:
    views, chosen = photos(64, 48), network().eval()
    found = DepthNetwork(chosen, views.__getitem__, CPU).depth_map(0, [1, 2], SPAN)
    images = np.stack([view.image for view in views[:3]]).transpose(0, 3, 1, 2)
    projections = np.stack([projection(view.frame) for view in views[:3]])
    with torch.inference_mode():
        told = chosen(
            torch.from_numpy(images)[None].float() / 255,
            torch.from_numpy(projections)[None].float(), torch.tensor([SPAN]),
        )  # fmt: skip
    assert np.allclose(found.depth, told.depth[0].numpy(), rtol=1e-5)
    assert np.allclose(1 - found.costs, told.confidence[0].numpy(), atol=1e-5)


def test_kernels_give_the_map_of_their_plain_twins() -> None:
    """Also in the first stage, whose hypotheses are the same for all pixels."""
    views, maps = photos(64, 48), []
    for has_kernels in (True, False):
        torch.manual_seed(0)
        chosen = networks.build("cascade", replace(FEW, has_kernels=has_kernels))
        maps.append(DepthNetwork(chosen, views.__getitem__, CPU).depth_map(0, [1, 2], SPAN).depth)
    assert np.allclose(*maps, rtol=1e-4)


def test_pictures_in_pieces_give_nearly_the_map_of_the_whole() -> None:
    views = photos(224, 96)
    whole, cut = (
        DepthNetwork(network(), views.__getitem__, CPU, most).depth_map(0, [1], SPAN).depth
        for most in (10**6, 20_000)
    )
    assert len(pieces(224, 96, 20_000)) > 3
    off = np.abs(cut - whole) / whole
    assert np.median(off) < 1e-3 and (off < 0.01).mean() > 0.9


def test_source_pictures_may_have_other_sizes() -> None:
    views = photos(64, 48)
    views[1] = photos(80, 60)[1]
    found = DepthNetwork(network(), views.__getitem__, CPU).depth_map(0, [1, 2], SPAN)
    assert found.depth.shape == (48, 64)


def test_a_view_without_sources_is_refused() -> None:
    views = photos(64, 48)
    with pytest.raises(ValueError, match="at least one source"):
        DepthNetwork(network(), views.__getitem__, CPU).depth_map(0, [], SPAN)


@pytest.mark.parametrize("size", [(64, 48), (1000, 700), (333, 2000)])
def test_pieces_tell_of_each_pixel_once(size: tuple[int, int]) -> None:
    width, height = size
    told = np.zeros((height, width), int)
    for piece in pieces(width, height, 100_000):
        told[piece.top : piece.bottom, piece.left : piece.right] += 1
        seen = (piece.end_x - piece.x) * (piece.end_y - piece.y)
        assert seen < 130_000 and piece.x % 16 == piece.y % 16 == 0
        assert piece.x <= piece.left < piece.right <= piece.end_x
    assert (told == 1).all()


def test_normals_of_a_tilted_plane_are_its_own_and_zero_where_nothing_is() -> None:
    lens = Intrinsics(40, 30, 50.0, 50.0, 20.0, 15.0)
    true = np.array([0.4, -0.3, -0.8])
    true /= np.linalg.norm(true)
    depth = plane_depth(lens, true)
    depth[:5, :5] = 0
    found = normals_of(depth, lens)
    assert not found[:5, :5].any()
    inner = found[8:-3, 8:-3].reshape(-1, 3)
    assert np.abs(inner - true).max() < 1e-4
    known = found[depth > 0]
    assert np.abs(np.linalg.norm(known, axis=1) - 1).max() < 1e-5


def test_a_step_of_depth_tilts_only_the_normals_beside_it() -> None:
    lens = Intrinsics(40, 30, 50.0, 50.0, 20.0, 15.0)
    depth = np.full((30, 40), 2.0, np.float32)
    depth[:, 20:] = 3.0
    found = normals_of(depth, lens)
    assert np.abs(found - [0, 0, -1]).max() < 1e-5


@pytest.mark.parametrize("variant", networks.VARIANTS)
def test_weights_are_read_as_they_were_written_in_half_precision(
    variant: str, tmp_path: Path
) -> None:
    given = network(variant)
    weights.save(tmp_path / "some.pt", given, variant, FEW)
    found = weights.load(tmp_path / "some.pt")
    for name, value in given.state_dict().items():
        assert torch.allclose(found.state_dict()[name].float(), value.float(), rtol=1e-3, atol=1e-4)
    assert not found.training and found.options.hypotheses == FEW.hypotheses


def test_the_weights_of_this_package_find_depth_and_tell_how_they_came_about() -> None:
    seen, truth = stereo_views(160, 120)
    views = [PhotoView(view.frame, np.repeat(view.image[..., None], 3, -1)) for view in seen]
    found = DepthNetwork(weights.load(), views.__getitem__, CPU).depth_map(0, [1, 2, 3, 4], SPAN)
    wrong = np.abs(found.depth - truth[0]) / truth[0]
    assert (wrong < 0.01).mean() > 0.85
    sure = found.costs < np.median(found.costs)
    assert (wrong[sure] < 0.01).mean() > 0.97
    told = json.loads(weights.SHIPPED.with_suffix(".json").read_text())
    assert told["licence"] == "Apache-2.0" and told["data"] == "generated scenes alone"
    assert weights.SHIPPED.stat().st_size < 2e6 and told["steps"] == told["runs"][-1]["until"]


@pytest.mark.parametrize("form", [TRAINING_FORMAT, BEST_FORMAT])
def test_a_checkpoint_of_a_run_gives_its_network(form: str, tmp_path: Path) -> None:
    options = TrainingOptions(variant="cascade", network=FEW)
    content = {"format": form, "options": options.to_mapping(),
               "network": network().state_dict()}  # fmt: skip
    torch.save(content, tmp_path / "epoch.pt")
    assert weights.load(tmp_path / "epoch.pt").options.hypotheses == FEW.hypotheses


def test_other_files_are_refused_with_their_names(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no weights `.*gone.pt`"):
        weights.load(tmp_path / "gone.pt")
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(BadInput, match="no file of weights"):
        weights.load(tmp_path / "text.pt")
    torch.save({"format": "splat 1"}, tmp_path / "splat.pt")
    with pytest.raises(BadInput, match="its format is splat 1"):
        weights.load(tmp_path / "splat.pt")
    weights.save(tmp_path / "other.pt", network("mvsnet"), "cascade", FEW)
    with pytest.raises(BadInput, match="do not fit the network `cascade`"):
        weights.load(tmp_path / "other.pt")


def plane_depth(lens: Intrinsics, normal: NDArray[np.float64]) -> NDArray[np.float32]:
    """Depths of the plane through (0, 0, 2), [H, W]."""
    y, x = np.mgrid[: lens.height, : lens.width] + 0.5
    rays = np.stack([(x - lens.cx) / lens.fl_x, (y - lens.cy) / lens.fl_y, np.ones_like(x)], -1)
    return np.asarray(2 * normal[2] / (rays @ normal), np.float32)


def test_projection_takes_a_point_to_its_pixel() -> None:
    frame = Frame("a.png", np.eye(4), Intrinsics(64, 48, 50.0, 60.0, 32.0, 24.0))
    seen = projection(frame) @ np.array([0.2, -0.1, 2.0, 1.0])
    assert np.allclose(seen[:2] / seen[2], [37, 21])
