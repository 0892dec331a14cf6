"""How windows around pixels fit source views: the plain twin of the kernels' first part.

Sources: see `sweeping.py`; symbols as in `stacks.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from maquette.recon.mvs.stacks import Stack
from maquette.recon.mvs.sweep_state import Window

UNSEEN = 2.0  # the highest photometric cost: a view does not see the place
_FLAT = 0.5  # grey levels squared: windows with less variance say nothing
_CAP_PX = 3.0


class ReferenceWindows:
    """Windows around pixels x, y [N] of the reference view, to be matched."""

    def __init__(self, stack: Stack, window: Window, x: Tensor, y: Tensor) -> None:
        self.stack, self.window, self.x, self.y = stack, window, x, y
        height, width = stack.size
        right, down, away = window.offsets
        i = (x[:, None] + right.long()).clamp(0, width - 1)  # [N, 32]
        j = (y[:, None] + down.long()).clamp(0, height - 1)
        self.middle = (stack.texels[y * width + x] & 255).float()[:, None]
        value = (stack.texels[j * width + i] & 255).float() - self.middle
        weight = torch.exp(-(value.square() * window.contrast + away).clamp(max=20.0))
        weight = weight * stack.used[j * width + i]
        self.weight = weight / weight.sum(1, keepdim=True)
        mean = (self.weight * value).sum(1, keepdim=True)
        self.value = value - mean
        self.variance = (self.weight * self.value.square()).sum(1)
        fl_x, fl_y, cx, cy = stack.lens
        self.rays = torch.stack(
            [(x + 0.5 - cx) / fl_x, (y + 0.5 - cy) / fl_y, torch.ones_like(x)], 1
        )

    def match(self, view: int, planes: Tensor) -> Tensor:
        """Photometric cost of planes [N, 3], [N]."""
        camera = self.stack.cameras[view]
        start, across, along = self.stack.layout[view + 1].tolist()
        homography = camera[:9].reshape(3, 3) + camera[9:12, None] * planes[:, None]  # [N, 3, 3]
        q = (homography @ self.rays[..., None])[..., 0]  # [N, 3]
        u, v = q[:, 0] / q[:, 2], q[:, 1] / q[:, 2]
        seen = (q[:, 2] > 0) & (u > 0) & (v > 0) & (u < across) & (v < along)
        at = torch.where(seen, v.long() * across + u.long(), 0)
        seen &= self.stack.used[start + at].bool()
        step = self.window.offsets[:2] / self.stack.lens[:2, None]  # [2, 32]
        samples = q[..., None] + homography[..., :2] @ step  # [N, 3, 32]
        z = torch.maximum(samples[:, 2], 0.1 * q[:, 2:])
        u = (samples[:, 0] / z - 0.5).clamp(0, across - 1)
        v = (samples[:, 1] / z - 0.5).clamp(0, along - 1)
        value = self._interpolate(start, across, u, v) - self.middle
        mean = (self.weight * value).sum(1, keepdim=True)
        variance = (self.weight * (value - mean).square()).sum(1)
        common = (self.weight * self.value * value).sum(1)
        cost = 1 - common / (self.variance * variance).sqrt()
        seen &= (self.variance > _FLAT) & (variance > _FLAT)
        return torch.where(seen, cost.clamp(0, UNSEEN), UNSEEN)

    def _interpolate(self, start: int, across: int, u: Tensor, v: Tensor) -> Tensor:
        four = self.stack.texels[start + v.nan_to_num().long() * across + u.nan_to_num().long()]
        a, b, c, d = ((four >> shift & 255).float() for shift in (0, 8, 16, 24))
        s, t = u - u.floor(), v - v.floor()
        top, bottom = a + s * (b - a), c + s * (d - c)
        return top + t * (bottom - top)

    def disagreement(self, view: int, planes: Tensor) -> Tensor:
        """How far the depth that a source view has there lands from the pixels, [N] pixels.

        Source: ACMM, section 4.2: the error forward and backward, at most 3 pixels.
        """
        camera, depths = self.stack.cameras[view], self.stack.depths
        start, across, along = self.stack.layout[view + 1].tolist()
        inverse = (planes * self.rays).sum(1, keepdim=True)
        q = self.rays @ camera[:9].reshape(3, 3).T + inverse * camera[9:12]
        u, v = q[:, 0] / q[:, 2], q[:, 1] / q[:, 2]
        seen = (q[:, 2] > 0) & (u > 0) & (v > 0) & (u < across) & (v < along)
        at = torch.where(seen, v.long() * across + u.long(), 0)
        depth = depths[start + at]
        pixel = torch.stack([u, v, torch.ones_like(u)], 1)
        p = depth[:, None] * (pixel @ camera[12:21].reshape(3, 3).T) + camera[21:24]
        off_x, off_y = p[:, 0] / p[:, 2] - self.x - 0.5, p[:, 1] / p[:, 2] - self.y - 0.5
        error = torch.hypot(off_x, off_y).nan_to_num(_CAP_PX).clamp(max=_CAP_PX)
        return torch.where(seen & (depth > 0), error, _CAP_PX)
