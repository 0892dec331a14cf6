"""Depth maps added to the voxels of one block: a truncated signed distance and its weight.

Notation: X is a voxel in the camera's frame, r the ray (z = 1) through the centre of the pixel that
it projects to, d and n that pixel's depth and normal. The signed distance is that to the pixel's
plane, s = n · (X − d r), positive before the surface. Its weight is w = cos(n, −r) / d²: a
surface is known the better, the closer and the more head-on it was seen.

Sources: B. Curless and M. Levoy, "A volumetric method for building complex models from range
images", 1996, eq. 1-4; the plane's distance in place of that along the ray, and the weight's fall
behind the surface, as in E. Bylow et al., "Real-time camera tracking and 3D reconstruction using
signed distance functions", 2013, section III-B.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maquette.scene.transforms import Frame

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Truncation:
    """How far from a depth map's surface it says something.

    Attributes:
        front, behind: Distances before and behind the surface, in the grid's frame.
        free: Weight of a voxel farther before the surface than `front`, as a share.
    """

    front: float
    behind: float
    free: float


@dataclass(frozen=True)
class DepthView:
    """A depth map in the grid's frame.

    Attributes:
        cam_from_world: [3, 4] float32, the grid's frame being the world.
        lens: [4] float32: fl_x, fl_y, cx, cy, pixels.
        depth: [H, W] float32 along +z; 0 = none.
        normals: [H, W, 3] float32, camera frame, of length 1, facing the camera.
    """

    cam_from_world: Floats
    lens: Floats
    depth: Floats
    normals: Floats

    @classmethod
    def of(cls, frame: Frame, depth: Floats, normals: Floats) -> DepthView:
        """A depth map with its camera, in the frame of that camera's pose."""
        lens = frame.intrinsics
        pose = np.linalg.inv(frame.world_from_cam)[:3]
        return cls(
            pose.astype(np.float32),
            np.array([lens.fl_x, lens.fl_y, lens.cx, lens.cy], np.float32),
            np.ascontiguousarray(depth, np.float32),
            np.ascontiguousarray(normals, np.float32),
        )


@dataclass(frozen=True)
class Volume:
    """The voxels of a block near the surface.

    Attributes:
        low, spacing: [3] float32: a voxel lies at low + spacing · place.
        places: [N, 3] int32, grid points.
        sums, weights: [N] float32, Σ w s and Σ w.
        support: [N] float32, Σ w d²: about how many views told of each, head-on.
    """

    low: Floats
    spacing: Floats
    places: NDArray[np.int32]
    sums: Floats
    weights: Floats
    support: Floats


def integrate(volume: Volume, view: DepthView, truncation: Truncation, fast: bool = True) -> None:
    """Add a depth map to a block in place, with the kernel or with its twin."""
    if not fast:
        return integrate_reference(volume, view, truncation)
    from maquette.recon.mesh.kernels.integration import integrate as with_kernel

    return with_kernel(volume, view, truncation)


def integrate_reference(volume: Volume, view: DepthView, truncation: Truncation) -> None:
    """What the kernel computes, array by array; see the module's head."""
    world = volume.low + volume.spacing * volume.places.astype(np.float32)
    points = world @ view.cam_from_world[:, :3].T + view.cam_from_world[:, 3]  # [N, 3]
    fl_x, fl_y, cx, cy = view.lens
    ahead = points[:, 2] > 0
    z = np.where(ahead, points[:, 2], 1.0)
    u, v = fl_x * points[:, 0] / z + cx, fl_y * points[:, 1] / z + cy
    height, width = view.depth.shape
    chosen = np.flatnonzero(ahead & (u >= 0) & (v >= 0) & (u < width) & (v < height))
    column, row = u[chosen].astype(np.intp), v[chosen].astype(np.intp)
    depth, normal = view.depth[row, column], view.normals[row, column]
    rays = np.stack([(column + 0.5 - cx) / fl_x, (row + 0.5 - cy) / fl_y, np.ones(len(row))], 1)
    cosine = -np.einsum("ij,ij->i", normal, rays) / np.linalg.norm(rays, axis=1)
    distance = np.einsum("ij,ij->i", normal, points[chosen] - depth[:, None] * rays)
    weight = cosine * np.where(distance < 0, 1.0 + 0.9 * distance / truncation.behind, 1.0)
    weight[distance > truncation.front] *= truncation.free
    weight[(depth <= 0) | (cosine <= 0) | (distance < -truncation.behind)] = 0.0
    volume.support[chosen] += weight
    weight = weight / np.where(depth > 0, depth, 1.0) ** 2
    volume.sums[chosen] += weight * np.minimum(distance, truncation.front)
    volume.weights[chosen] += weight
