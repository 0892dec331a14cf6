"""Kernels of the data term, in three steps a view; the twin is `agreement.py`, with sources.

The loops over a window are C++ inside Warp kernels. A compiler for the CPU leaves such loops
scalar, so rows of 16 pixels are its vector type; in a thread of a GPU a row is one pixel.
"""

# No postponed annotations here: Warp reads the types of kernels' parameters as objects.
from typing import TYPE_CHECKING, Any

import torch
import warp as wp
from torch import Tensor

from maquette.recon.kernels.launching import array, over_items

if TYPE_CHECKING:
    from maquette.recon.mesh_refinement.agreement import Reference, Sources, Window

TERMS = 6  # what `_correlate` leaves of each window


def evaluate(reference: "Reference", sources: "Sources", window: "Window") -> Tensor:
    """Five values a pixel; see `agreement.evaluate`."""
    height, width = reference.image.shape
    views, device = len(sources.cameras), reference.image.device
    seen = torch.zeros(3, views, height, width, device=device)
    given = [
        width, height, reference.left, reference.top, views, *map(float, reference.lens),
        _flat(reference.planes), _flat(sources.chosen, wp.int32), _flat(sources.layout, wp.int64),
        _flat(sources.cameras), _flat(sources.greys, wp.uint8), _flat(sources.depths),
        window.tolerance, _flat(seen),
    ]  # fmt: skip
    over_items(_warp, height * width, device, given)
    terms = torch.zeros(TERMS, views, height, width, device=device)
    result = torch.zeros(5, height, width, device=device)
    lanes = 1 if device.type == "cuda" else 16
    # the margin, whose pixels are never used, is left out: no window leaves the picture
    columns, rows = (width - 32) // lanes, height - 32
    shape = [lanes, columns, width, height, window.radius, views]
    given = [*shape, window.noise, _flat(reference.image), _flat(seen), _flat(terms),
             _flat(result)]  # fmt: skip
    over_items(_correlate, rows * columns, device, given)
    given = [*shape, _flat(reference.image), _flat(seen), _flat(terms), _flat(result)]
    over_items(_collect, rows * columns, device, given)
    return result


def _flat(tensor: Tensor, kind: Any = wp.float32) -> Any:
    return array(tensor.reshape(-1), kind)


