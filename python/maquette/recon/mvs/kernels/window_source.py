"""C++ for one pixel: a window around it, and its costs in source views; see `patch_match.py`."""

from __future__ import annotations

# What both kernels begin with. A Row is 16 samples on a CPU, and one in a thread of a GPU.
WINDOW = """
#ifdef __CUDA_ARCH__
    typedef float Row;
    typedef int Whole;
    const int lanes = 1;
    auto load = [](const float* from) -> Row { return *from; };
    auto save = [](float* to, Row row) { *to = row; };
    auto whole = [](Row row) -> Whole { return (int)row; };
    auto real = [](Whole row) -> Row { return (float)row; };
    auto gather = [](const unsigned* from, Whole at) -> Whole { return (int)from[at]; };
    auto bytes = [](const unsigned char* from, Whole at) -> Whole { return from[at]; };
    auto total = [](Row row) -> float { return row; };
#else
    typedef float Row __attribute__((ext_vector_type(16)));
    typedef int Whole __attribute__((ext_vector_type(16)));
    typedef Row Loose __attribute__((aligned(4)));
    const int lanes = 16;
    auto load = [](const float* from) -> Row { return *(const Loose*)from; };
    auto save = [](float* to, Row row) { *(Loose*)to = row; };
    auto whole = [](Row row) -> Whole { return __builtin_convertvector(row, Whole); };
    auto real = [](Whole row) -> Row { return __builtin_convertvector(row, Row); };
    auto gather = [](const unsigned* from, Whole at) -> Whole {
        Whole row;
        for (int l = 0; l < 16; ++l) row[l] = (int)from[at[l]];
        return row;
    };
    auto bytes = [](const unsigned char* from, Whole at) -> Whole {
        Whole row;
        for (int l = 0; l < 16; ++l) row[l] = from[at[l]];
        return row;
    };
    auto total = [](Row row) -> float {
        auto eight = row.lo + row.hi;
        auto four = eight.lo + eight.hi;
        auto two = four.lo + four.hi;
        return two.x + two.y;
    };
#endif
    auto clamped = [](Row row, float last) -> Row {
        row = row > 0.0f ? row : (Row)0.0f;
        return row < last ? row : (Row)last;
    };
    const int width = layout.data[1], height = layout.data[2];
    const float fx = lens.data[0], fy = lens.data[1];
    const float ray_x = (x + 0.5f - lens.data[2]) / fx, ray_y = (y + 0.5f - lens.data[3]) / fy;
    const float per_x = 1.0f / fx, per_y = 1.0f / fy;
    const float* right = window.data;
    const float* down = window.data + 32;
    const float* away = window.data + 64;
    float weight[32], product[32];
    const float middle = texels.data[y * width + x] & 255u;
    float variance;
    {
        Row sum = 0.0f, first = 0.0f, second = 0.0f;
        for (int k = 0; k < 32; k += lanes) {
            const Whole i = whole(clamped(x + load(right + k), width - 1));
            const Whole j = whole(clamped(y + load(down + k), height - 1));
            const Row value = real(gather(texels.data, j * width + i) & 255) - middle;
            Row e = value * value * contrast + load(away + k);
            e = (e < 20.0f ? e : (Row)20.0f) * 0.03125f;
            // exp(-32 e) by a polynomial of exp(-e)
            Row p = 1.0f - e * (1.0f - e * (0.5f - e * 0.16666667f));
            p *= p; p *= p; p *= p; p *= p; p *= p;
            // a reference pixel that a mask excludes has no weight
            p *= real(bytes(used.data, j * width + i));
            save(weight + k, p);
            save(product + k, p * value);
            sum += p;
            first += p * value;
            second += p * value * value;
        }
        const float part = 1.0f / total(sum), mean = total(first) * part;
        variance = total(second) * part - mean * mean;
        for (int k = 0; k < 32; k += lanes) {
            const Row w = load(weight + k) * part;
            save(weight + k, w);
            save(product + k, load(product + k) * part - w * mean);
        }
    }
    // 1 - the correlation of the window with a source view, 2 where it is not seen
    auto match = [&](int view, const float* plane) -> float {
        const float* b = cameras.data + 24 * view;
        const int start = layout.data[3 * view + 3];
        const int across = layout.data[3 * view + 4], along = layout.data[3 * view + 5];
        float h[9];
        for (int row = 0; row < 3; ++row)
            for (int column = 0; column < 3; ++column)
                h[3 * row + column] = b[3 * row + column] + b[9 + row] * plane[column];
        const float q0 = h[0] * ray_x + h[1] * ray_y + h[2];
        const float q1 = h[3] * ray_x + h[4] * ray_y + h[5];
        const float q2 = h[6] * ray_x + h[7] * ray_y + h[8];
        const float u0 = q0 / q2, v0 = q1 / q2;
        if (!(q2 > 0.0f && u0 > 0.0f && v0 > 0.0f && u0 < across && v0 < along)) return 2.0f;
        if (!used.data[start + (int)v0 * across + (int)u0]) return 2.0f;
        const float x0 = h[0] * per_x, x1 = h[3] * per_x, x2 = h[6] * per_x;
        const float y0 = h[1] * per_y, y1 = h[4] * per_y, y2 = h[7] * per_y;
        const Row behind = 0.1f * q2;
        const unsigned* source = texels.data + start;
        Row sum = 0.0f, squares = 0.0f, cross = 0.0f;
        for (int k = 0; k < 32; k += lanes) {
            const Row dx = load(right + k), dy = load(down + k);
            Row z = q2 + dx * x2 + dy * y2;
            z = 1.0f / (z > behind ? z : behind);
            const Row u = clamped((q0 + dx * x0 + dy * y0) * z - 0.5f, across - 1);
            const Row v = clamped((q1 + dx * x1 + dy * y1) * z - 0.5f, along - 1);
            const Whole i = whole(u), j = whole(v);
            const Whole four = gather(source, j * across + i);
            const Row s = u - real(i), t = v - real(j);
            const Row a = real(four & 255), c = real(four >> 8 & 255);
            const Row d = real(four >> 16 & 255), e = real(four >> 24 & 255);
            const Row top = a + s * (c - a), bottom = d + s * (e - d);
            const Row value = top + t * (bottom - top) - middle;
            const Row share = load(weight + k) * value;
            sum += share;
            squares += share * value;
            cross += load(product + k) * value;
        }
        const float mean = total(sum), other = total(squares) - mean * mean;
        if (!(variance > 0.5f && other > 0.5f)) return 2.0f;
        const float cost = 1.0f - total(cross) / sqrtf(variance * other);
        return cost > 0.0f ? (cost < 2.0f ? cost : 2.0f) : 0.0f;
    };
"""
SCORE = f"""{WINDOW}
    const int n = y * width + x;
    for (int view = 0; view < views; ++view)
        result.data[n * views + view] = match(view, planes.data + 3 * n);
"""
