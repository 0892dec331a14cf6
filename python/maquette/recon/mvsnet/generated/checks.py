"""The kernel of generated scenes beside Embree, in the form of `maquette.recon.kernel_checks`.

Not in its list: that one is of kernels which a step needs, and which images carry compiled.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from maquette.recon.kernel_checks import Case
from maquette.recon.mesh.ray_casting import RayScene
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.mvsnet.generated.layout import Layout
from maquette.recon.mvsnet.generated.scenes import render
from maquette.recon.mvsnet.generated.shapes import box

_SIZES = ((24, 18), (320, 256))
_HALF = np.array([2.0, 1.5, 3.0])


def cases(device: torch.device, quick: bool) -> Iterator[Case]:
    """Depths in a room that is seen from inside, where every ray meets something."""
    for size in _SIZES[:1] if quick else _SIZES:
        layout = _room()
        told = f"{size[0]} × {size[1]} pixels, {len(layout.poses)} views"
        fast, slow = (partial(run, layout, size, device) for run in (_by_kernel, _by_embree))
        moved = len(layout.poses) * size[0] * size[1] * 16
        yield Case("generated scenes", told, fast, slow, 1e-5, moved)


def _room() -> Layout:
    shape = box(_HALF)
    poses = np.stack([np.eye(4)] * 3)
    poses[1:, :3, 3] = np.random.default_rng(1).uniform(-1, 1, (2, 3))
    return Layout(
        shape.vertices.astype(np.float32), shape.normals.astype(np.float32),
        (7 * shape.vertices).astype(np.float32), shape.faces, np.zeros(12, np.int32),
        np.full((1, 12), 0.5, np.float32), poses, 0.9, np.zeros(3), 0.5, np.zeros(3),
    )  # fmt: skip


def _by_kernel(layout: Layout, size: tuple[int, int], device: torch.device) -> Tensor:
    return render(layout, 0, size, 1, device).depths


def _by_embree(layout: Layout, size: tuple[int, int], device: torch.device) -> Tensor:
    width, height = size
    scene = RayScene(TriangleMesh(layout.vertices, layout.faces))
    y, x = np.mgrid[:height, :width] + 0.5
    focal = layout.focal * width
    rays = np.stack([(x - width / 2) / focal, (y - height / 2) / focal, np.ones_like(x)], -1)
    depths = []
    for pose in layout.poses:
        turned = rays.reshape(-1, 3) @ pose[:3, :3].T
        hits = scene.first_hits(np.tile(pose[:3, 3], (len(turned), 1)), turned)
        depth = np.zeros(len(turned), np.float32)
        depth[hits.ray] = hits.depth
        depths.append(depth.reshape(height, width))
    return torch.from_numpy(np.stack(depths)).to(device)
