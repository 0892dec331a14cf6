"""Where Gaussians have their surface, as a camera sees it: depth, normal and colour by pixel.

Along a ray a Gaussian of centre x and covariance Σ, both in the camera's frame, is densest where
the ray meets the plane through x with the normal q = Σ⁻¹ x. On a plane 1 / depth is linear in the
pixel: 1 / depth = m · r with m = q / (q · x) and the ray r = (x, y, 1). So blending m as if it
were a colour gives depth and normal of every pixel at once.

Source: B. Zhang et al., "RaDe-GS: rasterizing depth in Gaussian splatting", 2024, section 3.2, for
the plane; differs: m is blended, and the mean taken in place of the median.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maquette.recon.splats.cameras import Camera
from maquette.recon.splats.gaussians import SH_C0, Gaussians
from maquette.recon.splats.projection import rotation_matrices
from maquette.recon.splats.rasteriser import render
from maquette.scene.transforms import Frame

Floats = NDArray[np.float32]
_LEAST_COVERED = 0.6  # of a pixel that shows a surface
_STEEPEST = 4.0  # tangent of the angle between a plane's normal and the ray: about 76 degrees
_LEAST_SCALE = 1e-4  # of the largest axis, so that a flat Gaussian has an inverse
_NEAR = 0.1  # quantile of depths that is the unit while blending
_OFFSET = _STEEPEST + 1.0  # rasterised colours are cut at 0
_JUMP = 3.0  # times as far as on the steepest plane that neighbours may lie apart


@dataclass(frozen=True)
class SurfaceMap:
    """What a camera sees of a surface.

    Attributes:
        depth: [H, W] along +z, world units; 0 = none.
        normals: [H, W, 3] camera frame, of length 1, facing the camera.
        color: [H, W, 3] sRGB 0..1.
    """

    depth: Floats
    normals: Floats
    color: Floats

    def within(self, mask: NDArray[np.bool_] | None) -> SurfaceMap:
        """The map without depth outside a mask [H, W]; None: as it is."""
        if mask is None:
            return self
        return replace(self, depth=np.where(mask, self.depth, np.float32(0)))


def surface_map(splats: Gaussians, frame: Frame) -> SurfaceMap:
    """Find the surface that a camera sees of Gaussians, world units."""
    with torch.no_grad():
        camera = Camera.of(frame, splats.device)
        planes, scale = _planes(splats, camera)
        drawn = render(replace(splats, sh=_as_colors(planes)), camera)
        shown = render(splats, camera)
        covered = 1 - drawn.passing
        mean = (drawn.color / covered.clamp_min(1e-6) - _OFFSET) / scale  # [3, H, W]
        ray = rays_of(camera)
        inverse = (mean * ray).sum(0)
        depth = torch.where(covered > _LEAST_COVERED, 1 / inverse.clamp_min(1e-12), 0.0)
        depth = torch.where(inverse > 0, depth, 0.0)
        normals = -torch.nn.functional.normalize(mean, dim=0)
        color = (shown.color / (1 - shown.passing).clamp_min(1e-6)).clamp(0, 1)
    found = SurfaceMap(*(
        np.ascontiguousarray(plane.numpy(force=True))
        for plane in (depth, normals.permute(1, 2, 0), color.permute(1, 2, 0))
    ))  # fmt: skip
    found.depth[_jumps(found, frame)] = 0.0
    return found


def _planes(splats: Gaussians, camera: Camera) -> tuple[Tensor, float]:
    """The planes m of Gaussians [N, 3], times the scale that is returned with them."""
    rotation = camera.rotation.double()
    centers = splats.means.double() @ rotation.T + camera.translation.double()  # [N, 3]
    axes = rotation @ rotation_matrices(splats.rotations.double())  # [N, 3, 3]
    scales = splats.scales.double()
    scales = torch.maximum(scales, _LEAST_SCALE * scales.amax(1, keepdim=True))
    own = torch.einsum("nji,nj->ni", axes, centers) / scales**2
    normals = torch.nn.functional.normalize(torch.einsum("nij,nj->ni", axes, own), dim=1)
    away = centers.norm(dim=1, keepdim=True)
    ray = centers / away.clamp_min(1e-12)
    along = (normals * ray).sum(1, keepdim=True).clamp_min(1e-9)
    across = (normals - along * ray) / along  # tangential, in the share of what is along the ray
    steep = across.norm(dim=1, keepdim=True)
    across = across * (_STEEPEST / steep.clamp_min(_STEEPEST))
    planes = (ray + across) / away.clamp_min(1e-12)
    depths = centers[:, 2]
    ahead = depths[depths > 0]
    scale = float(ahead.quantile(_NEAR)) if len(ahead) else 1.0
    return (planes * scale).float(), scale


def _as_colors(planes: Tensor) -> Tensor:
    """Harmonics [N, 1, 3] that are drawn as the values themselves, moved to where all are > 0."""
    return ((planes.clamp(-_OFFSET, 1e4) + _OFFSET - 0.5) / SH_C0)[:, None].contiguous()


def rays_of(camera: Camera) -> Tensor:
    """Rays [3, H, W] of z = 1 through pixel centres, camera frame."""
    device = camera.rotation.device
    x = (torch.arange(camera.width, device=device) + 0.5 - camera.principal[0]) / camera.focal[0]
    y = (torch.arange(camera.height, device=device) + 0.5 - camera.principal[1]) / camera.focal[1]
    down, right = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([right, down, torch.ones_like(right)])


def _jumps(found: SurfaceMap, frame: Frame) -> NDArray[np.bool_]:
    """Pixels [H, W] beside which the depth jumps: there the mean mixes near and far."""
    depth, result = found.depth, np.zeros(found.depth.shape, bool)
    most = _JUMP * (_STEEPEST + 1.0) / frame.intrinsics.fl_x * depth
    for axis in (0, 1):
        one, other = (
            tuple(side if n == axis else slice(None) for n in (0, 1))
            for side in (slice(None, -1), slice(1, None))
        )
        apart = np.abs(depth[one] - depth[other]) > np.maximum(most[one], most[other])
        result[one] |= apart
        result[other] |= apart
    return result
