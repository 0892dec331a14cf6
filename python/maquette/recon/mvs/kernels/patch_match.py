"""Kernels of PatchMatch stereo, one thread a pixel; the twin is `sweeping.py`, with sources.

The loops are C++ inside Warp kernels, for the CPU and for CUDA. A compiler for the CPU leaves such
loops scalar, so rows of 16 samples are its vector type; in a thread of a GPU a row is one sample.
"""

# No postponed annotations here: Warp reads the types of kernels' parameters as objects.
from typing import TYPE_CHECKING, Any

import torch
import warp as wp
from torch import Tensor

from maquette.recon.kernels.launching import array, over_items

if TYPE_CHECKING:
    from maquette.recon.mvs.stacks import Stack
    from maquette.recon.mvs.sweeping import Effort, State, Window

MOST_VIEWS = 8


def score(stack: "Stack", window: "Window", planes: Tensor) -> Tensor:
    """Photometric cost of planes; see `sweeping.score`."""
    height, width = stack.size
    result = torch.empty(height, width, stack.views, device=planes.device)
    arguments = [
        width, stack.views, *_arrays(stack, window), _flat(planes), _flat(result),
    ]  # fmt: skip
    over_items(_score, height * width, planes.device, arguments)
    return result


def sweep(
    stack: "Stack", window: "Window", state: "State", effort: "Effort", colour: int, seed: int
) -> None:
    """Improve the pixels of one colour in place; see `sweeping.sweep`."""
    height, width = stack.size
    arguments = [
        width, stack.views, colour, *_arrays(stack, window), _flat(state.planes),
        _flat(state.costs), _flat(state.chosen, wp.int32), _flat(stack.depths),
        effort.consistency, effort.least, effort.most, effort.limit, effort.tries,
        effort.depth_step, effort.normal_step, seed, _flat(state.prior), effort.prior_depth,
    ]  # fmt: skip
    over_items(_sweep, height * ((width + 1) // 2), state.costs.device, arguments)


def _arrays(stack: "Stack", window: "Window") -> list[Any]:
    return [
        _flat(stack.texels, wp.uint32), _flat(stack.used, wp.uint8),
        _flat(stack.layout, wp.int32), _flat(stack.cameras), _flat(stack.lens),
        _flat(window.offsets), window.contrast,
    ]  # fmt: skip


def _flat(tensor: Tensor, kind: Any = wp.float32) -> Any:
    return array(tensor.view(-1), kind)


# What both kernels begin with. A Row is 16 samples on a CPU, and one in a thread of a GPU.
_WINDOW = """
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
_SCORE = f"""{_WINDOW}
    const int n = y * width + x;
    for (int view = 0; view < views; ++view)
        result.data[n * views + view] = match(view, planes.data + 3 * n);
"""
_SWEEP = f"""{_WINDOW}
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


@wp.func_native(_SCORE)
def _score_pixel(
    x: int, y: int, views: int, texels: wp.array(dtype=wp.uint32), used: wp.array(dtype=wp.uint8),
    layout: wp.array(dtype=wp.int32), cameras: wp.array(dtype=wp.float32),
    lens: wp.array(dtype=wp.float32), window: wp.array(dtype=wp.float32), contrast: float,
    planes: wp.array(dtype=wp.float32), result: wp.array(dtype=wp.float32),
): ...  # fmt: skip


@wp.func_native(_SWEEP)
def _sweep_pixel(
    x: int, y: int, views: int, texels: wp.array(dtype=wp.uint32), used: wp.array(dtype=wp.uint8),
    layout: wp.array(dtype=wp.int32), cameras: wp.array(dtype=wp.float32),
    lens: wp.array(dtype=wp.float32), window: wp.array(dtype=wp.float32), contrast: float,
    planes: wp.array(dtype=wp.float32), costs: wp.array(dtype=wp.float32),
    chosen: wp.array(dtype=wp.int32), depths: wp.array(dtype=wp.float32), consistency: float,
    least: float, most: float, limit: float, tries: int, depth_step: float, normal_step: float,
    seed: wp.uint32, prior: wp.array(dtype=wp.float32), prior_depth: float,
): ...  # fmt: skip


@wp.kernel(enable_backward=False)
def _score(
    first: int, width: int, views: int, texels: wp.array(dtype=wp.uint32),
    used: wp.array(dtype=wp.uint8), layout: wp.array(dtype=wp.int32),
    cameras: wp.array(dtype=wp.float32), lens: wp.array(dtype=wp.float32),
    window: wp.array(dtype=wp.float32), contrast: float, planes: wp.array(dtype=wp.float32),
    result: wp.array(dtype=wp.float32),
):  # fmt: skip
    n = first + wp.tid()
    _score_pixel(
        n % width, n // width, views, texels, used, layout, cameras, lens, window, contrast,
        planes, result,
    )  # fmt: skip


@wp.kernel(enable_backward=False)
def _sweep(
    first: int, width: int, views: int, colour: int, texels: wp.array(dtype=wp.uint32),
    used: wp.array(dtype=wp.uint8), layout: wp.array(dtype=wp.int32),
    cameras: wp.array(dtype=wp.float32), lens: wp.array(dtype=wp.float32),
    window: wp.array(dtype=wp.float32), contrast: float, planes: wp.array(dtype=wp.float32),
    costs: wp.array(dtype=wp.float32), chosen: wp.array(dtype=wp.int32),
    depths: wp.array(dtype=wp.float32), consistency: float, least: float, most: float,
    limit: float, tries: int, depth_step: float, normal_step: float, seed: wp.uint32,
    prior: wp.array(dtype=wp.float32), prior_depth: float,
):  # fmt: skip
    n = first + wp.tid()
    half = (width + 1) // 2
    y = n // half
    x = 2 * (n % half) + ((y + colour) & 1)
    if x < width:
        _sweep_pixel(
            x, y, views, texels, used, layout, cameras, lens, window, contrast, planes, costs,
            chosen, depths, consistency, least, most, limit, tries, depth_step, normal_step, seed,
            prior, prior_depth,
        )  # fmt: skip
