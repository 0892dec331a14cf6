"""Kernels that project Gaussians to ellipses, and back; the twin is `splats/projection.py`.

Frames, units and equations stand there. A row of 16 Gaussians is computed at a time on a CPU, one
in a thread of a GPU.
"""

# No postponed annotations here: Warp reads the types of kernels' parameters as objects.
import warp as wp

from maquette.recon.splats.kernels.lanes import LANES
from maquette.recon.splats.kernels.tile_test import TILE_TEST

WIDTH = 16  # floats in the record of an ellipse: one line of a CPU's cache
# x, y, a, b, c, opacity, red, green, blue, depth, then half its width and height in pixels
SUMS = 16  # floats of its gradient: x, y, a, b, c, opacity, red, green, blue, depth, score

_COMMON = """
    const float* R = pose.data;
    const float* t = pose.data + 9;
    const float fx = lens.data[0], fy = lens.data[1], cx = lens.data[2], cy = lens.data[3];
    const float low_x = lens.data[4], high_x = lens.data[5];
    const float low_y = lens.data[6], high_y = lens.data[7];
    const float tied = lens.data[8] != 0.0f ? 0.0f : 1.0f;  // 0: rays are parallel
    const int start = group * lanes;
    const Whole at = [&]() {
        Whole row;
#ifdef __CUDA_ARCH__
        row = start;
#else
        for (int l = 0; l < 16; ++l) row[l] = start + l < count ? start + l : count - 1;
#endif
        return row;
    }();
    Row m[3], s[3], q[4];
    for (int k = 0; k < 3; ++k) m[k] = gather(means.data, 3 * at + k);
    Row p[3];
    for (int i = 0; i < 3; ++i)
        p[i] = R[3 * i] * m[0] + R[3 * i + 1] * m[1] + R[3 * i + 2] * m[2] + t[i];
    const Row deep_z = tied * p[2];
    const Row z = deep_z > nearest ? deep_z : (Row)1.0f;
    const Row iz = 1.0f / z, x = p[0] * iz, y = p[1] * iz;
    Row u = x > low_x ? x : (Row)low_x;
    u = u < high_x ? u : (Row)high_x;
    Row v = y > low_y ? y : (Row)low_y;
    v = v < high_y ? v : (Row)high_y;
    for (int k = 0; k < 3; ++k) s[k] = power_of_e(gather(log_scales.data, 3 * at + k));
    for (int k = 0; k < 4; ++k) q[k] = gather(quaternions.data, 4 * at + k);
    Row norm = root(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
    norm = 1.0f / (norm > 1e-12f ? norm : (Row)1e-12f);
    for (int k = 0; k < 4; ++k) q[k] = q[k] * norm;
    const Row Q[9] = {
        1.0f - 2.0f * (q[2] * q[2] + q[3] * q[3]), 2.0f * (q[1] * q[2] - q[0] * q[3]),
        2.0f * (q[1] * q[3] + q[0] * q[2]),
        2.0f * (q[1] * q[2] + q[0] * q[3]), 1.0f - 2.0f * (q[1] * q[1] + q[3] * q[3]),
        2.0f * (q[2] * q[3] - q[0] * q[1]),
        2.0f * (q[1] * q[3] - q[0] * q[2]), 2.0f * (q[2] * q[3] + q[0] * q[1]),
        1.0f - 2.0f * (q[1] * q[1] + q[2] * q[2])};
    const Row gx = fx * iz, gy = fy * iz;
    // T = J R Q diag(s), of which each row is made of its rows of V = R Q diag(s)
    Row T0[3], T1[3], V2[3];
    for (int j = 0; j < 3; ++j) {
        const Row V0 = (R[0] * Q[j] + R[1] * Q[3 + j] + R[2] * Q[6 + j]) * s[j];
        const Row V1 = (R[3] * Q[j] + R[4] * Q[3 + j] + R[5] * Q[6 + j]) * s[j];
        V2[j] = (R[6] * Q[j] + R[7] * Q[3 + j] + R[8] * Q[6 + j]) * s[j];
        T0[j] = gx * (V0 - u * V2[j]);
        T1[j] = gy * (V1 - v * V2[j]);
    }
    const Row sharp_a = T0[0] * T0[0] + T0[1] * T0[1] + T0[2] * T0[2];
    const Row b = T0[0] * T1[0] + T0[1] * T1[1] + T0[2] * T1[2];
    const Row sharp_c = T1[0] * T1[0] + T1[1] * T1[1] + T1[2] * T1[2];
    const Row a = sharp_a + blur, c = sharp_c + blur;
    const Row sharp = sharp_a * sharp_c - b * b;
    const Row per_area = 1.0f / (a * c - b * b);
    const Row share = sharp * per_area;
    const Row opacity = 1.0f / (1.0f + power_of_e(-gather(logits.data, at)));
    Row factor = share > least_share ? share : (Row)least_share;
    factor = antialias ? root(factor) : (Row)1.0f;
"""

