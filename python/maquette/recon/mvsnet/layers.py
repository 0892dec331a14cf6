"""Layers of the networks: convolution, batch normalisation, leaky ReLU.

Names of submodules are those of MVSNet_pl, so that its checkpoints fit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

LEAK = 0.01  # slope below zero, of the networks that MVSNet_pl trains
_MOST_OF_TORCH = 20480  # numbers in the first axes of a volume that torch convolves by its own code


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


def _is_plain(values: Tensor) -> bool:
    """Whether oneDNN may be called by name: 32-bit numbers on a CPU."""
    is_float = values.device.type == "cpu" and values.dtype == torch.float32
    return is_float and torch._C._has_mkldnn and not torch.is_autocast_enabled("cpu")


def _convolved(values: Tensor, weight: Tensor, bias: Tensor | None, stride: int = 1) -> Tensor:
    """A 3-D convolution without gradient.

    On a CPU by oneDNN whatever the size, channels together in memory: for flat volumes torch would
    take its own, which writes 27 copies of the volume to memory first.
    """
    if not _is_plain(values):
        return functional.conv3d(values, weight, bias, stride, 1)
    values = values.contiguous(memory_format=torch.channels_last_3d)
    return torch.mkldnn_convolution(values, weight, bias, (1,) * 3, (stride,) * 3, (1,) * 3, 1)


def _with_gradient(values: Tensor, weight: Tensor, stride: int) -> Tensor:
    """A 3-D convolution with gradient.

    Of two planes in 32 bits on a CPU, whatever else has 16: of such volumes oneDNN makes the
    weights' gradient from memory that nobody has written, now and then NaN.
    """
    has_bfloat16 = values.device.type == "cpu" and torch.is_autocast_enabled("cpu")
    if has_bfloat16 and stride == 1 and values.shape[2] == 2:
        with torch.autocast("cpu", enabled=False):
            return functional.conv3d(values.float(), weight.float(), None, stride, 1)
    return functional.conv3d(values, weight, None, stride, 1)


def _doubled(values: Tensor, weight: Tensor, bias: Tensor, more: list[int]) -> Tensor:
    """A transposed 3-D convolution of stride 2 without gradient, as `_convolved`."""
    if not _is_plain(values):
        return functional.conv_transpose3d(values, weight, bias, 2, 1, more)
    values = values.contiguous(memory_format=torch.channels_last_3d)
    found: Tensor = torch.ops.mkldnn._convolution_transpose_pointwise(
        values, weight, bias, [1] * 3, more, [2] * 3, [1] * 3, 1, "none", [], ""
    )
    return found


def _turned(volume: Tensor) -> Tensor:
    """[B, C, D, h, w], or a weight, with its planes last: [B, C, h, w, D]."""
    return volume.permute(0, 1, 3, 4, 2)


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

    def forward(self, values: Tensor, is_turned: bool = False) -> Tensor:
        stride = self.conv.stride[0]
        if self.training or torch.is_grad_enabled():
            kernel = _turned(self.conv.weight) if is_turned else self.conv.weight
            found: Tensor = self.bn(_with_gradient(values, kernel, stride))
            return found
        weight, bias = _folded(self.conv.weight, self.bn, 0)
        return functional.leaky_relu_(_convolved(values, weight, bias, stride), LEAK)


class Up3d(nn.Sequential):
    """Twice the size of a volume, exactly that of the one it will be added to."""

    def __init__(self, inside: int, out: int) -> None:
        super().__init__(
            nn.ConvTranspose3d(inside, out, 3, stride=2, padding=1, bias=False), NormAct3d(out)
        )

    def onto(self, volume: Tensor, skipped: Tensor, is_turned: bool = False) -> Tensor:
        """`skipped` + the doubled `volume`."""
        kernel: Tensor = self[0].get_parameter("weight")
        more = [size - 2 * coarse + 1 for size, coarse in
                zip(skipped.shape[2:], volume.shape[2:], strict=True)]  # fmt: skip
        if self.training or torch.is_grad_enabled():
            kernel = _turned(kernel) if is_turned else kernel
            made = functional.conv_transpose3d(volume, kernel, None, 2, 1, more)
            raised: Tensor = self[1](made)
            return raised + skipped
        weight, bias = _folded(kernel, self[1], 1)
        return functional.leaky_relu_(_doubled(volume, weight, bias, more), LEAK).add_(skipped)


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
        if not self._is_flat(volume):
            return self.after_first(self.conv0(volume))
        together = _turned(volume).contiguous(memory_format=torch.channels_last_3d)
        logits = self.after_first(self.conv0(together, True), True)  # [B, h, w, D]
        return logits.permute(0, 3, 1, 2)

    def after_first(self, first: Tensor, is_turned: bool = False) -> Tensor:
        """The rest of the way, from what the first layer made."""
        kept = [first]
        for level in range(1, self.levels + 1):
            down, same = self.get_submodule(f"conv{2 * level - 1}"), f"conv{2 * level}"
            kept.append(self.get_submodule(same)(down(kept[-1], is_turned), is_turned))
        found = kept.pop()
        for place in range(self.levels):
            up = self.get_submodule(f"conv{2 * self.levels + 1 + 2 * place}")
            assert isinstance(up, Up3d)
            found = up.onto(found, kept.pop(), is_turned)
        return self._logits(found, is_turned)[:, 0]

    def _logits(self, volume: Tensor, is_turned: bool) -> Tensor:
        if self.training or torch.is_grad_enabled():
            kernel = _turned(self.prob.weight) if is_turned else self.prob.weight
            return functional.conv3d(volume, kernel, self.prob.bias, 1, 1)
        return _convolved(volume, self.prob.weight, self.prob.bias)

    def _is_flat(self, volume: Tensor) -> bool:
        """Whether torch would keep oneDNN from a convolution of this volume with gradient.

        It asks for more than 20480 numbers in channels × the first two axes of one volume on a
        CPU. With the planes last these are rows and columns, of which there are enough.
        """
        if volume.device.type != "cpu" or len(volume) > 1:
            return False
        fewest = (self.prob.in_channels * volume.shape[2] * volume.shape[3]) >> self.levels
        return (self.training or torch.is_grad_enabled()) and fewest <= _MOST_OF_TORCH
