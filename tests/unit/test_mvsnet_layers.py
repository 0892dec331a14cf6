"""The quick ways through the layers give what the plain ones give."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from maquette.recon.mvsnet import layers
from maquette.recon.mvsnet.cascade import Cascade, FeaturePyramid
from maquette.recon.mvsnet.layers import Conv3d, UNet3d
from maquette.recon.mvsnet.options import NetworkOptions

SIZES = [(8, 12, 20), (7, 13, 9), (1, 5, 6)]  # planes, rows, columns


def settled(network: nn.Module) -> nn.Module:
    """A network whose normalisations have seen something."""
    for part in network.modules():
        if isinstance(part, layers.NormAct2d | layers.NormAct3d):
            assert part.running_mean is not None and part.running_var is not None
            part.running_mean.normal_(0.0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
    return network


@pytest.fixture
def volumes() -> UNet3d:
    torch.manual_seed(2)
    found = settled(UNet3d(4, levels=2))
    assert isinstance(found, UNet3d)
    return found


def slopes(network: nn.Module, given: Tensor) -> list[Tensor]:
    """What comes out of a network, and the gradients of a weighted sum of it."""
    found = network(given)
    weights = torch.linspace(-1.0, 1.0, found.numel(), dtype=found.dtype).view(found.shape)
    parameters = list(network.parameters())
    return [found.detach(), *torch.autograd.grad((found * weights).sum(), [given, *parameters])]


@pytest.mark.parametrize("size", SIZES)
def test_planes_last_give_the_same_logits_and_gradients(
    size: tuple[int, int, int], volumes: UNet3d, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = volumes.double().eval()
    given = torch.randn(1, 4, *size, dtype=torch.float64, requires_grad=True)
    turned = slopes(network, given)
    monkeypatch.setattr(layers, "_MOST_OF_TORCH", -1)
    for one, other in zip(turned, slopes(network, given), strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", SIZES)
def test_without_gradients_the_logits_are_the_same(
    size: tuple[int, int, int], volumes: UNet3d
) -> None:
    given = torch.randn(1, 4, *size)
    trained = volumes.eval()(given).detach()
    with torch.no_grad():
        found = volumes(given)
    assert found.shape == (1, *size)
    assert torch.allclose(found, trained, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(16, 24), (18, 26), (17, 24), (18, 25), (13, 11)])
def test_the_finest_features_are_those_of_the_layers_one_by_one(size: tuple[int, int]) -> None:
    torch.manual_seed(4)
    pyramid = FeaturePyramid().double()
    height, width = size
    whole = torch.randn(2, 8, height, width, dtype=torch.float64)
    middle = torch.randn(2, 32, (height + 1) // 2, (width + 1) // 2, dtype=torch.float64)
    raised = functional.interpolate(middle, size, mode="nearest")
    expected = pyramid.out3(raised + pyramid.inner2(whole))
    assert torch.allclose(pyramid._finest(middle, whole), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("has_kernels", [True, False])
def test_views_added_without_gradient_make_the_same_volume(has_kernels: bool) -> None:
    """Of the second stage, whose weights are known before."""
    torch.manual_seed(5)
    network = Cascade(NetworkOptions(has_kernels=has_kernels))
    views = [torch.randn(1, 16, 10, 14) for _ in range(3)]
    weights = [torch.rand(1, 1, 1, 5, 7) for _ in range(2)]
    matrices = torch.eye(3, 4).repeat(2, 1, 1, 1)
    matrices[:, 0, 0, 3] = torch.tensor([1.5, -2.5])
    depths = 1.0 + torch.rand(1, 6, 10, 14)
    expected, used = network._cost(1, views, matrices, depths, weights)
    with torch.no_grad():
        found, also_used = network._cost(1, views, matrices, depths, weights)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert all(map(torch.equal, used, also_used))


def test_gradients_with_16_bits_come_from_written_memory_alone() -> None:
    """Of two planes, which the finest stage of the cascade has at its coarsest level."""
    layer = Conv3d(8, 8)
    volume = torch.randn(2, 8, 2, 16, 20).contiguous(memory_format=torch.channels_last_3d)
    with torch.autocast("cpu", torch.bfloat16):
        made = layer(volume).sum()
    found = []
    for _ in range(4):
        _fill_free_memory()
        found.append(torch.autograd.grad(made, layer.conv.weight, retain_graph=True)[0])
    assert torch.isfinite(found[0]).all()
    assert all(torch.equal(one, found[0]) for one in found)


def _fill_free_memory() -> None:
    """Leave NaN where the next tensors of usual sizes will lie."""
    sizes = (100, 1000, 9000, 28_000, 60_000, 250_000)
    filled = [torch.full((size,), torch.nan) for size in sizes for _ in range(4)]
    del filled
