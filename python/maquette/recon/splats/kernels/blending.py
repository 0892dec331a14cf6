"""Kernels that blend ellipses into a picture, and back; the twin is `splats/compositing.py`.

On a CPU a thread has a tile of 16 × 16 pixels, whose rows are computed at once; on a GPU a pixel,
and 256 of them share the tile. Backwards the light that reached an ellipse is found again from
what passed in the end, so that nothing is stored by pixel and ellipse.

With T the light that reaches an ellipse of opacity α at a pixel, g the gradient of the pixel and
c the ellipse's colour and depth: dα = T g·c - B / (1 - α), where B sums what lies behind it.
"""

# No postponed annotations here: Warp reads the types of kernels' parameters as objects.
import warp as wp

from maquette.recon.splats.kernels.lanes import LANES

THREADS = 256  # of a tile on a GPU
LASTS = 8  # of a tile: each group of 32 threads may end elsewhere

_TILE = """
    const int columns = (width + 15) / 16, pitch = 16 * columns;
    const int plane = pitch * 16 * ((height + 15) / 16);
#ifdef __CUDA_ARCH__
    const int tile = thread / 256, pixel = thread % 256, rows = 1;
    const int left = 16 * (tile % columns) + pixel % 16, top = 16 * (tile / columns) + pixel / 16;
    const int group = pixel / 32;
#else
    const int tile = thread, rows = 16, group = 0;
    const int left = 16 * (tile % columns), top = 16 * (tile / columns);
#endif
    const int begin = ranges.data[tile];
    const Row xs = left + 0.5f + ramp();
    const float* line = (const float*)0;
    // rows of the tile that an ellipse reaches: from <= j < to
    int from, to;
    auto span = [&]() {
#ifdef __CUDA_ARCH__
        from = 0;
        to = 1;
#else
        const float low = line[1] - line[11] - (top + 0.5f);
        const float high = line[1] + line[11] - (top + 0.5f);
        from = low > 0.0f ? (low < 16.0f ? (int)ceilf(low) : 16) : 0;
        to = high < 15.0f ? (high < 0.0f ? 0 : (int)high + 1) : 16;
#endif
    };
    auto fading = [&](Row power) -> Row {
#ifdef __CUDA_ARCH__
        return __expf(-power);
#else
        Row x = power * -1.44269504f;
        x = x > -120.0f ? x : (Row)-120.0f;
        const Row shifted = x + 12582912.0f;
        const Whole n = (Whole)shifted - 0x4b400000;
        const Row f = x - (shifted - 12582912.0f);
        Row p = 0.00961812911f + f * 0.00133335581f;
        p = 0.0555041087f + f * p;
        p = 0.240226507f + f * p;
        p = 0.693147181f + f * p;
        p = 1.0f + f * p;
        return (Row)((Whole)p + (n << 23));
#endif
    };
"""

_BLEND = f"""{LANES}{_TILE}
    const int end = ranges.data[tile + 1];
    Row passing[rows], red[rows], green[rows], blue[rows], deep[rows];
    for (int j = 0; j < rows; ++j) {{
        const Row inside = xs < width ? (Row)1.0f : (Row)0.0f;
        passing[j] = top + j < height ? inside : (Row)0.0f;
        red[j] = green[j] = blue[j] = deep[j] = 0.0f;
    }}
    int k = begin;
    for (; k < end; ++k) {{
#ifdef __CUDA_ARCH__
        if (!__any_sync(0xffffffffu, passing[0] > least_passing)) break;
#else
        if ((k - begin) % 8 == 7) {{
            Row most = passing[0];
            for (int j = 1; j < rows; ++j) most = passing[j] > most ? passing[j] : most;
            if (!(largest(most) > least_passing)) break;
        }}
#endif
        line = records.data + 16 * pairs.data[k];
        span();
        const Row dx = xs - line[0], half = 0.5f * line[2] * dx * dx, across = line[3] * dx;
        const float c = 0.5f * line[4];
        for (int j = from; j < to; ++j) {{
            const float dy = top + j + 0.5f - line[1];
            Row alpha = line[5] * fading(half + dy * (across + c * dy));
            alpha = alpha < least_alpha ? (Row)0.0f : alpha;
            alpha = alpha < most_alpha ? alpha : (Row)most_alpha;
            const Row weight = alpha * passing[j];
            passing[j] -= weight;
            red[j] += weight * line[6];
            green[j] += weight * line[7];
            blue[j] += weight * line[8];
            deep[j] += weight * line[9];
        }}
    }}
#ifdef __CUDA_ARCH__
    if (pixel % 32 == 0)
#endif
    last.data[8 * tile + group] = k;
    for (int j = 0; j < rows; ++j) {{
        float* out = planes.data + (top + j) * pitch + left;
        save(out, red[j]);
        save(out + plane, green[j]);
        save(out + 2 * plane, blue[j]);
        save(out + 3 * plane, deep[j]);
        save(out + 4 * plane, passing[j]);
    }}
"""

