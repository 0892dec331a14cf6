"""A plane sweep sees what the cameras say, and depths come out of probabilities as they should."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from dtu_folder import camera_of, render
from maquette.errors import ConfigError
from maquette.recon.mvsnet import networks, planes, regression, warping
from maquette.recon.mvsnet.options import NetworkOptions

SIZE = (64, 48)


def projections(count: int, stride: int = 1) -> Tensor:
    """[1, V, 4, 4] of the data set's cameras, for pictures that are `stride` times as large."""
    found = [camera_of(view, SIZE).projection(4.0 * stride) for view in range(count)]
    return torch.from_numpy(np.stack(found))[None]


@pytest.mark.parametrize("stride", [1, 4])
def test_a_pixel_at_a_depth_is_moved_to_where_the_other_camera_sees_it(stride: int) -> None:
    """Features are their own coordinates, so what is read is the place where it was read."""
    width, height = SIZE
    matrices = planes.sweep_matrices(projections(2, stride), stride)
    rows, columns = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)),
                                   indexing="ij")  # fmt: skip
    depths = torch.tensor([[500.0, 800.0]])
    features = torch.stack([columns, rows])[None]
    seen = warping.warp(features, matrices[0], depths, (height, width))
    first, second = projections(2, stride)[0].double().numpy()
    checked = 0
    for y, x, plane in [(22, 20, 1), (24, 32, 1), (40, 50, 0), (30, 30, 1)]:
        depth = float(depths[0, plane])
        u, v = stride * x + 0.5, stride * y + 0.5
        point = np.linalg.inv(first) @ [u * depth, v * depth, depth, 1.0]
        there = second @ point
        expected = (there[:2] / there[2] - 0.5) / stride
        if 0 <= expected[0] <= width - 1 and 0 <= expected[1] <= height - 1:
            checked += 1
            assert seen[0, :, plane, y, x].numpy() == pytest.approx(expected, abs=2e-3)
    assert checked >= 3


def test_true_depth_brings_pictures_onto_one_another() -> None:
    cameras = [camera_of(view, SIZE) for view in range(2)]
    (depth, picture), (_, other) = (render(camera, SIZE, 5) for camera in cameras)
    matrices = planes.sweep_matrices(projections(2), 1)
    other_picture = torch.from_numpy(other).permute(2, 0, 1)[None].float()
    known = torch.from_numpy(picture).permute(2, 0, 1)[None].float()

    def apart(scale: float) -> float:
        hypotheses = torch.from_numpy(depth * scale)[None, None].float()
        moved = warping.warp(other_picture, matrices[0], hypotheses, (SIZE[1], SIZE[0]))[:, :, 0]
        inside = moved.sum(1) > 0
        return float((moved - known).abs().mean(1)[inside].median())

    assert apart(1.0) < 0.02
    assert apart(1.05) > 3 * apart(1.0) and apart(0.95) > 3 * apart(1.0)


def test_what_lies_behind_or_beside_a_view_is_nothing() -> None:
    features = torch.ones(1, 1, 4, 4)
    matrix = torch.eye(3, 4)[None]
    beside, behind = matrix.clone(), matrix.clone()
    beside[0, 0, 3] = 1e4
    behind[0, 2, 3] = -100.0
    depths = torch.tensor([[10.0]])
    assert float(warping.warp(features, matrix, depths, (4, 4)).sum()) == pytest.approx(16.0)
    assert float(warping.warp(features, beside, depths, (4, 4)).sum()) == 0.0
    assert float(warping.warp(features, behind, depths, (4, 4)).sum()) == 0.0


def test_views_that_agree_cost_nothing() -> None:
    features = torch.rand(1, 6, 5, 7)
    matrices = torch.eye(3, 4).expand(2, 1, 3, 4)
    others = features.expand(2, 1, 6, 5, 7)
    depths = torch.tensor([[1.0, 2.0]])
    assert float(warping.variance(features, others, matrices, depths).abs().max()) < 1e-6
    same = warping.correlation(features, features, matrices[0], depths, groups=3)
    assert same[0, :, 0] == pytest.approx(features.square().reshape(3, 2, 5, 7).mean(1), rel=1e-5)