_WARP = """
    const float* nu = planes.data + 3 * n;
    if (nu[0] == 0.0f && nu[1] == 0.0f && nu[2] == 0.0f) return;
    const int x = n % width, y = n / width;
    const float rx = (x + left + 0.5f - cx) / fx, ry = (y + top + 0.5f - cy) / fy;
    const float depth = 1.0f / (nu[0] * rx + nu[1] * ry + nu[2]);
    const float steep = sqrtf(nu[0] * nu[0] + nu[1] * nu[1] + nu[2] * nu[2]);
    const int area = width * height, all = views * area;
    for (int view = 0; view < views; ++view) {
        const float* b = cameras.data + 15 * view;
        const int number = chosen.data[view];
        const long long start = layout.data[3 * number];
        const int across = (int)layout.data[3 * number + 1];
        const int along = (int)layout.data[3 * number + 2];
        const float p0 = b[0] * rx + b[1] * ry + b[2];
        const float p1 = b[3] * rx + b[4] * ry + b[5];
        const float p2 = b[6] * rx + b[7] * ry + b[8];
        const float q2 = depth * p2 + b[11];
        if (!(q2 > 0.0f)) continue;
        const float u = (depth * p0 + b[9]) / q2, v = (depth * p1 + b[10]) / q2;
        if (!(u > 0.5f && v > 0.5f && u < across - 0.5f && v < along - 0.5f)) continue;
        // is the face turned to the source?
        const float dx = depth * rx - b[12], dy = depth * ry - b[13], dz = depth - b[14];
        const float facing = 1.0f - nu[0] * b[12] - nu[1] * b[13] - nu[2] * b[14];
        if (!(facing > 0.2f * steep * sqrtf(dx * dx + dy * dy + dz * dz))) continue;
        const int i = (int)(u - 0.5f), j = (int)(v - 0.5f);
        const float s = u - 0.5f - i, t = v - 0.5f - j;
        const long long at = start + (long long)j * across + i;
        const float* d = depths.data + at;
        // 0: outside the mesh or masked
        if (!(d[(t < 0.5f ? 0 : across) + (s < 0.5f ? 0 : 1)] > 0.0f)) continue;
        float far = d[0] > d[1] ? d[0] : d[1];
        far = d[across] > far ? d[across] : far;
        far = d[across + 1] > far ? d[across + 1] : far;
        if (!(q2 < far * (1.0f + tolerance))) continue;
        const unsigned char* g = greys.data + at;
        const float g0 = g[0], g1 = g[1], g2 = g[across], g3 = g[across + 1];
        const float upper = g0 + s * (g1 - g0), lower = g2 + s * (g3 - g2);
        const float right = (g1 - g0) + t * ((g3 - g2) - (g1 - g0)), down = lower - upper;
        // the surface moves out by a length: depth falls by depth * steep
        const float rate = -depth * steep / q2;
        const int to = view * area + n;
        seen.data[to] = upper + t * (lower - upper);
        seen.data[all + to] = rate * (right * (p0 - u * p2) + down * (p1 - v * p2));
        seen.data[2 * all + to] = 1.0f;
    }
"""
_ROW = """
#ifdef __CUDA_ARCH__
    typedef float Row;
    auto load = [](const float* from) -> Row { return *from; };
    auto save = [](float* to, Row row) { *to = row; };
    auto root = [](Row row) -> Row { return sqrtf(row); };
#else
    typedef float Row __attribute__((ext_vector_type(16)));
    typedef Row Loose __attribute__((aligned(4)));
    auto load = [](const float* from) -> Row { return *(const Loose*)from; };
    auto save = [](float* to, Row row) { *(Loose*)to = row; };
    auto root = [](Row row) -> Row { return __builtin_elementwise_sqrt(row); };
#endif
    const int area = width * height, all = views * area;
    const int n = (16 + item / columns) * width + 16 + lanes * (item % columns);
"""
_CORRELATE = f"""{_ROW}
    const Row zero = 0.0f;
    const float least = 0.5f * (2 * radius + 1) * (2 * radius + 1);
    Row cost = zero, told = zero;
    for (int view = 0; view < views; ++view) {{
        const float* other = seen.data + view * area;
        const float* used = seen.data + 2 * all + view * area;
        const Row here = load(image.data + n), there = load(other + n);
        Row count = zero, a1 = zero, b1 = zero, aa = zero, bb = zero, ab = zero;
        for (int j = -radius; j <= radius; ++j)
            for (int i = -radius; i <= radius; ++i) {{
                const int at = n + j * width + i;
                const Row w = load(used + at);
                const Row a = w * (load(image.data + at) - here);
                const Row b = w * (load(other + at) - there);
                count += w; a1 += a; b1 += b; aa += a * a; bb += b * b; ab += a * b;
            }}
        const Row part = 1.0f / (count > 1.0f ? count : zero + 1.0f);
        const Row ma = a1 * part, mb = b1 * part;
        Row va = aa * part - ma * ma, vb = bb * part - mb * mb;
        va = va > 0.25f ? va : zero + 0.25f;
        vb = vb > 0.25f ? vb : zero + 0.25f;
        const Row scale = 1.0f / root(va * vb);
        Row rho = (ab * part - ma * mb) * scale;
        const Row weak = va < vb ? va : vb;
        const Row fits = rho > 0.0f ? rho : zero;
        Row weight = load(used + n) * weak / (weak + noise);
        weight = count > least ? weight : zero;
        cost += weight * (1.0f - fits * fits * fits) * 0.33333333f;
        told += weight;
        weight *= fits * fits * part;
        const Row p = weight * scale, q = weight * rho / vb;
        float* to = terms.data + view * area + n;
        save(to, p);
        save(to + all, p * (ma + here));
        save(to + 2 * all, q);
        save(to + 3 * all, q * (mb + there));
        save(to + 4 * all, weight / vb);
        save(to + 5 * all, weight);
    }}
    save(result.data + n, cost);
    save(result.data + area + n, told);
"""
_COLLECT = f"""{_ROW}
    const Row zero = 0.0f;
    const Row a = load(image.data + n);
    Row slope = zero, curvature = zero, weight = zero;
    for (int view = 0; view < views; ++view) {{
        const float* from = terms.data + view * area + n;
        Row p = zero, pa = zero, q = zero, qb = zero, r = zero, w = zero;
        for (int j = -radius; j <= radius; ++j)
            for (int i = -radius; i <= radius; ++i) {{
                const float* at = from + j * width + i;
                p += load(at); pa += load(at + all); q += load(at + 2 * all);
                qb += load(at + 3 * all); r += load(at + 4 * all); w += load(at + 5 * all);
            }}
        const Row b = load(seen.data + view * area + n);
        const Row rate = load(seen.data + all + view * area + n);
        const Row used = load(seen.data + 2 * all + view * area + n);
        slope -= used * rate * (a * p - pa - b * q + qb);
        curvature += used * rate * rate * r;
        weight += used * w;
    }}
    save(result.data + 2 * area + n, slope);
    save(result.data + 3 * area + n, curvature);
    save(result.data + 4 * area + n, weight);
"""


