"""What a rendering of Gaussians gives."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass
class Footprints:
    """What a rendering leaves behind about its Gaussians; the last two after backward.

    Attributes:
        size: Width and height of the picture, pixels.
        touched: [N] int32, how many tiles each reaches; 0 = not drawn.
        score: [H, W] to be set before backward: what pixels are worth.
        sums: [N, 16] gradients by ellipse, undefined where not drawn: of x, y (per pixel), of
            the conic, opacity, colour, depth, and last what it covers of `score`, in its share.
    """

    size: tuple[int, int]
    touched: Tensor
    score: Tensor | None = None
    sums: Tensor | None = None

    @property
    def visible(self) -> Tensor:
        """Which Gaussians are drawn, [N] bool."""
        return self.touched > 0


@dataclass(frozen=True)
class Rendering:
    """A picture, the background not included.

    Attributes:
        color: [3, H, W] sRGB, in the share of what covers the pixel.
        depth: [H, W] mean depth in the same share; divide by 1 - passing.
        passing: [H, W] share of light from behind everything.
        footprints: About the Gaussians; None of the twin.
    """

    color: Tensor
    depth: Tensor
    passing: Tensor
    footprints: Footprints | None = None