_PROJECT = f"""{LANES}{TILE_TEST}{_COMMON}
    const Row seen = opacity * factor;
    const Row limit = logarithm(seen * 255.0f);
    Row doubled = 2.0f * limit;
    doubled = doubled > 0.0f ? doubled : (Row)0.0f;
    const Row across = root(doubled * a), along = root(doubled * c);
    const Row centre_x = fx * x + cx, centre_y = fy * y + cy;
    float kept[12][lanes], deep[lanes], most[lanes];
    save(kept[0], centre_x);
    save(kept[1], centre_y);
    save(kept[2], c * per_area);
    save(kept[3], -b * per_area);
    save(kept[4], a * per_area);
    save(kept[5], seen);
    save(kept[9], p[2]);
    save(kept[10], across);
    save(kept[11], along);
    save(deep, p[2]);
    save(most, limit);
    for (int l = 0; l < lanes && start + l < count; ++l) {{
        const int n = start + l;
        touched.data[n] = 0;
        const float mx = kept[0][l], my = kept[1][l], rx = kept[10][l], ry = kept[11][l];
        if (!(deep[l] > nearest && most[l] > 0.0f)) continue;
        if (!(mx + rx > 0.0f && my + ry > 0.0f && mx - rx < width && my - ry < height)) continue;
        float* record = records.data + 16 * n;
        for (int k = 0; k < 6; ++k) record[k] = kept[k][l];
        for (int k = 9; k < 12; ++k) record[k] = kept[k][l];
        int low_i, high_i, low_j, high_j, found = 0;
        tiles_around(record, width, height, &low_i, &high_i, &low_j, &high_j);
        for (int j = low_j; j < high_j; ++j)
            for (int i = low_i; i < high_i; ++i) found += meets(record, most[l], i, j) ? 1 : 0;
        touched.data[n] = found;
    }}
"""

