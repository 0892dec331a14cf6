"""Kernels of colours by direction; the twin is `splats/projection.py: colors`.

A row of 16 Gaussians at a time on a CPU, one in a thread of a GPU. Rows of which no Gaussian is
drawn are left out.
"""

# No postponed annotations here: Warp reads the types of kernels' parameters as objects.
import warp as wp

from maquette.recon.splats.kernels.lanes import LANES

_COMMON = """
    const int start = group * lanes;
    int drawn = 0;
    for (int l = 0; l < lanes && start + l < count; ++l) drawn += touched.data[start + l];
    if (!drawn) return;
    const Whole at = [&]() {
        Whole row;
#ifdef __CUDA_ARCH__
        row = start;
#else
        for (int l = 0; l < 16; ++l) row[l] = start + l < count ? start + l : count - 1;
#endif
        return row;
    }();
    Row way[3];
    for (int k = 0; k < 3; ++k) way[k] = gather(means.data, 3 * at + k) - center.data[k];
    const Row length = root(way[0] * way[0] + way[1] * way[1] + way[2] * way[2]);
    const Row per_length = 1.0f / (length > 1e-12f ? length : (Row)1e-12f);
    const Row x = way[0] * per_length, y = way[1] * per_length, z = way[2] * per_length;
    const Row xx = x * x, yy = y * y, zz = z * z;
"""
# Values, then slopes along x, y, z of the extended polynomials, of each basis function.
_VISIT = """
    auto visit = [&](auto use) {
        use(0, (Row)0.282094792f, (Row)0.0f, (Row)0.0f, (Row)0.0f);
        if (terms < 4) return;
        const float one = 0.488602512f;
        use(1, -one * y, (Row)0.0f, (Row)-one, (Row)0.0f);
        use(2, one * z, (Row)0.0f, (Row)0.0f, (Row)one);
        use(3, -one * x, (Row)-one, (Row)0.0f, (Row)0.0f);
        if (terms < 9) return;
        const float two = 1.09254843f, low = 0.315391565f;
        use(4, two * x * y, two * y, two * x, (Row)0.0f);
        use(5, -two * y * z, (Row)0.0f, -two * z, -two * y);
        use(6, low * (2.0f * zz - xx - yy), -2.0f * low * x, -2.0f * low * y, 4.0f * low * z);
        use(7, -two * x * z, -two * z, (Row)0.0f, -two * x);
        use(8, 0.5f * two * (xx - yy), two * x, -two * y, (Row)0.0f);
        if (terms < 16) return;
        const float a = 0.590043589f, b = 2.89061144f, c = 0.457045799f, d = 0.373176333f;
        use(9, -a * y * (3.0f * xx - yy), -6.0f * a * x * y, -3.0f * a * (xx - yy), (Row)0.0f);
        use(10, b * x * y * z, b * y * z, b * x * z, b * x * y);
        use(11, -c * y * (4.0f * zz - xx - yy), 2.0f * c * x * y,
            -c * (4.0f * zz - xx - 3.0f * yy), -8.0f * c * y * z);
        use(12, d * z * (2.0f * zz - 3.0f * xx - 3.0f * yy), -6.0f * d * x * z, -6.0f * d * y * z,
            d * (6.0f * zz - 3.0f * xx - 3.0f * yy));
        use(13, -c * x * (4.0f * zz - xx - yy), -c * (4.0f * zz - 3.0f * xx - yy),
            2.0f * c * x * y, -8.0f * c * x * z);
        use(14, 0.5f * b * z * (xx - yy), b * x * z, -b * y * z, 0.5f * b * (xx - yy));
        use(15, -a * x * (xx - 3.0f * yy), -3.0f * a * (xx - yy), 6.0f * a * x * y, (Row)0.0f);
    };
"""
_COLOR = f"""{LANES}{_COMMON}{_VISIT}
    Row found[3] = {{(Row)0.5f, (Row)0.5f, (Row)0.5f}};
    visit([&](int k, Row value, Row, Row, Row) {{
        for (int c = 0; c < 3; ++c)
            found[c] += value * gather(sh.data, (3 * terms) * at + (3 * k + c));
    }});
    float kept[3][lanes];
    for (int c = 0; c < 3; ++c) save(kept[c], found[c] > 0.0f ? found[c] : (Row)0.0f);
    for (int l = 0; l < lanes && start + l < count; ++l)
        if (touched.data[start + l])
            for (int c = 0; c < 3; ++c) records.data[16 * (start + l) + 6 + c] = kept[c][l];
"""
_BACK = f"""{LANES}{_COMMON}{_VISIT}
    Row g[3];
    for (int c = 0; c < 3; ++c) {{
        const Row value = gather(records.data, 16 * at + (6 + c));
        const Row sum = gather(sums.data, 16 * at + (6 + c));
        g[c] = value > 0.0f ? sum : (Row)0.0f;
    }}
    Row dx = 0.0f, dy = 0.0f, dz = 0.0f;
    float kept[3][lanes];
    visit([&](int k, Row value, Row along_x, Row along_y, Row along_z) {{
        Row pull = 0.0f;
        for (int c = 0; c < 3; ++c) {{
            pull += g[c] * gather(sh.data, (3 * terms) * at + (3 * k + c));
            save(kept[c], value * g[c]);
        }}
        dx += along_x * pull;
        dy += along_y * pull;
        dz += along_z * pull;
        for (int l = 0; l < lanes && start + l < count; ++l)
            if (touched.data[start + l])
                for (int c = 0; c < 3; ++c)
                    d_sh.data[3 * (terms * (start + l) + k) + c] = kept[c][l];
    }});
    const Row out = dx * x + dy * y + dz * z;
    save(kept[0], (dx - out * x) * per_length);
    save(kept[1], (dy - out * y) * per_length);
    save(kept[2], (dz - out * z) * per_length);
    for (int l = 0; l < lanes && start + l < count; ++l)
        if (touched.data[start + l])
            for (int c = 0; c < 3; ++c) d_means.data[3 * (start + l) + c] = kept[c][l];
"""


