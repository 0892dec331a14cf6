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


class Conv2d(nn.Sequential):
    """[B, in, H, W] to [B, out, H / stride, W / stride]."""

    def __init__(self, inside: int, out: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, out, kernel, stride, kernel // 2, bias=False)
        self.bn = NormAct2d(out)


class Conv3d(nn.Sequential):
    """[B, in, D, h, w] to [B, out, D / stride, h / stride, w / stride]."""

    def __init__(self, inside: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inside, out, 3, stride, 1, bias=False)
        self.bn = NormAct3d(out)


class Up3d(nn.Sequential):
    """Twice the size of a volume, exactly that of the one it will be added to."""

    def __init__(self, inside: int, out: int) -> None:
        super().__init__(
            nn.ConvTranspose3d(inside, out, 3, stride=2, padding=1, bias=False), NormAct3d(out)
        )

    def onto(self, volume: Tensor, skipped: Tensor) -> Tensor:
        """`skipped` + the doubled `volume`."""
        raised: Tensor = self[1](self[0](volume, output_size=skipped.shape[2:]))
        return raised + skipped if torch.is_grad_enabled() else raised.add_(skipped)


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