def test_hypotheses_reach_from_near_to_far() -> None:
    span = torch.tensor([[425.0, 935.0]])
    assert planes.equal_depths(span, 3)[0].tolist() == pytest.approx([425.0, 680.0, 935.0])
    inverse = planes.inverse_depths(span, 3)[0].reciprocal()
    assert inverse[0] == pytest.approx(1 / 935.0) and inverse[2] == pytest.approx(1 / 425.0)
    assert inverse[1] == pytest.approx((1 / 425.0 + 1 / 935.0) / 2)


def test_the_next_stage_looks_on_both_sides_and_never_outside() -> None:
    span = torch.tensor([[2.0, 10.0]])
    depth = torch.full((1, 1, 2), 4.0)
    off = torch.tensor([[[0.05, 10.0]]])
    found = planes.narrowed(depth, off, span, 5)
    inverse = found[0, :, 0, 0].reciprocal().tolist()
    assert inverse == pytest.approx([0.2, 0.225, 0.25, 0.275, 0.3])
    assert float(found.min()) >= 2.0 - 1e-5 and float(found.max()) <= 10.0 + 1e-4


@pytest.mark.parametrize("size", [(8, 10), (7, 9)])
def test_a_map_of_twice_the_size_keeps_its_pixels(size: tuple[int, int]) -> None:
    coarse = torch.rand(1, 4, 5)
    finer = planes.doubled(coarse, *size)
    assert finer.shape == (1, *size)
    assert torch.allclose(finer[0, ::2, ::2], coarse[0], atol=1e-6)
    assert torch.allclose(finer[0, 0, 1], (coarse[0, 0, 0] + coarse[0, 0, 1]) / 2, atol=1e-6)


def test_a_sharp_peak_is_its_depth_and_sure() -> None:
    probability = torch.zeros(1, 8, 1, 1)
    probability[0, 3] = 0.75
    probability[0, 4] = 0.25
    values = torch.arange(10.0, 18.0)[None]
    assert float(regression.expectation(probability, values)) == pytest.approx(13.25)
    assert float(regression.confidence(probability)) == pytest.approx(1.0)
    whole = values[..., None, None]
    mean = regression.expectation(probability, values)
    expected = (0.75 * 0.25**2 + 0.25 * 0.75**2) ** 0.5
    assert float(regression.deviation(probability, whole, mean)) == pytest.approx(expected)


def test_a_window_ignores_the_other_peak() -> None:
    probability = torch.zeros(1, 12, 1, 1)
    probability[0, 2], probability[0, 10] = 0.6, 0.4
    values = torch.arange(12.0)[None]
    near = regression.windowed(probability, 2)
    assert float(regression.expectation(near, values)) == pytest.approx(2.0)
    assert float(regression.confidence(torch.full((1, 12, 1, 1), 1 / 12))) == pytest.approx(4 / 12)


@pytest.mark.parametrize("variant", networks.VARIANTS)
def test_networks_take_pictures_of_any_size(variant: str) -> None:
    torch.manual_seed(0)
    network = networks.build(variant, NetworkOptions(n_depths=10, hypotheses=(10, 6, 4)))
    found = network(torch.rand(1, 2, 3, 45, 62), projections(2), torch.tensor([[425.0, 935.0]]))
    size = (45, 62) if found.scale == 1.0 else (12, 16)
    assert found.depth.shape == found.confidence.shape == (1, *size)
    assert float(found.depth.detach().min()) >= 424.9 and float(found.depth.detach().max()) <= 935.1
    assert float(found.confidence.min()) >= 0.0 and float(found.confidence.max()) <= 1.0
    torch.autograd.backward(sum(stage.mean() for stage in found.stages))  # type: ignore[arg-type]
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_a_cost_volume_in_slabs_gives_what_the_whole_one_does() -> None:
    torch.manual_seed(0)
    network = networks.build("mvsnet", NetworkOptions(n_depths=40))
    told = torch.rand(1, 2, 3, 24, 32), projections(2), torch.tensor([[425.0, 935.0]])
    network(*told)  # the normalisations learn something
    with torch.no_grad():
        parts = network.eval()(*told).depth
        for module in network.modules():  # as in training, but for the normalisations
            module.training = not isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d)
        whole = network(*told).depth
    assert torch.allclose(parts, whole, rtol=1e-5)


def test_the_cascade_is_small() -> None:
    count = sum(parameter.numel() for parameter in networks.build("cascade").parameters())
    assert 250_000 < count < 275_000


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(ConfigError, match="no network `resnet`") as caught:
        networks.build("resnet")
    assert "cascade, mvsnet" in caught.value.hint
