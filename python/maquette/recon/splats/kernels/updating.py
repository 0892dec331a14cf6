"""Kernels that change parameters: sparse Adam, and the noise of MCMC; twins in `optimiser.py`."""

# No postponed annotations here: Warp reads the types of kernels' parameters as objects.
import warp as wp

from maquette.recon.splats.kernels.lanes import LANES

_ADAM = f"""{LANES}
    const int start = item * lanes;
    if (start + lanes <= count) {{
        int rows = 0;
        for (int n = start / width; n <= (start + lanes - 1) / width; ++n) rows += touched.data[n];
        if (!rows) return;
    }}
    const int step = start + lanes <= count ? lanes : 1;
    for (int at = start; at < start + lanes && at < count; at += step) {{
        if (step == lanes) {{
            float used[lanes];
            for (int l = 0; l < lanes; ++l) {{
                const int row = (at + l) / width;
                const float speed = at + l - row * width < 3 ? 1.0f : later;
                used[l] = touched.data[row] > 0 ? speed : 0.0f;
            }}
            const Row on = load(used);
            const Row g = load(gradient.data + at);
            const Row m = load(mean.data + at), v = load(square.data + at);
            const Row m1 = m + (1.0f - beta1) * (g - m), v1 = v + (1.0f - beta2) * (g * g - v);
            const Row p = load(value.data + at);
            const Row moved = p - rate * on * m1 / (root(v1) * per_root + eps);
            save(mean.data + at, on > 0.0f ? m1 : m);
            save(square.data + at, on > 0.0f ? v1 : v);
            save(value.data + at, on > 0.0f ? moved : p);
        }} else if (touched.data[at / width] > 0) {{
            const float g = gradient.data[at];
            const float m = mean.data[at] + (1.0f - beta1) * (g - mean.data[at]);
            const float v = square.data[at] + (1.0f - beta2) * (g * g - square.data[at]);
            mean.data[at] = m;
            square.data[at] = v;
            const float speed = at % width < 3 ? rate : rate * later;
            value.data[at] -= speed * m / (sqrtf(v) * per_root + eps);
        }}
    }}
"""

_JITTER = """
    const float logit = logits.data[n];
    const float opacity = 1.0f / (1.0f + expf(-logit));
    const float share = 1.0f / (1.0f + expf(100.0f * (opacity - 0.005f))) * factor;
    if (!(share > 1e-12f)) return;
    const float* f = quaternions.data + 4 * n;
    const float norm = 1.0f / sqrtf(f[0] * f[0] + f[1] * f[1] + f[2] * f[2] + f[3] * f[3] + 1e-24f);
    const float w = f[0] * norm, x = f[1] * norm, y = f[2] * norm, z = f[3] * norm;
    const float Q[9] = {
        1.0f - 2.0f * (y * y + z * z), 2.0f * (x * y - w * z), 2.0f * (x * z + w * y),
        2.0f * (x * y + w * z), 1.0f - 2.0f * (x * x + z * z), 2.0f * (y * z - w * x),
        2.0f * (x * z - w * y), 2.0f * (y * z + w * x), 1.0f - 2.0f * (x * x + y * y)};
    float turned[3];
    for (int j = 0; j < 3; ++j) {
        float sum = 0.0f;
        for (int k = 0; k < 3; ++k) sum += Q[3 * k + j] * noise.data[3 * n + k];
        turned[j] = sum * expf(2.0f * log_scales.data[3 * n + j]) * share;
    }
    for (int k = 0; k < 3; ++k)
        means.data[3 * n + k] +=
            Q[3 * k] * turned[0] + Q[3 * k + 1] * turned[1] + Q[3 * k + 2] * turned[2];
"""


@wp.func_native(_ADAM)
def _adam_native(
    item: int, count: int, width: int, rate: float, later: float, beta1: float, beta2: float,
    eps: float, per_root: float, touched: wp.array(dtype=wp.int32),
    gradient: wp.array(dtype=wp.float32), value: wp.array(dtype=wp.float32),
    mean: wp.array(dtype=wp.float32), square: wp.array(dtype=wp.float32),
): ...  # fmt: skip


@wp.kernel(enable_backward=False)
def adam(
    first: int, count: int, width: int, rate: float, later: float, beta1: float, beta2: float,
    eps: float, per_root: float, touched: wp.array(dtype=wp.int32),
    gradient: wp.array(dtype=wp.float32), value: wp.array(dtype=wp.float32),
    mean: wp.array(dtype=wp.float32), square: wp.array(dtype=wp.float32),
):  # fmt: skip
    """One step of Adam for `count` numbers, `width` a row, of the rows that were touched.

    From a row's fourth number on the rate is multiplied by `later`.
    """
    _adam_native(
        first + wp.tid(), count, width, rate, later, beta1, beta2, eps, per_root, touched, gradient,
        value, mean, square,
    )  # fmt: skip


@wp.func_native(_JITTER)
def _jitter_native(
    n: int, factor: float, log_scales: wp.array(dtype=wp.float32),
    quaternions: wp.array(dtype=wp.float32), logits: wp.array(dtype=wp.float32),
    noise: wp.array(dtype=wp.float32), means: wp.array(dtype=wp.float32),
): ...  # fmt: skip


@wp.kernel(enable_backward=False)
def jitter(
    first: int, factor: float, log_scales: wp.array(dtype=wp.float32),
    quaternions: wp.array(dtype=wp.float32), logits: wp.array(dtype=wp.float32),
    noise: wp.array(dtype=wp.float32), means: wp.array(dtype=wp.float32),
):  # fmt: skip
    """Move means by covariance · noise · factor, in the share in which they are transparent."""
    _jitter_native(first + wp.tid(), factor, log_scales, quaternions, logits, noise, means)
