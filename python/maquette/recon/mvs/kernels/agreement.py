"""Kernels that compare and join depth maps, one thread a pixel; the twin is `agreement.py`."""

# No postponed annotations here: Warp reads the types of kernels' parameters as objects.
import math
from typing import TYPE_CHECKING, Any

import torch
import warp as wp
from torch import Tensor

from maquette.recon.kernels.launching import array, over_items

if TYPE_CHECKING:
    from maquette.recon.mvs.agreement import Agreement, MapStack

MOST_MEMBERS = 9  # pixels that make a point: the reference's and one of each source view


def compare(stack: "MapStack", agreement: "Agreement") -> Tensor:
    """The agreeing pixels; see `agreement.compare`."""
    height, width = stack.size
    pixels, device = height * width, stack.depth.device
    found = torch.empty(stack.views, pixels, dtype=torch.int32, device=device)
    arguments = [
        *_arrays(stack), _flat(stack.poses), agreement.depth, agreement.reprojection_px,
        math.cos(math.radians(agreement.normal_deg)), _flat(found, wp.int32),
    ]  # fmt: skip
    over_items(_compare, pixels, device, [stack.views, *arguments])
    return found


def medians(stack: "MapStack", colors: Tensor, at: Tensor, pixels: Tensor) -> Tensor:
    """Joined points; see `agreement.medians`."""
    if stack.views >= MOST_MEMBERS:
        raise ValueError(f"a point joins at most {MOST_MEMBERS} views, not {1 + stack.views}")
    joined = torch.empty(len(pixels), 9, device=stack.depth.device)
    if len(pixels):
        arguments = [
            *_arrays(stack), _flat(stack.world), _flat(colors, wp.uint8), _flat(at, wp.int32),
            _flat(pixels, wp.int32), _flat(joined),
        ]  # fmt: skip
        over_items(_medians, len(pixels), stack.depth.device, [stack.views, *arguments])
    return joined


def _arrays(stack: "MapStack") -> list[Any]:
    return [
        _flat(stack.depth), _flat(stack.normals), _flat(stack.layout, wp.int32),
        _flat(stack.lenses),
    ]  # fmt: skip


def _flat(tensor: Tensor, kind: Any = wp.float32) -> Any:
    return array(tensor.view(-1), kind)


_COMPARE = """
    const int width = layout.data[1], pixels = width * layout.data[2];
    const float* k = lenses.data;
    const float x = n % width + 0.5f, y = n / width + 0.5f;
    const float d = depth.data[n];
    const float* a = normals.data + 3 * n;
    const float px = d * (x - k[2]) / k[0], py = d * (y - k[3]) / k[1];
    for (int view = 0; view < views; ++view) {
        int found = -1;
        const float* p = poses.data + 12 * view;
        const float* l = lenses.data + 4 * (view + 1);
        const int start = layout.data[3 * view + 3];
        const int across = layout.data[3 * view + 4], along = layout.data[3 * view + 5];
        const float z = p[8] * px + p[9] * py + p[10] * d + p[11];
        if (d > 0.0f && z > 0.0f) {
            const float rx = (p[0] * px + p[1] * py + p[2] * d + p[3]) / z;
            const float ry = (p[4] * px + p[5] * py + p[6] * d + p[7]) / z;
            const float u = l[0] * rx + l[2], v = l[1] * ry + l[3];
            if (u >= 0.0f && v >= 0.0f && u < across && v < along) {
                const int at = (int)v * across + (int)u;
                const float e = depth.data[start + at];
                if (e > 0.0f && fabsf(e - z) <= closeness * e) {
                    // the place in the other map's plane at the very spot, and back
                    const float qx = e * rx - p[3], qy = e * ry - p[7], qz = e - p[11];
                    const float bz = p[2] * qx + p[6] * qy + p[10] * qz;
                    const float bx = k[0] * (p[0] * qx + p[4] * qy + p[8] * qz) / bz + k[2] - x;
                    const float by = k[1] * (p[1] * qx + p[5] * qy + p[9] * qz) / bz + k[3] - y;
                    const float* b = normals.data + 3 * (start + at);
                    const float turned =
                        a[0] * (p[0] * b[0] + p[4] * b[1] + p[8] * b[2]) +
                        a[1] * (p[1] * b[0] + p[5] * b[1] + p[9] * b[2]) +
                        a[2] * (p[2] * b[0] + p[6] * b[1] + p[10] * b[2]);
                    if (bz > 0.0f && bx * bx + by * by <= reach * reach && turned >= cosine)
                        found = at;
                }
            }
        }
        result.data[view * pixels + n] = found;
    }
"""
_MEDIANS = """
    const int n = chosen.data[i], pixels = layout.data[1] * layout.data[2];
    float values[9][9];  // by channel
    int count = 0;
    for (int member = 0; member <= views; ++member) {
        const int at = member ? agreeing.data[(member - 1) * pixels + n] : n;
        if (at < 0) continue;
        const int start = layout.data[3 * member], width = layout.data[3 * member + 1];
        const float* l = lenses.data + 4 * member;
        const float* w = world.data + 12 * member;
        const float d = depth.data[start + at];
        const float px = d * (at % width + 0.5f - l[2]) / l[0];
        const float py = d * (at / width + 0.5f - l[3]) / l[1];
        const float* a = normals.data + 3 * (start + at);
        for (int row = 0; row < 3; ++row) {
            const float* r = w + 4 * row;
            values[row][count] = r[0] * px + r[1] * py + r[2] * d + r[3];
            values[3 + row][count] = r[0] * a[0] + r[1] * a[1] + r[2] * a[2];
            values[6 + row][count] = colors.data[3 * (start + at) + row];
        }
        ++count;
    }
    for (int channel = 0; channel < 9; ++channel) {
        float* v = values[channel];
        for (int j = 1; j < count; ++j) {
            const float value = v[j];
            int k = j;
            for (; k > 0 && v[k - 1] > value; --k) v[k] = v[k - 1];
            v[k] = value;
        }
        result.data[9 * i + channel] = 0.5f * (v[(count - 1) / 2] + v[count / 2]);
    }
"""