_BACK = f"""{LANES}{_TILE}
    Row passing[rows], behind[rows];
    for (int j = 0; j < rows; ++j) {{
        const int at = (top + j) * pitch + left;
        passing[j] = load(planes.data + 4 * plane + at);
        behind[j] = passing[j] * load(given.data + 4 * plane + at);
    }}
    for (int k = last.data[8 * tile + group] - 1; k >= begin; --k) {{
        line = records.data + 16 * pairs.data[k];
        span();
        const Row dx = xs - line[0], half = 0.5f * line[2] * dx * dx, across = line[3] * dx;
        const float c = 0.5f * line[4];
        Row red = 0.0f, green = 0.0f, blue = 0.0f, deep = 0.0f, score = 0.0f;
        Row one = 0.0f, sum_y = 0.0f, sum_yy = 0.0f;
#ifdef __CUDA_ARCH__
        float covered = 0.0f;
#endif
        for (int j = from; j < to; ++j) {{
            const float dy = top + j + 0.5f - line[1];
            const Row whole = line[5] * fading(half + dy * (across + c * dy));
            Row alpha = whole < least_alpha ? (Row)0.0f : whole;
            alpha = alpha < most_alpha ? alpha : (Row)most_alpha;
#ifdef __CUDA_ARCH__
            covered = alpha;
#endif
            const Row rest = 1.0f / (1.0f - alpha);
            const Row before = passing[j] * rest, weight = alpha * before;
            passing[j] = before;
            const float* in = given.data + (top + j) * pitch + left;
            const Row r = load(in), g = load(in + plane), b = load(in + 2 * plane);
            const Row z = load(in + 3 * plane);
            const Row pull = r * line[6] + g * line[7] + b * line[8] + z * line[9];
            red += weight * r;
            green += weight * g;
            blue += weight * b;
            deep += weight * z;
            score += weight * load(in + 5 * plane);
            Row turn = alpha * (before * pull - behind[j] * rest);
            turn = whole < most_alpha ? turn : (Row)0.0f;
            behind[j] += weight * pull;
            one += turn;
            const Row turned = turn * dy;
            sum_y += turned;
            sum_yy += turned * dy;
        }}
"""
# Moments along x need no loop of their own on a CPU: dx is the same in all rows of a tile.
_BACK += """
        float sums[11] = {
            total(one), total(one * dx), total(sum_y), total(one * dx * dx), total(sum_y * dx),
            total(sum_yy), total(red), total(green), total(blue), total(deep), total(score)};
#ifdef __CUDA_ARCH__
        if (!__any_sync(0xffffffffu, covered > 0.0f)) continue;
        for (int i = 0; i < 11; ++i)
            for (int step = 16; step > 0; step /= 2)
                sums[i] += __shfl_down_sync(0xffffffffu, sums[i], step);
        if (pixel % 32) continue;
#endif
        float* out = parts.data + 16 * slots.data[k];
        // power = (a dx² + 2 b dx dy + c dy²) / 2, and the ellipse's centre moves against dx, dy
        const float found[11] = {
            line[2] * sums[1] + line[3] * sums[2], line[3] * sums[1] + line[4] * sums[2],
            -0.5f * sums[3], -sums[4], -0.5f * sums[5], sums[0] / line[5],
            sums[6], sums[7], sums[8], sums[9], sums[10]};
#ifdef __CUDA_ARCH__
        for (int i = 0; i < 11; ++i) atomicAdd(out + i, found[i]);
#else
        for (int i = 0; i < 11; ++i) out[i] = found[i];
#endif
    }
"""


@wp.func_native(_BLEND)
def _blend_native(
    thread: int, width: int, height: int, least_alpha: float, most_alpha: float,
    least_passing: float, records: wp.array(dtype=wp.float32), ranges: wp.array(dtype=wp.int32),
    pairs: wp.array(dtype=wp.int32), last: wp.array(dtype=wp.int32),
    planes: wp.array(dtype=wp.float32),
): ...  # fmt: skip


@wp.kernel(enable_backward=False)
def blend(
    first: int, width: int, height: int, least_alpha: float, most_alpha: float,
    least_passing: float, records: wp.array(dtype=wp.float32), ranges: wp.array(dtype=wp.int32),
    pairs: wp.array(dtype=wp.int32), last: wp.array(dtype=wp.int32),
    planes: wp.array(dtype=wp.float32),
):  # fmt: skip
    """Write planes [5, H, W], sides filled up to tiles: red, green, blue, depth, what passes.

    `last` [tiles, 8]: one after the last pair that was blended, from which backward goes.
    """
    _blend_native(
        first + wp.tid(), width, height, least_alpha, most_alpha, least_passing, records, ranges,
        pairs, last, planes,
    )  # fmt: skip


@wp.func_native(_BACK)
def _back_native(
    thread: int, width: int, height: int, least_alpha: float, most_alpha: float,
    records: wp.array(dtype=wp.float32), ranges: wp.array(dtype=wp.int32),
    pairs: wp.array(dtype=wp.int32), slots: wp.array(dtype=wp.int32),
    last: wp.array(dtype=wp.int32), planes: wp.array(dtype=wp.float32),
    given: wp.array(dtype=wp.float32), parts: wp.array(dtype=wp.float32),
): ...  # fmt: skip


@wp.kernel(enable_backward=False)
def blend_backward(
    first: int, width: int, height: int, least_alpha: float, most_alpha: float,
    records: wp.array(dtype=wp.float32), ranges: wp.array(dtype=wp.int32),
    pairs: wp.array(dtype=wp.int32), slots: wp.array(dtype=wp.int32),
    last: wp.array(dtype=wp.int32), planes: wp.array(dtype=wp.float32),
    given: wp.array(dtype=wp.float32), parts: wp.array(dtype=wp.float32),
):  # fmt: skip
    """From gradients [6, H, W] of the planes to each pair's part [P, 16] of its ellipse's.

    The sixth plane is a score of pixels, of which an ellipse gets what it covers in its share.
    """
    _back_native(
        first + wp.tid(), width, height, least_alpha, most_alpha, records, ranges, pairs, slots,
        last, planes, given, parts,
    )  # fmt: skip
