"""A camera as tensors, so that its pose can be refined: a pinhole, or an orthographic one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from maquette.scene.transforms import Frame

_FAR = 1e6  # world units behind it: from where an orthographic camera sees colours


@dataclass(frozen=True)
class Camera:
    """Where and how a picture is taken.

    Attributes:
        rotation: [3, 3] float32, camera axes (x right, y down, z forward) from world axes.
        translation: [3] float32, world units: x_cam = rotation · x_world + translation.
        focal: fx, fy in pixels.
        principal: cx, cy in pixels, pixel centres at +0.5.
        width, height: Of the picture, pixels.
        is_orthographic: All rays are parallel to z, and `focal` is pixels a world unit.
    """

    rotation: Tensor
    translation: Tensor
    focal: tuple[float, float]
    principal: tuple[float, float]
    width: int
    height: int
    is_orthographic: bool = False

    @classmethod
    def of(cls, frame: Frame, device: torch.device) -> Camera:
        """The camera of a frame."""
        cam_from_world = np.linalg.inv(frame.world_from_cam)
        lens = frame.intrinsics
        return cls(
            torch.as_tensor(cam_from_world[:3, :3].astype(np.float32), device=device),
            torch.as_tensor(cam_from_world[:3, 3].astype(np.float32), device=device),
            (lens.fl_x, lens.fl_y), (lens.cx, lens.cy), lens.width, lens.height,
        )  # fmt: skip

    @property
    def center(self) -> Tensor:
        """Where it stands, [3] world frame; far behind the picture where rays are parallel."""
        center = -self.rotation.T @ self.translation
        return center - _FAR * self.rotation[2] if self.is_orthographic else center

    @property
    def slopes(self) -> tuple[float, float, float, float]:
        """Least and largest x / z, then y / z, at which perspective is linearised.

        0.15 of the picture beyond its edges: farther out the linear model is worthless. All 0
        where rays are parallel: nothing moves sideways with depth.
        """
        if self.is_orthographic:
            return 0.0, 0.0, 0.0, 0.0
        (fx, fy), (cx, cy) = self.focal, self.principal
        w, h = self.width, self.height
        return (
            (-0.15 * w - cx) / fx, (1.15 * w - cx) / fx, (-0.15 * h - cy) / fy, (1.15 * h - cy) / fy
        )  # fmt: skip

    def scaled(self, width: int, height: int) -> Camera:
        """The same camera for a picture of another size."""
        x, y = width / self.width, height / self.height
        return replace(
            self, width=width, height=height, focal=(self.focal[0] * x, self.focal[1] * y),
            principal=(self.principal[0] * x, self.principal[1] * y),
        )  # fmt: skip
