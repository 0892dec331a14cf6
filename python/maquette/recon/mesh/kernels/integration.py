"""One depth map added to a block of a TSDF, one thread a voxel; the twin is in `integration.py`."""

# No postponed annotations here: Warp reads the types of kernels' parameters as objects.
from typing import Any

import torch
import warp as wp

from maquette.recon.kernels.launching import array, over_items


def integrate(volume: Any, view: Any, truncation: Any) -> None:
    """Add a depth map to a block in place; see `integration.integrate_reference`.

    Args:
        volume, view, truncation: Those of `integration.py`, which imports this module.
    """
    parts = (volume.places, volume.sums, volume.weights, volume.support)
    places, sums, weights, support = (torch.from_numpy(part) for part in parts)
    arguments = [
        array(places, wp.vec3i), wp.vec3(*volume.low), wp.vec3(*volume.spacing),
        wp.mat33(*view.cam_from_world[:, :3].reshape(-1)), wp.vec3(*view.cam_from_world[:, 3]),
        wp.vec4(*view.lens), array(torch.from_numpy(view.depth)),
        array(torch.from_numpy(view.normals), wp.vec3),
        truncation.front, truncation.behind, truncation.free,
        array(sums), array(weights), array(support),
    ]  # fmt: skip
    over_items(_integrate, len(volume.places), torch.device("cpu"), arguments)


@wp.kernel
def _integrate(
    first: int,
    places: wp.array(dtype=wp.vec3i),
    low: wp.vec3,
    spacing: wp.vec3,
    rotation: wp.mat33,
    shift: wp.vec3,
    lens: wp.vec4,
    depths: wp.array2d(dtype=wp.float32),
    normals: wp.array2d(dtype=wp.vec3),
    front: float,
    behind: float,
    free: float,
    sums: wp.array(dtype=wp.float32),
    weights: wp.array(dtype=wp.float32),
    support: wp.array(dtype=wp.float32),
):
    i = first + wp.tid()
    place = places[i]
    world = low + wp.cw_mul(spacing, wp.vec3(float(place[0]), float(place[1]), float(place[2])))
    x = rotation * world + shift
    if x[2] <= 0.0:
        return
    u = lens[0] * x[0] / x[2] + lens[2]
    v = lens[1] * x[1] / x[2] + lens[3]
    height, width = depths.shape[0], depths.shape[1]
    if u < 0.0 or v < 0.0 or u >= float(width) or v >= float(height):
        return
    column, row = int(u), int(v)
    depth = depths[row, column]
    if depth <= 0.0:
        return
    normal = normals[row, column]
    ray = wp.vec3(
        (float(column) + 0.5 - lens[2]) / lens[0], (float(row) + 0.5 - lens[3]) / lens[1], 1.0
    )
    cosine = -wp.dot(normal, ray) / wp.length(ray)
    if cosine <= 0.0:
        return
    distance = wp.dot(normal, x - depth * ray)
    weight = cosine
    if distance < -behind:
        return
    if distance < 0.0:
        weight = weight * (1.0 + 0.9 * distance / behind)
    if distance > front:
        distance = front
        weight = weight * free
    support[i] = support[i] + weight
    weight = weight / (depth * depth)
    sums[i] = sums[i] + weight * distance
    weights[i] = weights[i] + weight
