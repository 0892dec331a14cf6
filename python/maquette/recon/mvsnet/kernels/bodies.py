"""What the kernels of plane sweeps do with items `first` to `last`, in C++ for CPU and CUDA.

DIM, CHUNK and GROUPS stand for numbers that `sweeping` fills in.
"""

_SIZES = """
    const long pixels = (long)height * width;
"""
# Where item n lies: batch b, plane d, pixel p = (y, x); and its depth.
_ITEM = """
        const long p = n % pixels, plane = n / pixels, b = plane / planes;
        const float x = (float)(p % width), y = (float)(p / width);
        const float depth = depths.data[per_pixel ? n : plane];
        const float* own = reference.data + (b * pixels + p) * DIM;
"""
# Weights and places of the four neighbours in view v, clamped into it; all 0 where none is seen.
_PLACE = """
            const float* m = matrices.data + (v * batch + b) * 12;
            const float w = (m[8] * x + m[9] * y + m[10]) * depth + m[11];
            const float inverse = w > 0.0f ? 1.0f / w : 0.0f;
            const float s = ((m[0] * x + m[1] * y + m[2]) * depth + m[3]) * inverse;
            const float t = ((m[4] * x + m[5] * y + m[6]) * depth + m[7]) * inverse;
            const bool seen = w > 0.0f && s > -1.0f && t > -1.0f && s < other_width
                && t < other_height;
            const float left = seen ? floorf(s) : 0.0f, top = seen ? floorf(t) : 0.0f;
            const int i = (int)left, j = (int)top;
            const float fx = s - left, fy = t - top;
            const bool has_i = seen && i >= 0, has_k = seen && i + 1 < other_width;
            const bool has_j = j >= 0, has_l = j + 1 < other_height;
            const float w00 = has_i && has_j ? (1.0f - fx) * (1.0f - fy) : 0.0f;
            const float w01 = has_k && has_j ? fx * (1.0f - fy) : 0.0f;
            const float w10 = has_i && has_l ? (1.0f - fx) * fy : 0.0f;
            const float w11 = has_k && has_l ? fx * fy : 0.0f;
            const long near = (v * batch + b) * (long)other_width * other_height;
            const long above = near + (long)(j > 0 ? j : 0) * other_width;
            const long below = near + (long)(has_l ? j + 1 : (j > 0 ? j : 0)) * other_width;
            const int first_column = i > 0 ? i : 0, second_column = has_k ? i + 1 : first_column;
            const long a00 = (above + first_column) * DIM, a01 = (above + second_column) * DIM;
            const long a10 = (below + first_column) * DIM, a11 = (below + second_column) * DIM;
"""
# On CUDA a thread sums half of the channels at a time: all of them would fill its registers.
VARIANCE = f"""
#if defined(__CUDA_ARCH__)
#define BLOCK (DIM < 16 ? DIM : 16)
#else
#define BLOCK DIM
#endif
{_SIZES}
    const float share = 1.0f / (others_count + 1);
    for (long n = first; n < last; ++n) {{{_ITEM}
        for (int begin = 0; begin < DIM; begin += BLOCK) {{
            float sum[BLOCK], squares[BLOCK];
            for (int c = 0; c < BLOCK; ++c) sum[c] = squares[c] = 0.0f;
            for (int v = 0; v < others_count; ++v) {{{_PLACE}
                const float *p00 = others.data + a00 + begin, *p01 = others.data + a01 + begin;
                const float *p10 = others.data + a10 + begin, *p11 = others.data + a11 + begin;
                for (int c = 0; c < BLOCK; ++c) {{
                    const float apart = w00 * p00[c] + w01 * p01[c] + w10 * p10[c] + w11 * p11[c]
                        - own[begin + c];
                    sum[c] += apart;
                    squares[c] += apart * apart;
                }}
            }}
            float* to = result.data + n * DIM + begin;
            for (int c = 0; c < BLOCK; ++c) {{
                const float mean = sum[c] * share;
                to[c] = squares[c] * share - mean * mean;
            }}
        }}
    }}
"""
_ADD = """
#if defined(__CUDA_ARCH__)
#define ADD(to, value) atomicAdd(&(to), value)
#else
#define ADD(to, value) (to) += (value)
#endif
"""
_SCATTER = """
            float* to = others_gradient.data + begin;
            if (w00 != 0.0f) for (int c = 0; c < CHUNK; ++c) ADD(to[a00 + c], w00 * slope[c]);
            if (w01 != 0.0f) for (int c = 0; c < CHUNK; ++c) ADD(to[a01 + c], w01 * slope[c]);
            if (w10 != 0.0f) for (int c = 0; c < CHUNK; ++c) ADD(to[a10 + c], w10 * slope[c]);
            if (w11 != 0.0f) for (int c = 0; c < CHUNK; ++c) ADD(to[a11 + c], w11 * slope[c]);
"""
_APART = """
            const float *p00 = others.data + a00 + begin, *p01 = others.data + a01 + begin;
            const float *p10 = others.data + a10 + begin, *p11 = others.data + a11 + begin;
            float apart[CHUNK];
            for (int c = 0; c < CHUNK; ++c)
                apart[c] =
                    w00 * p00[c] + w01 * p01[c] + w10 * p10[c] + w11 * p11[c] - own[begin + c];
"""
VARIANCE_BACK = f"""{_ADD}{_SIZES}
    const int begin = level * CHUNK;
    const float share = 1.0f / (others_count + 1);
    for (long n = first; n < last; ++n) {{{_ITEM}
        float mean[CHUNK], whole[CHUNK];
        for (int c = 0; c < CHUNK; ++c) mean[c] = whole[c] = 0.0f;
        const float* given = gradient.data + n * DIM + begin;
        for (int v = 0; v < others_count; ++v) {{{_PLACE}{_APART}
            for (int c = 0; c < CHUNK; ++c) mean[c] += share * apart[c];
        }}
        for (int v = 0; v < others_count; ++v) {{{_PLACE}{_APART}
            float slope[CHUNK];
            for (int c = 0; c < CHUNK; ++c) {{
                slope[c] = 2.0f * share * (apart[c] - mean[c]) * given[c];
                whole[c] -= slope[c];
            }}
{_SCATTER}        }}
        float* home = reference_gradient.data + (b * pixels + p) * DIM + begin;
        for (int c = 0; c < CHUNK; ++c) ADD(home[c], whole[c]);
    }}
"""
CORRELATION = f"""{_SIZES}
    const int v = 0;
    const bool adds = weights.shape[0] > 0;
    for (long n = first; n < last; ++n) {{{_ITEM}{_PLACE}
        const float *p00 = others.data + a00, *p01 = others.data + a01;
        const float *p10 = others.data + a10, *p11 = others.data + a11;
        float product[DIM];
        for (int c = 0; c < DIM; ++c)
            product[c] = own[c] * (w00 * p00[c] + w01 * p01[c] + w10 * p10[c] + w11 * p11[c]);
        const float share = (adds ? weights.data[b * pixels + p] : 1.0f) * ((float)GROUPS / DIM);
        float* to = result.data + n * GROUPS;
        for (int g = 0; g < GROUPS; ++g) {{
            float sum = 0.0f;
            for (int c = 0; c < DIM / GROUPS; ++c) sum += product[g * (DIM / GROUPS) + c];
            to[g] = (adds ? to[g] : 0.0f) + share * sum;
        }}
    }}
"""
CORRELATION_BACK = f"""{_ADD}{_SIZES}
    const int begin = level * CHUNK, v = 0;
    for (long n = first; n < last; ++n) {{{_ITEM}{_PLACE}
        const float* source = gradient.data + n * GROUPS;
        const float *p00 = others.data + a00 + begin, *p01 = others.data + a01 + begin;
        const float *p10 = others.data + a10 + begin, *p11 = others.data + a11 + begin;
        float given[CHUNK], slope[CHUNK];
        for (int c = 0; c < CHUNK; ++c)
            given[c] = source[(begin + c) / (DIM / GROUPS)] * ((float)GROUPS / DIM);
        float* home = reference_gradient.data + (own - reference.data) + begin;
        for (int c = 0; c < CHUNK; ++c)
            ADD(home[c], given[c] * (w00 * p00[c] + w01 * p01[c] + w10 * p10[c] + w11 * p11[c]));
        for (int c = 0; c < CHUNK; ++c) slope[c] = given[c] * own[begin + c];
{_SCATTER}    }}
"""
