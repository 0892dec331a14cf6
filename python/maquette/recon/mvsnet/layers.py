"""Layers of the networks: convolution, batch normalisation, leaky ReLU.

Names of submodules are those of MVSNet_pl, so that its checkpoints fit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

LEAK = 0.01  # slope below zero, of the networks that MVSNet_pl trains


class NormAct2d(nn.BatchNorm2d):
    """Batch normalisation and leaky ReLU, the latter in place."""

    def forward(self, values: Tensor) -> Tensor:
        return functional.leaky_relu_(super().forward(values), LEAK)


class NormAct3d(nn.BatchNorm3d):
    """The same of volumes."""

    def forward(self, values: Tensor) -> Tensor:
        return functional.leaky_relu_(super().forward(values), LEAK)


class SyncNormAct(nn.SyncBatchNorm):
    """The same over the batches of all GPUs, of pictures and of volumes."""

    def forward(self, values: Tensor) -> Tensor:
        return functional.leaky_relu_(super().forward(values), LEAK)


def synchronised(network: nn.Module) -> nn.Module:
    """A network whose normalisations look at the batches of all GPUs."""
    for name, part in network.named_children():
        if isinstance(part, NormAct2d | NormAct3d):
            replaced = SyncNormAct(part.num_features)
            replaced.load_state_dict(part.state_dict())
            setattr(network, name, replaced)
        else:
            synchronised(part)
    return network


def _folded(weight: Tensor, norm: nn.Module, axis: int) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that does what the normalisation after it would do.

    Args:
        axis: Of the output channels in the weight.
    """
    assert isinstance(norm, NormAct2d | NormAct3d | SyncNormAct)
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)  # [out]
    shape = [1] * weight.dim()
    shape[axis] = -1
    return weight * scale.view(shape), norm.bias - norm.running_mean * scale


def _convolved(values: Tensor, weight: Tensor, bias: Tensor, conv: nn.Conv3d) -> Tensor:
    """A 3-D convolution without gradient.

    On a CPU by oneDNN whatever the size: for flat volumes torch would take its own, which writes
    27 copies of the volume to memory first.
    """
    stride, padding = (conv.stride[0],) * 3, (1, 1, 1)
    is_plain = values.device.type == "cpu" and values.dtype == weight.dtype == torch.float32
    if is_plain and torch._C._has_mkldnn and not torch.is_autocast_enabled("cpu"):
        return torch.mkldnn_convolution(values, weight, bias, padding, stride, (1, 1, 1), 1)
    return functional.conv3d(values, weight, bias, stride, padding)


class Conv2d(nn.Module):
    """[B, in, H, W] to [B, out, H / stride, W / stride]."""

    def __init__(self, inside: int, out: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, out, kernel, stride, kernel // 2, bias=False)
        self.bn: nn.Module = NormAct2d(out)

    def forward(self, values: Tensor) -> Tensor:
        if self.training or torch.is_grad_enabled():
            found: Tensor = self.bn(self.conv(values))
            return found
        weight, bias = _folded(self.conv.weight, self.bn, 0)
        made = functional.conv2d(values, weight, bias, self.conv.stride, self.conv.padding)
        return functional.leaky_relu_(made, LEAK)


class Conv3d(nn.Module):
    """[B, in, D, h, w] to [B, out, D / stride, h / stride, w / stride]."""

    def __init__(self, inside: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inside, out, 3, stride, 1, bias=False)
        self.bn: nn.Module = NormAct3d(out)

    def forward(self, values: Tensor) -> Tensor:
        if self.training or torch.is_grad_enabled():
            found: Tensor = self.bn(self.conv(values))
            return found
        weight, bias = _folded(self.conv.weight, self.bn, 0)
        return functional.leaky_relu_(_convolved(values, weight, bias, self.conv), LEAK)


class Up3d(nn.Sequential):
    """Twice the size of a volume, exactly that of the one it will be added to."""

    def __init__(self, inside: int, out: int) -> None:
        super().__init__(
            nn.ConvTranspose3d(inside, out, 3, stride=2, padding=1, bias=False), NormAct3d(out)
        )

    def onto(self, volume: Tensor, skipped: Tensor) -> Tensor:
        """`skipped` + the doubled `volume`."""
        if self.training or torch.is_grad_enabled():
            raised: Tensor = self[1](self[0](volume, output_size=skipped.shape[2:]))
            return raised + skipped
        weight, bias = _folded(self[0].get_parameter("weight"), self[1], 1)
        more = [size - 2 * coarse + 1 for size, coarse in
                zip(skipped.shape[2:], volume.shape[2:], strict=True)]  # fmt: skip
        made = functional.conv_transpose3d(volume, weight, bias, 2, 1, more)
        return functional.leaky_relu_(made, LEAK).add_(skipped)


class UNet3d(nn.Module):
    """Regularises a cost volume [B, C, D, h, w] to one logit for each hypothesis [B, D, h, w].

    Source: Yao et al., MVSNet, ECCV 2018, section 3.3; `levels` of halving, 3 there, and as many
    channels as they say: base, 2·base, ….
    """

    def __init__(self, inside: int, levels: int, base: int = 8) -> None:
        super().__init__()
        self.levels = levels
        self.conv0 = Conv3d(inside, base)
        widths = [base << level for level in range(levels + 1)]
        for level in range(1, levels + 1):
            before, width = widths[level - 1], widths[level]
            setattr(self, f"conv{2 * level - 1}", Conv3d(before, width, stride=2))
            setattr(self, f"conv{2 * level}", Conv3d(width, width))
        for place, level in enumerate(range(levels, 0, -1)):
            raised = Up3d(widths[level], widths[level - 1])
            setattr(self, f"conv{2 * levels + 1 + 2 * place}", raised)
        self.prob = nn.Conv3d(base, 1, 3, padding=1)

    def forward(self, volume: Tensor) -> Tensor:
        return self.after_first(self.conv0(volume))

    def after_first(self, first: Tensor) -> Tensor:
        """The rest of the way, from what the first layer made."""
        kept = [first]
        for level in range(1, self.levels + 1):
            down, same = self.get_submodule(f"conv{2 * level - 1}"), f"conv{2 * level}"
            kept.append(self.get_submodule(same)(down(kept[-1])))
        found = kept.pop()
        for place in range(self.levels):
            up = self.get_submodule(f"conv{2 * self.levels + 1 + 2 * place}")
            assert isinstance(up, Up3d)
            found = up.onto(found, kept.pop())
        return self.prob(found)[:, 0]
