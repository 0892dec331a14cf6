"""The median depth of Gaussians: of a pixel's ray where half of its light is taken.

A mean of depths lies between near and far where both show; the median is on one of them. The
Gaussian at which the passing light falls below one half gives the depth: where the pixel's ray is
nearest to its centre in its own measure, which is on the plane that a flat one is.

Notation: x and Σ are a Gaussian's centre and covariance in the camera's frame, P = Σ⁻¹, r the
ray. Where rays are parallel r = (0, 0, 1) from a point o: depth = (r · P (x - o)) / (r · P r);
of a pinhole the same with o = 0 and r = (u, v, 1).
"""

from __future__ import annotations

import torch
import warp as wp
from torch import Tensor

from maquette.recon.kernels.launching import array, over_items
from maquette.recon.splats.cameras import Camera
from maquette.recon.splats.compositing import layers
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.kernels import median
from maquette.recon.splats.projection import LEAST_ALPHA, MOST_ALPHA, project, rotation_matrices
from maquette.recon.splats.rasteriser import ellipses_of

_LEAST_SCALE = 1e-2  # of the largest axis: the plane of a thinner one is followed no farther
_REACH = 3.0  # standard deviations along the ray from the centre


def median_depth(splats: Gaussians, camera: Camera) -> Tensor:
    """Depth along the camera's axis [H, W], world units; 0 where less than half is covered."""
    with torch.no_grad():
        return _depth_on(splats, camera, median_gaussians(splats, camera))


def median_gaussians(splats: Gaussians, camera: Camera) -> Tensor:
    """The number [H, W] of the Gaussian at which half of each pixel's light is taken; -1: none."""
    records, pairs = ellipses_of(splats, camera)
    count = camera.width * camera.height
    found = torch.full((count,), -1, dtype=torch.int32, device=records.device)
    over_items(
        median.median, count, records.device,
        [camera.width, LEAST_ALPHA, MOST_ALPHA, array(records.view(-1)),
         array(pairs.ranges, wp.int32), array(pairs.owners, wp.int32), array(found, wp.int32)],
    )  # fmt: skip
    return found.view(camera.height, camera.width)


def median_gaussians_reference(splats: Gaussians, camera: Camera) -> Tensor:
    """The same in plain PyTorch, for few Gaussians and small pictures."""
    order, alpha = layers(project(splats, camera), camera)
    if not len(order):
        return torch.full((camera.height, camera.width), -1, dtype=torch.int32)
    is_past = torch.cumprod(1 - alpha, dim=0) < 0.5  # [M, H, W]
    return torch.where(is_past.any(dim=0), order[is_past.int().argmax(dim=0)], -1).int()


def _depth_on(splats: Gaussians, camera: Camera, which: Tensor) -> Tensor:
    """Depth of the pixels' rays on the Gaussians `which` [H, W]."""
    depth = torch.zeros(which.shape, device=which.device)
    row, column = torch.nonzero(which >= 0, as_tuple=True)
    if not len(row):
        return depth
    numbers, place = torch.unique(which[row, column].long(), return_inverse=True)
    some = splats.chosen(numbers)
    centers = some.means @ camera.rotation.T + camera.translation
    axes = camera.rotation @ rotation_matrices(some.quaternions)  # [N, 3, 3]
    scales = torch.maximum(some.scales, _LEAST_SCALE * some.scales.amax(1, keepdim=True))
    precision = (axes / scales[:, None] ** 2) @ axes.transpose(1, 2)
    u = (column + 0.5 - camera.principal[0]) / camera.focal[0]
    v = (row + 0.5 - camera.principal[1]) / camera.focal[1]
    one, zero = torch.ones_like(u), torch.zeros_like(u)
    if camera.is_orthographic:
        start, ray = torch.stack([u, v, zero], 1), torch.stack([zero, zero, one], 1)
    else:
        start, ray = torch.zeros(len(u), 3, device=u.device), torch.stack([u, v, one], 1)
    own, middle = precision[place], centers[place]
    weighted = (own @ ray[:, :, None])[:, :, 0]
    sharp = (weighted * ray).sum(1)
    along = (weighted * (middle - start)).sum(1) / sharp
    reach = _REACH / sharp.sqrt()
    along = torch.minimum(torch.maximum(along, middle[:, 2] - reach), middle[:, 2] + reach)
    depth[row, column] = along
    return depth