@wp.func_native(_WARP)
def _warp_pixel(
    n: int, width: int, height: int, left: int, top: int, views: int, fx: float, fy: float,
    cx: float, cy: float, planes: wp.array(dtype=wp.float32), chosen: wp.array(dtype=wp.int32),
    layout: wp.array(dtype=wp.int64), cameras: wp.array(dtype=wp.float32),
    greys: wp.array(dtype=wp.uint8), depths: wp.array(dtype=wp.float32), tolerance: float,
    seen: wp.array(dtype=wp.float32),
): ...  # fmt: skip


@wp.func_native(_CORRELATE)
def _correlate_row(
    item: int, lanes: int, columns: int, width: int, height: int, radius: int, views: int,
    noise: float, image: wp.array(dtype=wp.float32), seen: wp.array(dtype=wp.float32),
    terms: wp.array(dtype=wp.float32), result: wp.array(dtype=wp.float32),
): ...  # fmt: skip


@wp.func_native(_COLLECT)
def _collect_row(
    item: int, lanes: int, columns: int, width: int, height: int, radius: int, views: int,
    image: wp.array(dtype=wp.float32), seen: wp.array(dtype=wp.float32),
    terms: wp.array(dtype=wp.float32), result: wp.array(dtype=wp.float32),
): ...  # fmt: skip


@wp.kernel(enable_backward=False)
def _warp(
    first: int, width: int, height: int, left: int, top: int, views: int, fx: float, fy: float,
    cx: float, cy: float, planes: wp.array(dtype=wp.float32), chosen: wp.array(dtype=wp.int32),
    layout: wp.array(dtype=wp.int64), cameras: wp.array(dtype=wp.float32),
    greys: wp.array(dtype=wp.uint8), depths: wp.array(dtype=wp.float32), tolerance: float,
    seen: wp.array(dtype=wp.float32),
):  # fmt: skip
    _warp_pixel(
        first + wp.tid(), width, height, left, top, views, fx, fy, cx, cy, planes, chosen, layout,
        cameras, greys, depths, tolerance, seen,
    )  # fmt: skip


@wp.kernel(enable_backward=False)
def _correlate(
    first: int, lanes: int, columns: int, width: int, height: int, radius: int, views: int,
    noise: float, image: wp.array(dtype=wp.float32), seen: wp.array(dtype=wp.float32),
    terms: wp.array(dtype=wp.float32), result: wp.array(dtype=wp.float32),
):  # fmt: skip
    _correlate_row(
        first + wp.tid(), lanes, columns, width, height, radius, views, noise, image, seen, terms,
        result,
    )  # fmt: skip


@wp.kernel(enable_backward=False)
def _collect(
    first: int, lanes: int, columns: int, width: int, height: int, radius: int, views: int,
    image: wp.array(dtype=wp.float32), seen: wp.array(dtype=wp.float32),
    terms: wp.array(dtype=wp.float32), result: wp.array(dtype=wp.float32),
):  # fmt: skip
    _collect_row(
        first + wp.tid(), lanes, columns, width, height, radius, views, image, seen, terms, result
    )
