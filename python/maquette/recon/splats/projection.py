"""Gaussians in space to ellipses in a picture, in plain PyTorch: the twin of the kernels.

Source: Zwicker et al., "EWA splatting", 2002, as used by Kerbl et al., 2023, section 4, of an
orthographic camera with z = 1 in its Jacobian; the
factor on the opacity of narrow ones is that of Yu et al., "Mip-Splatting", 2024, equation 8;
bounds by opacity are those of Hanson et al., "Speedy-Splat", 2025, section 4.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from maquette.recon.splats.cameras import Camera
from maquette.recon.splats.gaussians import SH_C0, Gaussians

BLUR = 0.3  # px², variance of the pixel filter
NEAREST = 0.01  # world units: what is nearer to the camera's plane is not drawn
LEAST_ALPHA = 1.0 / 255.0
MOST_ALPHA = 0.99
LEAST_SHARE = 2.5e-5  # of the area that the pixel filter leaves: the root's slope stays finite


@dataclass(frozen=True)
class Ellipses:
    """What a picture shows of N Gaussians.

    Attributes:
        means: [N, 2] pixels.
        conics: [N, 3] a, b, c of the density exp(-(a dx² + 2 b dx dy + c dy²) / 2), 1 / px².
        opacities: [N] at the centre.
        colors: [N, 3] sRGB, at least 0.
        depths: [N] along the camera's axis, world units.
        visible: [N] whether any pixel may show it.
    """

    means: Tensor
    conics: Tensor
    opacities: Tensor
    colors: Tensor
    depths: Tensor
    visible: Tensor


def project(splats: Gaussians, camera: Camera, antialias: bool = True) -> Ellipses:
    """Project Gaussians; differentiable in all of their parameters and in the camera's pose."""
    local = splats.means @ camera.rotation.T + camera.translation  # [N, 3]
    depths = local[:, 2]
    in_front = depths > NEAREST
    is_deep = in_front & (not camera.is_orthographic)
    z = torch.where(is_deep, depths, torch.ones_like(depths))
    x, y = local[:, 0] / z, local[:, 1] / z
    (fx, fy), (cx, cy) = camera.focal, camera.principal
    low_x, high_x, low_y, high_y = camera.slopes
    u, v, zero = x.clamp(low_x, high_x), y.clamp(low_y, high_y), torch.zeros_like(z)
    jacobian = torch.stack(
        [fx / z, zero, -fx * u / z, zero, fy / z, -fy * v / z], dim=1
    ).view(-1, 2, 3)  # fmt: skip
    axes = rotation_matrices(splats.quaternions) * splats.scales[:, None, :]  # [N, 3, 3]
    spread = jacobian @ camera.rotation @ axes  # [N, 2, 3]
    covariance = spread @ spread.transpose(1, 2)
    a, b, c = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
    sharp = a * c - b * b
    a, c = a + BLUR, c + BLUR
    area = a * c - b * b
    opacities = splats.opacities
    if antialias:
        opacities = opacities * (sharp / area).clamp(min=LEAST_SHARE).sqrt()
    means = torch.stack([fx * x + cx, fy * y + cy], dim=1)
    reach = 2.0 * (opacities.detach() / LEAST_ALPHA).clamp(min=1.0).log()
    half = (reach[:, None] * torch.stack([a, c], dim=1).detach()).sqrt()
    edge = means.new_tensor([camera.width, camera.height])
    inside = ((means + half > 0) & (means - half < edge)).all(dim=1)
    return Ellipses(
        means, torch.stack([c, -b, a], dim=1) / area[:, None], opacities,
        colors(splats, camera), depths, in_front & inside & (opacities > LEAST_ALPHA),
    )  # fmt: skip


def rotation_matrices(quaternions: Tensor) -> Tensor:
    """Rotations [N, 3, 3] of quaternions [N, 4] (w, x, y, z) of any length."""
    w, x, y, z = torch.nn.functional.normalize(quaternions, dim=1).unbind(1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, dim=1).view(-1, 3, 3)


def colors(splats: Gaussians, camera: Camera) -> Tensor:
    """What colour each Gaussian has from where the camera stands, [N, 3] sRGB, at least 0."""
    toward = torch.nn.functional.normalize(splats.means - camera.center, dim=1)
    basis = harmonics(toward, splats.degree)  # [N, K]
    return (0.5 + (basis[:, :, None] * splats.sh).sum(1)).clamp(min=0.0)


def harmonics(directions: Tensor, degree: int) -> Tensor:
    """Real spherical harmonics of unit vectors [N, 3] up to a degree; [N, (degree + 1)²].

    Order and signs as 3D Gaussian splatting has them: by m from -l to l, with Condon and
    Shortley's phase.
    """
    x, y, z = directions.unbind(1)
    xx, yy, zz = x * x, y * y, z * z
    one, two, three = (math.sqrt(n / math.pi) for n in (3 / 4, 15 / 4, 5 / 16))
    found = [torch.full_like(x, SH_C0)]
    if degree > 0:
        found += [-one * y, one * z, -one * x]
    if degree > 1:
        found += [
            two * x * y, -two * y * z, three * (2 * zz - xx - yy), -two * x * z,
            0.5 * two * (xx - yy),
        ]  # fmt: skip
    if degree > 2:
        a, b, c, d = (math.sqrt(n / math.pi) for n in (35 / 32, 105 / 4, 21 / 32, 7 / 16))
        found += [
            -a * y * (3 * xx - yy), b * x * y * z, -c * y * (4 * zz - xx - yy),
            d * z * (2 * zz - 3 * xx - 3 * yy), -c * x * (4 * zz - xx - yy),
            0.5 * b * z * (xx - yy), -a * x * (xx - 3 * yy),
        ]  # fmt: skip
    return torch.stack(found, dim=1)
