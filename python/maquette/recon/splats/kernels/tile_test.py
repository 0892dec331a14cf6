"""Which tiles an ellipse reaches, exactly: C++ that projection and binning share.

Source: the bounds of Hanson et al., "Speedy-Splat", 2025, section 4.1, and in place of their
walk along the ellipse the least value of its quadratic form on the tile's pixel centres.
"""

TILE = 16  # pixels along a side

TILE_TEST = """
    // tiles whose pixels lie in the ellipse's bounding box: low <= i < high
    auto tiles_around = [](const float* e, int width, int height, int* low_i, int* high_i,
                           int* low_j, int* high_j) {
        const int columns = (width + 15) / 16, rows = (height + 15) / 16;
        auto within = [](float at, int most) -> int {
            return at > 0.0f ? (at < most ? (int)at : most) : 0;
        };
        *low_i = within((e[0] - e[10] - 0.5f) * 0.0625f, columns);
        *high_i = within((e[0] + e[10] - 0.5f) * 0.0625f + 1.0f, columns);
        *low_j = within((e[1] - e[11] - 0.5f) * 0.0625f, rows);
        *high_j = within((e[1] + e[11] - 0.5f) * 0.0625f + 1.0f, rows);
    };
    // whether the form (a dx² + 2 b dx dy + c dy²) / 2 falls to the limit anywhere in a tile
    auto meets = [](const float* e, float limit, int i, int j) -> bool {
        const float left = 16 * i + 0.5f - e[0], right = left + 15.0f;
        const float top = 16 * j + 0.5f - e[1], bottom = top + 15.0f;
        const float dx = left > 0.0f ? left : right < 0.0f ? right : 0.0f;
        const float dy = top > 0.0f ? top : bottom < 0.0f ? bottom : 0.0f;
        if (dx == 0.0f && dy == 0.0f) return true;
        float best = 1e30f;
        if (dx != 0.0f) {
            float y = -e[3] * dx / e[4];
            y = y < top ? top : y > bottom ? bottom : y;
            best = 0.5f * (e[2] * dx * dx + e[4] * y * y) + e[3] * dx * y;
        }
        if (dy != 0.0f) {
            float x = -e[3] * dy / e[2];
            x = x < left ? left : x > right ? right : x;
            const float other = 0.5f * (e[2] * x * x + e[4] * dy * dy) + e[3] * x * dy;
            best = other < best ? other : best;
        }
        return best <= limit;
    };
"""
