"""Kernels of structural similarity, a row of 16 pixels at a time; the twin is in `losses.py`.

The window is separable: all that is blurred is summed down 11 rows, then across 11 columns.
Pictures lie in planes with a margin of zeros: 5 rows above and below, at least 16 columns aside.
"""

# No postponed annotations here: Warp reads the types of kernels' parameters as objects.
import warp as wp

from maquette.recon.splats.kernels.lanes import LANES

REACH = 5  # pixels from the middle of the window to its edge
MARGIN = 16  # columns of zeros on the left, and at least as many on the right

_PLACE = """
    const int segments = pitch / lanes;
    const int segment = item % segments, line = item / segments;
    const int y = line % height, channel = line / height;
    const int size = pitch * (height + 10);
    const int x = segment * lanes;
    const int flat = channels * pitch * height;  // of a plane without margins above and below
    const int at = (channel * height + y) * pitch + x;
    const int framed = channel * size + (y + 5) * pitch + x;
"""

_DOWN = f"""{LANES}{_PLACE}
    Row sums[5] = {{(Row)0.0f, (Row)0.0f, (Row)0.0f, (Row)0.0f, (Row)0.0f}};
    for (int k = 0; k < 11; ++k) {{
        const Row p = load(first.data + framed + (k - 5) * pitch);
        const Row q = load(second.data + framed + (k - 5) * pitch);
        const Row a = p * window.data[k], b = q * window.data[k];
        sums[0] += a;
        sums[1] += b;
        sums[2] += a * p;
        sums[3] += b * q;
        sums[4] += a * q;
    }}
    for (int i = 0; i < 5; ++i) save(middle.data + i * flat + at, sums[i]);
"""

_COMPARE = f"""{LANES}{_PLACE}
    if (x < 16 || x >= pitch - 16) {{
        save(value.data + at, (Row)0.0f);
        return;
    }}
    Row sums[5] = {{(Row)0.0f, (Row)0.0f, (Row)0.0f, (Row)0.0f, (Row)0.0f}};
    for (int k = 0; k < 11; ++k)
        for (int i = 0; i < 5; ++i)
            sums[i] += window.data[k] * load(middle.data + i * flat + at + k - 5);
    const Row p = sums[0], q = sums[1];
    const Row A = 2.0f * p * q + 0.0001f, B = p * p + q * q + 0.0001f;
    const Row C = 2.0f * (sums[4] - p * q) + 0.0009f;
    const Row D = sums[2] - p * p + sums[3] - q * q + 0.0009f;
    const Row per_b = 1.0f / B, per_d = 1.0f / D, similar = A * C * per_b * per_d;
    const Row w = load(weight.data + y * pitch + x);
    save(value.data + at, w * similar);
    const Row to_mean = 2.0f * q * (C - A) * per_b * per_d - 2.0f * p * similar * (per_b - per_d);
    save(slopes.data + framed, w * to_mean);
    save(slopes.data + channels * size + framed, -w * similar * per_d);
    save(slopes.data + 2 * channels * size + framed, 2.0f * w * A * per_b * per_d);
"""

_DOWN_SLOPES = f"""{LANES}{_PLACE}
    for (int i = 0; i < 3; ++i) {{
        const float* from = slopes.data + i * channels * size + framed;
        Row sum = 0.0f;
        for (int k = 0; k < 11; ++k) sum += window.data[k] * load(from + (k - 5) * pitch);
        save(middle.data + i * flat + at, sum);
    }}
"""

_GRADIENT = f"""{LANES}{_PLACE}
    if (x < 16 || x >= pitch - 16) return;
    Row sums[3] = {{(Row)0.0f, (Row)0.0f, (Row)0.0f}};
    for (int k = 0; k < 11; ++k)
        for (int i = 0; i < 3; ++i)
            sums[i] += window.data[k] * load(middle.data + i * flat + at + k - 5);
    const Row p = load(first.data + framed), q = load(second.data + framed);
    save(gradient.data + at, sums[0] + 2.0f * p * sums[1] + q * sums[2]);
"""


@wp.func_native(_DOWN)
def _down_native(
    item: int, pitch: int, height: int, channels: int, window: wp.array(dtype=wp.float32),
    first: wp.array(dtype=wp.float32), second: wp.array(dtype=wp.float32),
    middle: wp.array(dtype=wp.float32),
): ...  # fmt: skip


@wp.kernel(enable_backward=False)
def down(
    start: int, pitch: int, height: int, channels: int, window: wp.array(dtype=wp.float32),
    first: wp.array(dtype=wp.float32), second: wp.array(dtype=wp.float32),
    middle: wp.array(dtype=wp.float32),
):  # fmt: skip
    """Sum two pictures, their squares and their product down the window; [5, C, H, pitch]."""
    _down_native(start + wp.tid(), pitch, height, channels, window, first, second, middle)


@wp.func_native(_COMPARE)
def _compare_native(
    item: int, pitch: int, height: int, channels: int, window: wp.array(dtype=wp.float32),
    middle: wp.array(dtype=wp.float32), weight: wp.array(dtype=wp.float32),
    value: wp.array(dtype=wp.float32), slopes: wp.array(dtype=wp.float32),
): ...  # fmt: skip


@wp.kernel(enable_backward=False)
def compare(
    start: int, pitch: int, height: int, channels: int, window: wp.array(dtype=wp.float32),
    middle: wp.array(dtype=wp.float32), weight: wp.array(dtype=wp.float32),
    value: wp.array(dtype=wp.float32), slopes: wp.array(dtype=wp.float32),
):  # fmt: skip
    """Weighted similarity, and its slopes by mean, mean square and mean product."""
    _compare_native(
        start + wp.tid(), pitch, height, channels, window, middle, weight, value, slopes
    )


@wp.func_native(_DOWN_SLOPES)
def _down_slopes_native(
    item: int, pitch: int, height: int, channels: int, window: wp.array(dtype=wp.float32),
    slopes: wp.array(dtype=wp.float32), middle: wp.array(dtype=wp.float32),
): ...  # fmt: skip


@wp.kernel(enable_backward=False)
def down_slopes(
    start: int, pitch: int, height: int, channels: int, window: wp.array(dtype=wp.float32),
    slopes: wp.array(dtype=wp.float32), middle: wp.array(dtype=wp.float32),
):  # fmt: skip
    """Sum the three slopes down the window; [3, C, H, pitch]."""
    _down_slopes_native(start + wp.tid(), pitch, height, channels, window, slopes, middle)


@wp.func_native(_GRADIENT)
def _gradient_native(
    item: int, pitch: int, height: int, channels: int, window: wp.array(dtype=wp.float32),
    first: wp.array(dtype=wp.float32), second: wp.array(dtype=wp.float32),
    middle: wp.array(dtype=wp.float32), gradient: wp.array(dtype=wp.float32),
): ...  # fmt: skip


@wp.kernel(enable_backward=False)
def gradient_of_first(
    start: int, pitch: int, height: int, channels: int, window: wp.array(dtype=wp.float32),
    first: wp.array(dtype=wp.float32), second: wp.array(dtype=wp.float32),
    middle: wp.array(dtype=wp.float32), gradient: wp.array(dtype=wp.float32),
):  # fmt: skip
    """Gradient of the sum of all similarities by the first picture."""
    _gradient_native(
        start + wp.tid(), pitch, height, channels, window, first, second, middle, gradient
    )
