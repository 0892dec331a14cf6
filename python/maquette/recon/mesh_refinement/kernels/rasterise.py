"""Kernel that draws a mesh's faces into one view; the twin is `visible_faces.py`."""

# No postponed annotations here: Warp reads the types of kernels' parameters as objects.
import torch
import warp as wp
from torch import Tensor

from maquette.recon.kernels.launching import array, over_levels


def draw(projected: Tensor, faces: Tensor, width: int, height: int) -> Tensor:
    """Depth and number of the nearest face at each pixel; see `visible_faces.nearest_faces`."""
    # of rows: on a CPU each is one thread's own
    bands = torch.get_num_threads() if faces.device.type == "cpu" else 1
    keys = torch.full((height * width,), torch.iinfo(torch.int64).max, device=faces.device)
    arguments = [
        bands, width, height, array(projected.view(-1)), array(faces.view(-1), wp.int32),
        array(keys, wp.int64),
    ]  # fmt: skip
    over_levels(_draw, bands, len(faces), faces.device, arguments, owned=True)
    return keys


_DRAW = """
    const int top = height * band / bands, bottom = height * (band + 1) / bands;
    for (int f = first; f < first + count; ++f) {
        const float* a = projected.data + 3 * faces.data[3 * f];
        const float* b = projected.data + 3 * faces.data[3 * f + 1];
        const float* c = projected.data + 3 * faces.data[3 * f + 2];
        if (!(a[2] > 0.0f && b[2] > 0.0f && c[2] > 0.0f)) continue;
        float low = a[1] < b[1] ? a[1] : b[1], high = a[1] < b[1] ? b[1] : a[1];
        low = c[1] < low ? c[1] : low;
        high = c[1] < high ? high : c[1];
        if (!(low < bottom && high > top)) continue;
        float left = a[0] < b[0] ? a[0] : b[0], right = a[0] < b[0] ? b[0] : a[0];
        left = c[0] < left ? c[0] : left;
        right = c[0] < right ? right : c[0];
        if (!(left < width && right > 0.0f)) continue;
        const float area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
        if (area == 0.0f) continue;
        const float part = 1.0f / area, ia = part / a[2], ib = part / b[2], ic = part / c[2];
        // pixels whose centre lies in the bounding box
        const int j0 = low > top + 0.5f ? (int)ceilf(low - 0.5f) : top;
        const int j1 = high < bottom - 0.5f ? (int)floorf(high - 0.5f) : bottom - 1;
        const int i0 = left > 0.5f ? (int)ceilf(left - 0.5f) : 0;
        const int i1 = right < width - 0.5f ? (int)floorf(right - 0.5f) : width - 1;
        for (int j = j0; j <= j1; ++j)
            for (int i = i0; i <= i1; ++i) {
                const float x = i + 0.5f, y = j + 0.5f;
                const float wa = (b[0] - x) * (c[1] - y) - (b[1] - y) * (c[0] - x);
                const float wb = (c[0] - x) * (a[1] - y) - (c[1] - y) * (a[0] - x);
                const float wc = (a[0] - x) * (b[1] - y) - (a[1] - y) * (b[0] - x);
                const bool inside = area > 0.0f ? wa >= 0.0f && wb >= 0.0f && wc >= 0.0f
                                                : wa <= 0.0f && wb <= 0.0f && wc <= 0.0f;
                if (!inside) continue;
                const float depth = 1.0f / (wa * ia + wb * ib + wc * ic);
                if (!(depth > 0.0f)) continue;
                union { float real; unsigned word; } bits;
                bits.real = depth;
                const long long key = (long long)bits.word << 32 | (unsigned)f;
                long long* cell = (long long*)keys.data + j * width + i;
#ifdef __CUDA_ARCH__
                atomicMin((unsigned long long*)cell, (unsigned long long)key);
#else
                if (key < *cell) *cell = key;
#endif
            }
    }
"""


@wp.func_native(_DRAW)
def _draw_faces(
    band: int, bands: int, first: int, count: int, width: int, height: int,
    projected: wp.array(dtype=wp.float32), faces: wp.array(dtype=wp.int32),
    keys: wp.array(dtype=wp.int64),
): ...  # fmt: skip


@wp.kernel(enable_backward=False)
def _draw(
    first_band: int, first: int, count: int, bands: int, width: int, height: int,
    projected: wp.array(dtype=wp.float32), faces: wp.array(dtype=wp.int32),
    keys: wp.array(dtype=wp.int64),
):  # fmt: skip
    band, item = wp.tid()
    _draw_faces(
        first_band + band, bands, first + item * count, count, width, height, projected, faces, keys
    )
