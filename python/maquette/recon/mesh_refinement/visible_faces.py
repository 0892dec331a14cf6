"""Which face of a mesh each pixel of a view sees; the twin of `kernels/rasterise.py`, and its use.

Frame: the camera's, x right, y down, z forward; pixel centres at +0.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from maquette.recon.mesh_refinement.kernels import rasterise as kernels
from maquette.scene.transforms import Frame

_NONE = torch.iinfo(torch.int64).max
_LEAST_COSINE = 0.2  # between a face's normal and the way to the camera


@dataclass(frozen=True)
class Seen:
    """What a view sees of a mesh.

    Attributes:
        face: [H, W] int64, −1 where there is none.
        depth: [H, W] float32 along +z, 0 where there is none.
        projected: [V, 3] float32, the vertices' x and y in pixels, and depth.
    """

    face: Tensor
    depth: Tensor
    projected: Tensor


def see(vertices: Tensor, faces: Tensor, frame: Frame, fast: bool = True) -> Seen:
    """Draw a mesh into a view; faces that reach behind the camera are left out.

    Args:
        vertices: [V, 3] float32, world.
        faces: [F, 3] int32.
    """
    lens = frame.intrinsics
    projected = project(vertices, frame)
    draw = kernels.draw if fast else nearest_faces
    keys = draw(projected, faces, lens.width, lens.height).view(lens.height, lens.width)
    found = keys != _NONE
    face = torch.where(found, keys & 0xFFFFFFFF, -1)
    depth = torch.where(found, keys >> 32, 0).int().view(torch.float32)
    return Seen(face, depth, projected)


def project(vertices: Tensor, frame: Frame) -> Tensor:
    """Pixels and depth of points [V, 3] world, [V, 3] float32."""
    lens, pose = frame.intrinsics, frame.world_from_cam
    turn = torch.tensor(pose[:3, :3], dtype=torch.float32, device=vertices.device)
    eye = torch.tensor(pose[:3, 3], dtype=torch.float32, device=vertices.device)
    x, y, z = ((vertices - eye) @ turn).unbind(1)
    return torch.stack([lens.fl_x * x / z + lens.cx, lens.fl_y * y / z + lens.cy, z], dim=1)


def nearest_faces(projected: Tensor, faces: Tensor, width: int, height: int) -> Tensor:
    """The nearest face whose projection covers each pixel's centre, edges included.

    Args:
        projected: [V, 3] float32, pixels and depth.
        faces: [F, 3] int32.
    Returns:
        [height · width] int64: the depth's bits, then the face's number; the largest number where
        there is none. So the smaller of two is the nearer one.
    """
    keys = np.full((height, width), _NONE, np.int64)
    y, x = np.mgrid[:height, :width].astype(np.float32) + np.float32(0.5)
    for number, corners in enumerate(projected.cpu().numpy()[faces.cpu().numpy()]):
        if not (corners[:, 2] > 0).all():
            continue
        first = np.maximum(np.floor(corners[:, :2].min(0)).astype(int), 0)
        last = np.ceil(corners[:, :2].max(0)).astype(int)
        part = (slice(first[1], last[1]), slice(first[0], last[0]))
        a, b, c = corners[:, :2] - 0.0
        weights = [
            (q[0] - x[part]) * (r[1] - y[part]) - (q[1] - y[part]) * (r[0] - x[part])
            for q, r in ((b, c), (c, a), (a, b))
        ]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if area == 0 or not weights[0].size:
            continue
        inside = np.all([weight * np.sign(area) >= 0 for weight in weights], axis=0)
        inverse = sum(w / area / z for w, z in zip(weights, corners[:, 2], strict=True))
        with np.errstate(divide="ignore"):
            depth = (1 / inverse).astype(np.float32)
        inside &= depth > 0
        key = depth.view(np.int32).astype(np.int64) << 32 | number
        keys[part] = np.where(inside, np.minimum(keys[part], key), keys[part])
    return torch.from_numpy(keys.reshape(-1)).to(projected.device)


def planes_and_weights(
    seen: Seen, faces: Tensor, frame: Frame, chosen: Tensor
) -> tuple[Tensor, Tensor]:
    """The planes of the faces that some pixels see, and where on the face these lie.

    Args:
        chosen: [P] int64, pixels in their order in memory, each with a face.
    Returns:
        [P, 3] float32, ν in the camera's frame, all X with ν · X = 1; 0 where the face is seen
        from behind or too much from the side. And [P, 3], the weights of the face's corners.
    """
    lens = frame.intrinsics
    corners = seen.projected[faces[seen.face.view(-1)[chosen]].long()]  # [P, 3, 3]
    z = corners[..., 2]
    points = torch.stack([
        (corners[..., 0] - lens.cx) / lens.fl_x * z, (corners[..., 1] - lens.cy) / lens.fl_y * z, z,
    ], dim=-1)  # fmt: skip
    x = (chosen % lens.width + 0.5 - lens.cx) / lens.fl_x
    y = (chosen // lens.width + 0.5 - lens.cy) / lens.fl_y
    rays = torch.stack([x, y, torch.ones_like(x)], dim=1)
    a, b, c = points.unbind(1)
    normal = torch.linalg.cross(b - a, c - a)
    along = (normal * rays).sum(1)  # negative where the face is turned to the camera
    offset = (normal * a).sum(1)
    met = rays * (offset / along)[:, None]
    square = (normal * normal).sum(1)
    wb = (torch.linalg.cross(met - a, c - a) * normal).sum(1) / square
    wc = (torch.linalg.cross(b - a, met - a) * normal).sum(1) / square
    weights = torch.stack([1 - wb - wc, wb, wc], dim=1)
    facing = -along > _LEAST_COSINE * (square * (rays * rays).sum(1)).sqrt()
    planes = torch.where(facing[:, None], normal / offset[:, None], 0.0)
    return planes, weights.clamp(0, 1)
