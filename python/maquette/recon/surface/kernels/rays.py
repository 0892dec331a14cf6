"""Samples along rays, one thread a ray; the reference is `sample_reference` in sampling.py."""

# No postponed annotations here: Warp reads the types of kernels' parameters as objects.
import torch
import warp as wp
from torch import Tensor

from maquette.recon.kernels.launching import array, over_items

_OPAQUE = 1e-5  # rays end where less than this passes
_SATURATED = 14.0  # from here on the logistic function is 0 or 1
_TRUST = 0.7  # how much of a cached distance is surely free


def sample(
    origins: Tensor, directions: Tensor, span: tuple[Tensor, Tensor], cache: Tensor,
    noise: tuple[Tensor, Tensor, Tensor, Tensor], sharpness: Tensor, floor: float,
) -> Tensor:  # fmt: skip
    """Choose sample distances; see `sampling.sample_rays`.

    Args:
        origins, directions: [R, 3].
        span: Distances [R] at which each ray enters and leaves.
        cache: [C, C, C] signed distances on [-1, 1]³, axes z, y, x.
        noise: Uniform numbers for probes [R, P], added probes [R, (passes - 1)·A],
            fine samples [R, F] and coarse samples [R, K].
        sharpness: [passes] float32.
        floor: Weight that every section gets.

    Returns:
        [R, F + K] ascending.
    """
    probes, added, fine, coarse = noise
    rays, passes = len(origins), len(sharpness)
    room = probes.shape[1] + added.shape[1]
    # Two rows of distances to merge back and forth, one row of cumulated weights.
    scratch = torch.empty(rays, 3 * room + fine.shape[1], device=origins.device)
    result = torch.empty(rays, fine.shape[1] + coarse.shape[1], device=origins.device)
    near, far = span
    arguments = [
        array(origins, wp.vec3), array(directions, wp.vec3), array(near), array(far),
        array(cache), array(probes), array(added), array(fine), array(coarse),
        array(sharpness), passes, floor, room, array(scratch), array(result),
    ]  # fmt: skip
    over_items(_sample, rays, origins.device, arguments)
    return result


@wp.func
def _cached(values: wp.array3d(dtype=wp.float32), x: wp.vec3) -> float:
    last = values.shape[0] - 1
    at = (x + wp.vec3(1.0, 1.0, 1.0)) * (0.5 * float(last))
    u = wp.clamp(at[0], 0.0, float(last))
    v = wp.clamp(at[1], 0.0, float(last))
    w = wp.clamp(at[2], 0.0, float(last))
    i, j, k = wp.min(int(u), last - 1), wp.min(int(v), last - 1), wp.min(int(w), last - 1)
    u, v, w = u - float(i), v - float(j), w - float(k)
    low = wp.lerp(
        wp.lerp(values[k, j, i], values[k, j, i + 1], u),
        wp.lerp(values[k, j + 1, i], values[k, j + 1, i + 1], u), v,
    )  # fmt: skip
    high = wp.lerp(
        wp.lerp(values[k + 1, j, i], values[k + 1, j, i + 1], u),
        wp.lerp(values[k + 1, j + 1, i], values[k + 1, j + 1, i + 1], u), v,
    )  # fmt: skip
    return wp.lerp(low, high, w)


@wp.func
def _phi(distance: float, sharpness: float) -> float:
    x = distance * sharpness
    if wp.abs(x) > _SATURATED:
        return wp.where(x > 0.0, 1.0, 0.0)
    return 1.0 / (1.0 + wp.exp(-x))


@wp.func
def _cumulate(
    origin: wp.vec3, direction: wp.vec3, values: wp.array3d(dtype=wp.float32), sharpness: float,
    floor: float, row: wp.array(dtype=wp.float32), edges: int, count: int, share: int,
):  # fmt: skip
    """Write the cumulated weights of the sections between row[edges : edges + count]."""
    passing = wp.float32(1.0)
    total = wp.float32(0.0)
    before = wp.float32(1.0)
    after = wp.float32(1.0)
    clear = wp.float32(0.0)  # up to this distance nothing can be
    for k in range(count):
        at = row[edges + k]
        if passing > _OPAQUE and at >= clear:
            distance = _cached(values, origin + at * direction)
            clear = at + _TRUST * distance - _SATURATED / sharpness
            after = _phi(distance, sharpness)
        if k > 0:
            opacity = wp.clamp((before - after + 1e-6) / (before + 1e-6), 0.0, 1.0)
            total += opacity * passing + floor
            passing *= 1.0 - wp.min(opacity, 1.0 - 1e-6)
        row[share + k] = total
        before = after


