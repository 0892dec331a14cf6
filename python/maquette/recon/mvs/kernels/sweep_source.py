"""C++ for one pixel: a better plane for it; see `patch_match.py`."""

from __future__ import annotations

from maquette.recon.mvs.kernels.window_source import WINDOW

SWEEP = f"""{WINDOW}
    const int n = y * width + x;
    if (!used.data[n]) return;
    // how far the depth that the source view has there lands from this pixel
    auto disagreement = [&](int view, const float* plane) -> float {{
        const float* b = cameras.data + 24 * view;
        const int start = layout.data[3 * view + 3];
        const int across = layout.data[3 * view + 4], along = layout.data[3 * view + 5];
        const float w = plane[0] * ray_x + plane[1] * ray_y + plane[2];
        const float q0 = b[0] * ray_x + b[1] * ray_y + b[2] + b[9] * w;
        const float q1 = b[3] * ray_x + b[4] * ray_y + b[5] + b[10] * w;
        const float q2 = b[6] * ray_x + b[7] * ray_y + b[8] + b[11] * w;
        const float u = q0 / q2, v = q1 / q2;
        if (!(q2 > 0.0f && u > 0.0f && v > 0.0f && u < across && v < along)) return 3.0f;
        const float d = depths.data[start + (int)v * across + (int)u];
        if (!(d > 0.0f)) return 3.0f;
        const float* c = b + 12;
        const float p2 = d * (c[6] * u + c[7] * v + c[8]) + c[11];
        const float dx = (d * (c[0] * u + c[1] * v + c[2]) + c[9]) / p2 - (x + 0.5f);
        const float dy = (d * (c[3] * u + c[4] * v + c[5]) + c[10]) / p2 - (y + 0.5f);
        const float error = sqrtf(dx * dx + dy * dy);
        return error < 3.0f ? error : 3.0f;
    }};
    unsigned state = ((unsigned)n * 2654435761u) ^ (seed * 805459861u);
    auto draw = [&]() -> float {{  // uniform in -1 .. 1
        state = state * 747796405u + 2891336453u;
        unsigned word = ((state >> ((state >> 28) + 4u)) ^ state) * 277803737u;
        word = (word >> 22) ^ word;
        return (float)(word >> 8) * (2.0f / 16777216.0f) - 1.0f;
    }};
    // candidates: this pixel's plane, and the best of each of eight areas of the other colour
    float plane[9][3], photometric[9][8], geometric[9][8];
    int count = 1;
    for (int i = 0; i < 3; ++i) plane[0][i] = planes.data[3 * n + i];
    auto inside = [&](const float* p) -> bool {{
        const float w = p[0] * ray_x + p[1] * ray_y + p[2];
        return w >= least && w <= most;
    }};
    for (int area = 0; area < 8; ++area) {{
        const int turn = area & 3, strip = area >> 2;
        float best = 1.9f;
        int found = -1;
        const int steps = strip ? 11 : 7;
        for (int k = 0; k < steps; ++k) {{
            // along the axis, and to the side: a strip, or a V
            const int out = strip ? 3 + 2 * k : (k == 0 ? 1 : 2 + ((k - 1) >> 1));
            const int aside = strip || k == 0 ? 0 : ((k & 1) ? out - 1 : 1 - out);
            const int i = x + (turn == 0 ? out : turn == 1 ? -out : aside);
            const int j = y + (turn == 2 ? out : turn == 3 ? -out : aside);
            if (i < 0 || j < 0 || i >= width || j >= height) continue;
            const int at = j * width + i;
            if (used.data[at] && costs.data[at] < best) {{ best = costs.data[at]; found = at; }}
        }}
        if (found < 0) continue;
        const float* p = planes.data + 3 * found;
        bool fresh = inside(p);
        for (int i = 0; i < count; ++i)
            fresh = fresh && (p[0] != plane[i][0] || p[1] != plane[i][1]);
        if (!fresh) continue;
        for (int i = 0; i < 3; ++i) plane[count][i] = p[i];
        ++count;
    }}
    for (int i = 0; i < count; ++i)
        for (int view = 0; view < views; ++view) {{
            photometric[i][view] = match(view, plane[i]);
            geometric[i][view] = consistency > 0.0f
                ? consistency * disagreement(view, plane[i]) : 0.0f;
        }}
    // a view counts where several candidates fit it
    float share[8];
    float sum = 0.0f;
    for (int view = 0; view < views; ++view) {{
        int good = 0, bad = 0;
        float confidence = 0.0f;
        for (int i = 0; i < count; ++i) {{
            const float m = photometric[i][view];
            if (m < limit) {{ ++good; confidence += expf(-m * m * 5.5555556f); }}
            if (m > 1.2f) ++bad;
        }}
        float prior = 0.0f;
        for (int turn = 0; turn < 4; ++turn) {{
            const int i = x + (turn == 0) - (turn == 1), j = y + (turn == 2) - (turn == 3);
            if (i < 0 || j < 0 || i >= width || j >= height) continue;
            prior += chosen.data[j * width + i] >> view & 1 ? 0.9f : 0.1f;
        }}
        share[view] = 3 * good > count && 3 * bad < count + 1 ? prior * confidence / good : 0.0f;
        sum += share[view];
    }}
    if (!(sum > 0.0f)) {{  // none: the two that fit any candidate best
        for (int turn = 0; turn < 2; ++turn) {{
            float best = 3.0f;
            int found = 0;
            for (int view = 0; view < views; ++view)
                for (int i = 0; i < count; ++i)
                    if (share[view] == 0.0f && photometric[i][view] < best) {{
                        best = photometric[i][view];
                        found = view;
                    }}
            share[found] = 0.5f;
        }}
        sum = 0.0f;
        for (int view = 0; view < views; ++view) sum += share[view];
    }}
    float largest = 0.0f;
    for (int view = 0; view < views; ++view) {{
        share[view] /= sum;
        largest = share[view] > largest ? share[view] : largest;
    }}
    int selected = 0;
    for (int view = 0; view < views; ++view)
        if (share[view] > 0.3f * largest) selected |= 1 << view;
    // a cost is judged by how well its plane fits the prior, where there is one
    const float* guess = prior_depth > 0.0f ? prior.data + 3 * n : plane[0];
    const float guessed = guess[0] * ray_x + guess[1] * ray_y + guess[2];
    const bool guided = prior_depth > 0.0f && guessed >= least && guessed <= most;
    auto judged = [&](float cost, const float* p) -> float {{
        if (!guided) return cost;
        const float off = (1.0f / (p[0] * ray_x + p[1] * ray_y + p[2]) - 1.0f / guessed);
        const float along = p[0] * guess[0] + p[1] * guess[1] + p[2] * guess[2];
        const float sizes = (p[0] * p[0] + p[1] * p[1] + p[2] * p[2])
            * (guess[0] * guess[0] + guess[1] * guess[1] + guess[2] * guess[2]);
        const float turned = 2.0f * (1.0f - along / sqrtf(sizes)) * 131.3123f;
        const float fit = expf(-0.5f * (off * off / (prior_depth * prior_depth) + turned));
        return sqrtf(cost * cost + 0.0648f * logf(1.5f / (0.5f + fit)));
    }};
    float best = 9.0f, least_judged = 9.0f;
    float kept[3] = {{plane[0][0], plane[0][1], plane[0][2]}};
    auto keep = [&](float cost, const float* p) {{
        if (!(cost < least_judged)) return;
        const float value = judged(cost, p);
        if (!(value < least_judged)) return;
        least_judged = value;
        best = cost;
        for (int a = 0; a < 3; ++a) kept[a] = p[a];
    }};
    for (int i = 0; i < count; ++i) {{
        float cost = 0.0f;
        for (int view = 0; view < views; ++view)
            cost += share[view] * (photometric[i][view] + geometric[i][view]);
        keep(cost, plane[i]);
    }}
    auto attempt = [&](const float* p) {{
        float cost = 0.0f;
        for (int view = 0; view < views && cost < least_judged; ++view)
            if (share[view] > 0.0f) {{
                cost += share[view] * match(view, p);
                if (consistency > 0.0f) cost += share[view] * consistency * disagreement(view, p);
            }}
        keep(cost, p);
    }};
    if (guided) attempt(guess);
    // refinement: other depths, other normals, both
    for (int turn = 0; turn < tries; ++turn) {{
        const float w = kept[0] * ray_x + kept[1] * ray_y + kept[2];
        const float length = sqrtf(kept[0] * kept[0] + kept[1] * kept[1] + kept[2] * kept[2]);
        float normal[3], other = w;
        for (int i = 0; i < 3; ++i) normal[i] = kept[i] / length;
        if (turn == 3) other = least + (0.5f + 0.5f * draw()) * (most - least);
        else if (turn != 1) other = w * (1.0f + depth_step * draw());
        if (turn == 4) for (int i = 0; i < 3; ++i) normal[i] = draw();
        else if (turn != 0) for (int i = 0; i < 3; ++i) normal[i] += normal_step * draw();
        float toward = normal[0] * ray_x + normal[1] * ray_y + normal[2];
        if (turn == 4 && toward < 0.0f) {{
            for (int i = 0; i < 3; ++i) normal[i] = -normal[i];
            toward = -toward;
        }}
        const float size = normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2];
        if (other < least || other > most || toward < 0.1f * sqrtf(size)) continue;
        const float scale = other / toward;
        float p[3];
        for (int i = 0; i < 3; ++i) p[i] = normal[i] * scale;
        attempt(p);
    }}
    for (int i = 0; i < 3; ++i) planes.data[3 * n + i] = kept[i];
    costs.data[n] = best;
    chosen.data[n] = selected;
"""
