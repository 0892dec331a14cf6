"""Points of the world in photographs, and the photographs' colours there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mesh.triangles import FloatArray
from maquette.scene.transforms import Frame

Float32 = NDArray[np.float32]
_NEAREST = 1e-9


def project(points: FloatArray, frame: Frame) -> tuple[Float32, Float32]:
    """Pixels [N, 2] and depths [N] of world points [N, 3]; depth 0 behind the camera."""
    lens, pose = frame.intrinsics, frame.world_from_cam
    x, y, depth = ((points - pose[:3, 3]) @ pose[:3, :3]).T
    ahead = depth > _NEAREST
    safe = np.where(ahead, depth, 1.0)
    pixels = np.empty((len(points), 2), np.float32)
    pixels[:, 0] = lens.fl_x * x / safe + lens.cx
    pixels[:, 1] = lens.fl_y * y / safe + lens.cy
    return pixels, np.where(ahead, depth, 0.0).astype(np.float32)


def sample(image: NDArray[np.uint8] | Float32, pixels: FloatArray) -> Float32:
    """Colours [N, 3] of an image [H, W, 3] at pixels [N, 2], bilinear, clamped at its border."""
    height, width = image.shape[:2]
    x = np.clip(pixels[:, 0] - np.float32(0.5), 0, width - 1).astype(np.float32)
    y = np.clip(pixels[:, 1] - np.float32(0.5), 0, height - 1).astype(np.float32)
    left = np.minimum(x.astype(np.int32), max(width - 2, 0))
    top = np.minimum(y.astype(np.int32), max(height - 2, 0))
    across, down = (x - left)[:, None], (y - top)[:, None]
    right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    upper = image[top, left] * (1 - across) + image[top, right] * across
    lower = image[below, left] * (1 - across) + image[below, right] * across
    return np.asarray(upper * (1 - down) + lower * down, np.float32)