_BACK = f"""{LANES}{_COMMON}
    int drawn = 0;
    for (int l = 0; l < lanes && start + l < count; ++l) drawn += touched.data[start + l];
    if (!drawn) return;
    Row g[10];
    for (int k = 0; k < 10; ++k) g[k] = gather(sums.data, 16 * at + k);
    const Row A = c * per_area, B = -b * per_area, C = a * per_area, h = 0.5f * g[3];
    // gradient of the inverse: -K G K
    Row da = -(A * (g[2] * A + h * B) + B * (h * A + g[4] * B));
    Row db = -2.0f * (A * (g[2] * B + h * C) + B * (h * B + g[4] * C));
    Row dc = -(B * (g[2] * B + h * C) + C * (h * B + g[4] * C));
    const Row dfactor = g[5] * opacity;
    Row dshare = 0.5f * dfactor / factor;
    dshare = share > least_share ? dshare : (Row)0.0f;
    dshare = antialias ? dshare : (Row)0.0f;
    const Row dsharp = dshare * per_area, darea = -dshare * share * per_area;
    da += dsharp * sharp_c + darea * c;
    dc += dsharp * sharp_a + darea * a;
    db -= 2.0f * b * (dsharp + darea);
    const Row dlogit = g[5] * factor * opacity * (1.0f - opacity);
    Row dp[3] = {{gx * g[0], gy * g[1], g[9] - tied * (gx * x * g[0] + gy * y * g[1])}};
    Row dQ[9], ds[3], turned[9];
    for (int k = 0; k < 9; ++k) turned[k] = 0.0f;
    Row du = 0.0f, dv = 0.0f, dz = 0.0f;
    for (int j = 0; j < 3; ++j) {{
        const Row d0 = 2.0f * da * T0[j] + db * T1[j];
        const Row d1 = 2.0f * dc * T1[j] + db * T0[j];
        du -= gx * d0 * V2[j];
        dv -= gy * d1 * V2[j];
        dz -= (d0 * T0[j] + d1 * T1[j]) * iz;
        const Row V[3] = {{gx * d0, gy * d1, -(gx * u * d0 + gy * v * d1)}};
        ds[j] = 0.0f;
        for (int k = 0; k < 3; ++k) {{
            const Row dM = R[k] * V[0] + R[3 + k] * V[1] + R[6 + k] * V[2];
            dQ[3 * k + j] = dM * s[j];
            ds[j] += dM * Q[3 * k + j] * s[j];
            for (int i = 0; i < 3; ++i) turned[3 * i + k] += V[i] * Q[3 * k + j] * s[j];
        }}
    }}
    du = x > low_x ? du : (Row)0.0f;
    du = x < high_x ? du : (Row)0.0f;
    dv = y > low_y ? dv : (Row)0.0f;
    dv = y < high_y ? dv : (Row)0.0f;
    dp[0] += iz * du;
    dp[1] += iz * dv;
    dp[2] += tied * (dz - iz * (x * du + y * dv));
    Row dq[4] = {{
        2.0f * (q[1] * (dQ[7] - dQ[5]) + q[2] * (dQ[2] - dQ[6]) + q[3] * (dQ[3] - dQ[1])),
        2.0f * (q[2] * (dQ[1] + dQ[3]) + q[3] * (dQ[2] + dQ[6]) + q[0] * (dQ[7] - dQ[5]))
            - 4.0f * q[1] * (dQ[4] + dQ[8]),
        2.0f * (q[1] * (dQ[1] + dQ[3]) + q[3] * (dQ[5] + dQ[7]) + q[0] * (dQ[2] - dQ[6]))
            - 4.0f * q[2] * (dQ[0] + dQ[8]),
        2.0f * (q[1] * (dQ[2] + dQ[6]) + q[2] * (dQ[5] + dQ[7]) + q[0] * (dQ[3] - dQ[1]))
            - 4.0f * q[3] * (dQ[0] + dQ[4])}};
    const Row along = dq[0] * q[0] + dq[1] * q[1] + dq[2] * q[2] + dq[3] * q[3];
    float out[11][lanes], posed[12][lanes];
    for (int k = 0; k < 3; ++k)
        save(out[k], R[k] * dp[0] + R[3 + k] * dp[1] + R[6 + k] * dp[2]);
    for (int k = 0; k < 3; ++k) save(out[3 + k], ds[k]);
    for (int k = 0; k < 4; ++k) save(out[6 + k], (dq[k] - along * q[k]) * norm);
    save(out[10], dlogit);
    if (with_pose)
        for (int i = 0; i < 3; ++i) {{
            for (int k = 0; k < 3; ++k) save(posed[3 * i + k], turned[3 * i + k] + dp[i] * m[k]);
            save(posed[9 + i], dp[i]);
        }}
    for (int l = 0; l < lanes && start + l < count; ++l) {{
        const int n = start + l;
        if (!touched.data[n]) continue;
        for (int k = 0; k < 3; ++k) d_means.data[3 * n + k] += out[k][l];
        for (int k = 0; k < 3; ++k) d_scales.data[3 * n + k] = out[3 + k][l];
        for (int k = 0; k < 4; ++k) d_quaternions.data[4 * n + k] = out[6 + k][l];
        d_logits.data[n] = out[10][l];
        if (with_pose)
            for (int k = 0; k < 12; ++k) d_pose.data[12 * n + k] = posed[k][l];
    }}
"""


