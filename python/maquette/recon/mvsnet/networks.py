"""The networks by their names."""

from __future__ import annotations

from typing import Literal, get_args

from torch import nn

from maquette.errors import ConfigError
from maquette.recon.mvsnet.cascade import Cascade
from maquette.recon.mvsnet.options import NetworkOptions
from maquette.recon.mvsnet.original import MVSNet

Variant = Literal["cascade", "mvsnet"]
VARIANTS: tuple[str, ...] = get_args(Variant)


def build(variant: str, options: NetworkOptions | None = None) -> nn.Module:
    """A network with random weights.

    Its `forward(images, projections, depth_range)` gives a `Prediction`:

        images: [B, V, 3, H, W] float32, sRGB 0..1, the reference first; any H and W.
        projections: [B, V, 4, 4] float32, world to pixel at full size (K·[R|t], last row 0 0 0 1);
            the centre of the first pixel is (0.5, 0.5).
        depth_range: [B, 2] float32, near and far, in the cameras' unit.

    Args:
        variant: `cascade`, or `mvsnet` as it was published.

    Raises:
        ConfigError: there is no such variant.
    """
    if variant not in VARIANTS:
        raise ConfigError(f"there is no network `{variant}`", hint=f"one of: {', '.join(VARIANTS)}")
    options = options or NetworkOptions()
    return MVSNet(options) if variant == VARIANTS[1] else Cascade(options)