@wp.func
def _draw(
    row: wp.array(dtype=wp.float32), edges: int, count: int, share: int,
    noise: wp.array(dtype=wp.float32), start: int, wanted: int, result: int,
):  # fmt: skip
    """Write `wanted` ascending distances drawn from the cumulated weights."""
    total = row[share + count - 1]
    k = wp.int32(1)
    for n in range(wanted):
        goal = (float(n) + noise[start + n]) / float(wanted) * total
        while k < count - 1 and row[share + k] <= goal:
            k += 1
        low, high = row[share + k - 1], row[share + k]
        part = wp.clamp((goal - low) / wp.max(high - low, 1e-9 * total), 0.0, 1.0)
        row[result + n] = row[edges + k - 1] + part * (row[edges + k] - row[edges + k - 1])


@wp.kernel(enable_backward=False)
def _sample(
    first: int, origins: wp.array(dtype=wp.vec3), directions: wp.array(dtype=wp.vec3),
    near: wp.array(dtype=wp.float32), far: wp.array(dtype=wp.float32),
    values: wp.array3d(dtype=wp.float32), probe_noise: wp.array2d(dtype=wp.float32),
    added_noise: wp.array2d(dtype=wp.float32), fine_noise: wp.array2d(dtype=wp.float32),
    coarse_noise: wp.array2d(dtype=wp.float32), sharpness: wp.array(dtype=wp.float32),
    passes: int, floor: float, room: int, scratch: wp.array2d(dtype=wp.float32),
    result: wp.array2d(dtype=wp.float32),
):  # fmt: skip
    n = first + wp.tid()
    origin, direction, row = origins[n], directions[n], scratch[n]
    start, length = near[n], far[n] - near[n]
    probes, fine, coarse = probe_noise.shape[1], fine_noise.shape[1], coarse_noise.shape[1]
    share, drawn = 2 * room, 3 * room
    edges, count = wp.int32(0), int(probes)
    for k in range(probes):
        part = (float(k) + probe_noise[n, k] - 0.5) / float(probes - 1)
        part = wp.where(k == 0, 0.0, wp.where(k == probes - 1, 1.0, part))
        row[k] = start + length * part
    for level in range(passes - 1):
        _cumulate(origin, direction, values, sharpness[level], floor, row, edges, count, share)
        more = added_noise.shape[1] / (passes - 1)
        other = room - edges
        fresh = other + room - more  # at the far end, so that merging never overtakes it
        _draw(row, edges, count, share, added_noise[n], level * more, more, fresh)
        a, b = wp.int32(0), wp.int32(0)
        for k in range(count + more):
            if b == more or (a < count and row[edges + a] <= row[fresh + b]):
                row[other + k] = row[edges + a]
                a += 1
            else:
                row[other + k] = row[fresh + b]
                b += 1
        edges = other
        count += more
    _cumulate(origin, direction, values, sharpness[passes - 1], floor, row, edges, count, share)
    _draw(row, edges, count, share, fine_noise[n], 0, fine, drawn)
    taken = wp.int32(0)
    for k in range(coarse):
        part = (float(k) + coarse_noise[n, k] - 0.5) / float(coarse - 1)
        part = wp.where(k == 0, 0.0, wp.where(k == coarse - 1, 1.0, part))
        at = start + length * part
        while taken < fine and row[drawn + taken] < at:
            result[n, k + taken] = row[drawn + taken]
            taken += 1
        result[n, k + taken] = at
    for left in range(taken, fine):
        result[n, coarse + left] = row[drawn + left]