@wp.func_native(_PROJECT)
def _project_native(
    group: int, count: int, width: int, height: int, antialias: int, nearest: float, blur: float,
    least_share: float, pose: wp.array(dtype=wp.float32), lens: wp.array(dtype=wp.float32),
    means: wp.array(dtype=wp.float32), log_scales: wp.array(dtype=wp.float32),
    quaternions: wp.array(dtype=wp.float32), logits: wp.array(dtype=wp.float32),
    records: wp.array(dtype=wp.float32), touched: wp.array(dtype=wp.int32),
): ...  # fmt: skip


@wp.kernel(enable_backward=False)
def project(
    first: int, count: int, width: int, height: int, antialias: int, nearest: float, blur: float,
    least_share: float, pose: wp.array(dtype=wp.float32), lens: wp.array(dtype=wp.float32),
    means: wp.array(dtype=wp.float32), log_scales: wp.array(dtype=wp.float32),
    quaternions: wp.array(dtype=wp.float32), logits: wp.array(dtype=wp.float32),
    records: wp.array(dtype=wp.float32), touched: wp.array(dtype=wp.int32),
):  # fmt: skip
    """Write the records [N, 16] of visible Gaussians, and how many tiles [N] each touches."""
    _project_native(
        first + wp.tid(), count, width, height, antialias, nearest, blur, least_share, pose, lens,
        means, log_scales, quaternions, logits, records, touched,
    )  # fmt: skip


@wp.func_native(_BACK)
def _back_native(
    group: int, count: int, antialias: int, with_pose: int, nearest: float, blur: float,
    least_share: float, pose: wp.array(dtype=wp.float32), lens: wp.array(dtype=wp.float32),
    means: wp.array(dtype=wp.float32), log_scales: wp.array(dtype=wp.float32),
    quaternions: wp.array(dtype=wp.float32), logits: wp.array(dtype=wp.float32),
    touched: wp.array(dtype=wp.int32), sums: wp.array(dtype=wp.float32),
    d_means: wp.array(dtype=wp.float32), d_scales: wp.array(dtype=wp.float32),
    d_quaternions: wp.array(dtype=wp.float32), d_logits: wp.array(dtype=wp.float32),
    d_pose: wp.array(dtype=wp.float32),
): ...  # fmt: skip


@wp.kernel(enable_backward=False)
def project_backward(
    first: int, count: int, antialias: int, with_pose: int, nearest: float, blur: float,
    least_share: float, pose: wp.array(dtype=wp.float32), lens: wp.array(dtype=wp.float32),
    means: wp.array(dtype=wp.float32), log_scales: wp.array(dtype=wp.float32),
    quaternions: wp.array(dtype=wp.float32), logits: wp.array(dtype=wp.float32),
    touched: wp.array(dtype=wp.int32), sums: wp.array(dtype=wp.float32),
    d_means: wp.array(dtype=wp.float32), d_scales: wp.array(dtype=wp.float32),
    d_quaternions: wp.array(dtype=wp.float32), d_logits: wp.array(dtype=wp.float32),
    d_pose: wp.array(dtype=wp.float32),
):  # fmt: skip
    """From gradients of ellipses [N, 16] to those of Gaussians; adds to that of the means.

    With `with_pose` each Gaussian's part [N, 12] of the gradient of rotation and translation.
    """
    _back_native(
        first + wp.tid(), count, antialias, with_pose, nearest, blur, least_share, pose, lens,
        means, log_scales, quaternions, logits, touched, sums, d_means, d_scales, d_quaternions,
        d_logits, d_pose,
    )  # fmt: skip
