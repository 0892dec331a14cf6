"""How well the photos agree on a surface, and which way it should move: the data term.

Symbols: r = (x̃, ỹ, 1) the ray of a reference pixel, ν the plane of its face in the reference
camera's frame, all X with ν · X = 1, so that z = 1/(ν · r) is its depth and 1/|ν| the plane's
distance from the camera. K_s, R, t as in `mvs/stacks.py`. a is the reference picture, b a source
picture brought into it by the surface, ρ their correlation in a window, n the pixels in it.

The energy is the sum over windows of τ(1 − ρ³)/3 where ρ > 0 and of τ/3 elsewhere; τ, from 0 to
1, is how far the window's contrast stands above noise. With ω = τρ² its derivative with b at a
pixel is the sum over the windows that contain it of −(ω/n) ((a − μ_a)/(σ_a σ_b) −
ρ (b − μ_b)/σ_b²). When the surface
moves outwards by a length, z falls by z|ν|, and b changes by ∇I_s · ∂u/∂z times that. The same,
squared, times the sum of ω/(n σ_b²) is its curvature in Gauss and Newton's sense, as 1 − ρ is half
the squared distance of the two normalised windows.

Sources: J.-P. Pons, R. Keriven, O. Faugeras, "Multi-View Stereo Reconstruction and Scene Flow
Estimation with a Global Image-Based Matching Score", IJCV 72(2), 2007, sections 3 and 4; H.-H. Vu
et al., "High Accuracy and Visibility-Consistent Dense Multi-View Stereo", IEEE PAMI 34(5), 2012,
section 5. Differs: τ, the power of ρ, by which windows that do not fit at all say little, pixels
that are not seen in both are left out of windows, and the curvature.

This is the plain twin of `kernels/agreement.py`, which is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from maquette.recon.mesh_refinement.kernels import agreement as kernels

MARGIN = 16  # pixels around a reference picture that are never used; a window's radius is smaller
_LEAST_COSINE = 0.2  # between a face's normal and the way to a camera
_LEAST_VARIANCE = 0.25  # grey levels squared


@dataclass(frozen=True)
class Window:
    """What is compared around a pixel.

    Attributes:
        radius: The window has 2·radius + 1 pixels a side, at most MARGIN − 1.
        noise: Variance of the picture's noise, grey levels squared; where a window's own is not
            well above it, it counts little.
        tolerance: By how much of its depth a point may lie behind what a source sees there.
    """

    radius: int = 3
    noise: float = 16.0
    tolerance: float = 0.006


@dataclass(frozen=True)
class Reference:
    """A part of a picture with the surface in it, and MARGIN unused pixels all around.

    Attributes:
        image: [h, w] float32 grey levels; w without the margin is a multiple of 16.
        planes: [h, w, 3] float32, ν; 0 where the pixel is not used.
        left, top: The picture's pixel that is the first of this part.
        lens: fl_x, fl_y, cx, cy, pixels.
    """

    image: Tensor
    planes: Tensor
    left: int
    top: int
    lens: tuple[float, float, float, float]


@dataclass(frozen=True)
class Sources:
    """The pictures that a reference is compared with, out of some that lie together.

    Attributes:
        greys: [T] uint8, these pictures' pixels one after the other.
        depths: [T] float32, the surface's depth; 0 where there is none or a mask excludes it.
        layout: [N, 3] int64: where a view begins, its width and height.
        chosen: [S] int32, which views these are.
        cameras: [S, 15] float32: K_s R and K_s t, rows together, then the source's own place in
            the reference camera's frame.
    """

    greys: Tensor
    depths: Tensor
    layout: Tensor
    chosen: Tensor
    cameras: Tensor


def evaluate(reference: Reference, sources: Sources, window: Window, fast: bool = True) -> Tensor:
    """Compare a view with some others.

    Returns:
        [5, h, w] float32, sums over the sources: energy and τ of the window around the pixel;
        slope and curvature of all energy with the surface's move outwards at the pixel, a world
        unit; and the sum of ω/n there, by which these two are to be divided.
    """
    if fast:
        return kernels.evaluate(reference, sources, window)
    total = torch.zeros(5, *reference.image.shape, device=reference.image.device)
    for place, number in enumerate(sources.chosen.tolist()):
        view = _View.of(sources, number)
        b, rate, used = _warp(reference, view, sources.cameras[place], window)
        total += _compare(reference.image, b, rate, used, window)
    inner = torch.zeros_like(total)
    inside = (slice(None), slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    inner[inside] = total[inside]
    return inner


@dataclass(frozen=True)
class _View:
    grey: Tensor
    depth: Tensor

    @classmethod
    def of(cls, sources: Sources, number: int) -> _View:
        start, width, height = sources.layout[number].tolist()
        part = slice(start, start + width * height)
        grey, depth = sources.greys[part].float(), sources.depths[part]
        return cls(grey.view(height, width), depth.view(height, width))


def _warp(
    reference: Reference, view: _View, camera: Tensor, window: Window
) -> tuple[Tensor, Tensor, Tensor]:
    """A source brought into the reference; its change a world unit; where it is seen, 0 or 1."""
    height, width = reference.image.shape
    fl_x, fl_y, cx, cy = reference.lens
    device = reference.image.device
    x = (torch.arange(width, device=device) + reference.left + 0.5 - cx) / fl_x
    y = (torch.arange(height, device=device) + reference.top + 0.5 - cy) / fl_y
    rays = torch.stack(
        [*torch.meshgrid(x, y, indexing="xy"), torch.ones(height, width, device=device)], -1
    )
    planes = reference.planes
    used = planes.any(-1)
    depth = torch.where(used, 1 / (planes * rays).sum(-1), 0.0)
    steep = planes.norm(dim=-1)
    turned = rays @ camera[:9].view(3, 3).T  # [h, w, 3]
    projected = depth[..., None] * turned + camera[9:12]
    ahead = projected[..., 2]
    place = projected[..., :2] / ahead[..., None]
    tall, wide = view.grey.shape
    limit = torch.tensor([wide, tall], device=device) - 0.5
    used &= (ahead > 0) & ((place > 0.5) & (place < limit)).all(-1)
    away = (depth[..., None] * rays - camera[12:]).norm(dim=-1)
    used &= 1 - planes @ camera[12:] > _LEAST_COSINE * steep * away
    place = torch.where(used[..., None], place, 1.0)
    value, right, down, nearest, farthest = _sampled(view, place)
    used &= (nearest > 0) & (ahead < farthest * (1 + window.tolerance))
    change = (turned[..., :2] - place * turned[..., 2:]) / ahead[..., None]
    rate = -depth * steep * (right * change[..., 0] + down * change[..., 1])
    mask = used.float()
    zero = torch.zeros_like(value)
    return torch.where(used, value, zero), torch.where(used, rate, zero), mask


def _sampled(view: _View, place: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Grey level, its derivatives, and the nearest and largest depth at pixels [h, w, 2]."""
    shifted = place - 0.5
    corner = shifted.floor().long()
    s, t = (shifted - corner).unbind(-1)
    i, j = corner.unbind(-1)
    g0, g1, g2, g3 = (view.grey[j + b, i + a] for b in (0, 1) for a in (0, 1))
    depths = torch.stack([view.depth[j + b, i + a] for b in (0, 1) for a in (0, 1)])
    upper, lower = g0 + s * (g1 - g0), g2 + s * (g3 - g2)
    right = (g1 - g0) + t * ((g3 - g2) - (g1 - g0))
    nearest = depths.gather(0, ((t >= 0.5).long() * 2 + (s >= 0.5).long())[None])[0]
    return upper + t * (lower - upper), right, lower - upper, nearest, depths.max(0).values