@wp.func_native(_COMPARE)
def _compare_pixel(
    n: int, views: int, depth: wp.array(dtype=wp.float32), normals: wp.array(dtype=wp.float32),
    layout: wp.array(dtype=wp.int32), lenses: wp.array(dtype=wp.float32),
    poses: wp.array(dtype=wp.float32), closeness: float, reach: float, cosine: float,
    result: wp.array(dtype=wp.int32),
): ...  # fmt: skip


@wp.func_native(_MEDIANS)
def _join_pixel(
    i: int, views: int, depth: wp.array(dtype=wp.float32), normals: wp.array(dtype=wp.float32),
    layout: wp.array(dtype=wp.int32), lenses: wp.array(dtype=wp.float32),
    world: wp.array(dtype=wp.float32), colors: wp.array(dtype=wp.uint8),
    agreeing: wp.array(dtype=wp.int32), chosen: wp.array(dtype=wp.int32),
    result: wp.array(dtype=wp.float32),
): ...  # fmt: skip


@wp.kernel(enable_backward=False)
def _compare(
    first: int, views: int, depth: wp.array(dtype=wp.float32),
    normals: wp.array(dtype=wp.float32), layout: wp.array(dtype=wp.int32),
    lenses: wp.array(dtype=wp.float32), poses: wp.array(dtype=wp.float32), closeness: float,
    reach: float, cosine: float, result: wp.array(dtype=wp.int32),
):  # fmt: skip
    _compare_pixel(
        first + wp.tid(), views, depth, normals, layout, lenses, poses, closeness, reach, cosine,
        result,
    )  # fmt: skip


@wp.kernel(enable_backward=False)
def _medians(
    first: int, views: int, depth: wp.array(dtype=wp.float32),
    normals: wp.array(dtype=wp.float32), layout: wp.array(dtype=wp.int32),
    lenses: wp.array(dtype=wp.float32), world: wp.array(dtype=wp.float32),
    colors: wp.array(dtype=wp.uint8), agreeing: wp.array(dtype=wp.int32),
    chosen: wp.array(dtype=wp.int32), result: wp.array(dtype=wp.float32),
):  # fmt: skip
    _join_pixel(
        first + wp.tid(), views, depth, normals, layout, lenses, world, colors, agreeing, chosen,
        result,
    )  # fmt: skip