@wp.func_native(_COLOR)
def _color_native(
    group: int, count: int, terms: int, center: wp.array(dtype=wp.float32),
    means: wp.array(dtype=wp.float32), sh: wp.array(dtype=wp.float32),
    touched: wp.array(dtype=wp.int32), records: wp.array(dtype=wp.float32),
): ...  # fmt: skip


@wp.kernel(enable_backward=False)
def color(
    first: int, count: int, terms: int, center: wp.array(dtype=wp.float32),
    means: wp.array(dtype=wp.float32), sh: wp.array(dtype=wp.float32),
    touched: wp.array(dtype=wp.int32), records: wp.array(dtype=wp.float32),
):  # fmt: skip
    """Write red, green and blue into the records [N, 16] of Gaussians that touch a tile."""
    _color_native(first + wp.tid(), count, terms, center, means, sh, touched, records)


@wp.func_native(_BACK)
def _back_native(
    group: int, count: int, terms: int, center: wp.array(dtype=wp.float32),
    means: wp.array(dtype=wp.float32), sh: wp.array(dtype=wp.float32),
    touched: wp.array(dtype=wp.int32), records: wp.array(dtype=wp.float32),
    sums: wp.array(dtype=wp.float32), d_sh: wp.array(dtype=wp.float32),
    d_means: wp.array(dtype=wp.float32),
): ...  # fmt: skip


@wp.kernel(enable_backward=False)
def color_backward(
    first: int, count: int, terms: int, center: wp.array(dtype=wp.float32),
    means: wp.array(dtype=wp.float32), sh: wp.array(dtype=wp.float32),
    touched: wp.array(dtype=wp.int32), records: wp.array(dtype=wp.float32),
    sums: wp.array(dtype=wp.float32), d_sh: wp.array(dtype=wp.float32),
    d_means: wp.array(dtype=wp.float32),
):  # fmt: skip
    """From gradients of colours to those of coefficients [N, K, 3] and, set anew, means [N, 3].

    What the means get is, with the other sign, the gradient of where the camera stands.
    """
    _back_native(
        first + wp.tid(), count, terms, center, means, sh, touched, records, sums, d_sh, d_means
    )