def _compare(a: Tensor, b: Tensor, rate: Tensor, used: Tensor, window: Window) -> Tensor:
    def total(values: Tensor) -> Tensor:
        size = 2 * window.radius + 1
        pooled = avg_pool2d(values.double()[None, None], size, 1, window.radius, divisor_override=1)
        return pooled[0, 0]

    count = total(used)
    share = 1 / count.clamp(min=1)
    mean_a, mean_b = total(used * a) * share, total(used * b) * share
    var_a = (total(used * a * a) * share - mean_a**2).clamp(min=_LEAST_VARIANCE)
    var_b = (total(used * b * b) * share - mean_b**2).clamp(min=_LEAST_VARIANCE)
    scale = (var_a * var_b).rsqrt()
    rho = (total(used * a * b) * share - mean_a * mean_b) * scale
    weak = torch.minimum(var_a, var_b)
    told = used * weak / (weak + window.noise)
    told = torch.where(count > 0.5 * (2 * window.radius + 1) ** 2, told, 0.0)
    fits = rho.clamp(min=0)
    cost = told * (1 - fits**3) / 3
    weight = told * fits**2 * share
    p, q = weight * scale, weight * rho / var_b
    slope = a * total(p) - total(p * mean_a) - b * total(q) + total(q * mean_b)
    parts = [-rate * slope, rate**2 * total(weight / var_b), total(weight)]
    return torch.stack([cost, told, *(used * part for part in parts)]).float()
