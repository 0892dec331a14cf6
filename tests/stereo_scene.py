"""A textured ball before a wall, seen by cameras that stand around it; depths in closed form.

World: the reference camera's frame (x right, y down, z forward); the ball has its centre at z = 3
and radius 0.8, the wall stands at z = 4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mvs.stacks import GreyView
from maquette.scene.transforms import Frame, Intrinsics

Floats = NDArray[np.float64]
CENTER, RADIUS, WALL = np.array([0.0, 0.0, 3.0]), 0.8, 4.0
SPAN = (1.6, 6.0)


def is_faint(points: Floats) -> NDArray[np.bool_]:
    """Which points [..., 3] lie in the part of the wall that may be faint."""
    x, y, z = np.moveaxis(points, -1, 0)
    return (np.abs(x) < 0.6) & (np.abs(y + 1.05) < 0.17) & (z > WALL - 1e-6)


def stereo_views(
    width: int, height: int, angle_deg: float = 10.0, faint: float = 1.0
) -> tuple[list[GreyView], list[NDArray[np.float32]]]:
    """A reference view and four around it, with their true depths.

    Args:
        faint: Contrast of a part of the wall above the ball, beside that of the rest; below 1
            pixels have some noise.
    """
    lens = Intrinsics(width, height, 1.1 * width, 1.1 * width, width / 2, height / 2)
    turns = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)]
    views, depths = [], []
    for number, turn in enumerate(turns):
        frame = Frame(f"images/{number}.png", _pose(*np.radians(angle_deg * np.array(turn))), lens)
        image, depth = _render(frame, faint, number)
        views.append(GreyView(frame, image))
        depths.append(depth)
    return views, depths


def _pose(across: float, up: float) -> Floats:
    """world_from_cam [4, 4] after a turn around the ball's centre."""
    a, b = np.cos([across, up]), np.sin([across, up])
    about_y = np.array([[a[0], 0, b[0]], [0, 1, 0], [-b[0], 0, a[0]]])
    about_x = np.array([[1, 0, 0], [0, a[1], -b[1]], [0, b[1], a[1]]])
    pose = np.eye(4)
    pose[:3, :3] = about_y @ about_x
    pose[:3, 3] = CENTER - pose[:3, :3] @ CENTER
    return pose


def _render(frame: Frame, faint: float, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    lens, pose = frame.intrinsics, frame.world_from_cam
    x, y = np.meshgrid(np.arange(lens.width) + 0.5, np.arange(lens.height) + 0.5)
    local = np.stack([(x - lens.cx) / lens.fl_x, (y - lens.cy) / lens.fl_y, np.ones_like(x)], -1)
    rays, eye = local @ pose[:3, :3].T, pose[:3, 3]
    depth = (WALL - eye[2]) / rays[..., 2]
    square, along = (rays**2).sum(-1), rays @ (eye - CENTER)
    inside = along**2 - square * ((eye - CENTER) @ (eye - CENTER) - RADIUS**2)
    met = inside > 0
    depth[met] = ((-along - np.sqrt(inside.clip(0))) / square)[met]
    points = eye + depth[..., None] * rays
    light = _light(points)
    if faint < 1:
        light = np.where(is_faint(points), faint * light, light)
        light += np.random.default_rng(seed).normal(0, 0.05, light.shape)
    image = np.clip(127 + 14 * light, 0, 255).astype(np.uint8)
    return image, depth.astype(np.float32)


def _light(points: Floats) -> Floats:
    random = np.random.default_rng(3)
    waves = random.normal(0, 1, (40, 3)) * random.uniform(4, 22, (40, 1))
    return np.asarray(np.sin(points @ waves.T + random.uniform(0, 6.3, 40)).sum(-1))
