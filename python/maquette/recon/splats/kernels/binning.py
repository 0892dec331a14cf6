"""Kernels that pair tiles with the ellipses they blend, and sum over the pairs of an ellipse."""

# No postponed annotations here: Warp reads the types of kernels' parameters as objects.
import warp as wp

from maquette.recon.splats.kernels.lanes import LANES
from maquette.recon.splats.kernels.tile_test import TILE_TEST

_FILL = f"""{TILE_TEST}
    const int n = order.data[rank];
    const float* e = records.data + 16 * n;
    const int columns = (width + 15) / 16;
    const float limit = logf(e[5] * 255.0f);
    int at = starts.data[rank];
    const int end = starts.data[rank + 1];
    first_pair.data[n] = at;
    int low_i, high_i, low_j, high_j;
    tiles_around(e, width, height, &low_i, &high_i, &low_j, &high_j);
    for (int j = low_j; j < high_j; ++j)
        for (int i = low_i; i < high_i; ++i)
            if (at < end && meets(e, limit, i, j)) {{
                tile.data[at] = j * columns + i;
                owner.data[at] = n;
                ++at;
            }}
    // only if the two kernels round otherwise: such a pair is of a tile that is not drawn
    for (; at < end; ++at) {{
        tile.data[at] = tiles;
        owner.data[at] = n;
    }}
"""

_SORT = """
    for (int t = 0; t <= tiles + 1; ++t) ranges.data[t] = 0;
    for (int p = 0; p < count; ++p) ++ranges.data[tile.data[p] + 1];
    for (int t = 0; t <= tiles; ++t) ranges.data[t + 1] += ranges.data[t];
    for (int p = 0; p < count; ++p) {
        const int at = ranges.data[tile.data[p]]++;
        pairs.data[at] = owner.data[p];
        slots.data[at] = p;
    }
    // each entry has moved to the end of its tile, which is where the next one begins
    for (int t = tiles; t > 0; --t) ranges.data[t] = ranges.data[t - 1];
    ranges.data[0] = 0;
"""

_GATHER = f"""{LANES}
    const int pieces = touched.data[n], width = 16;
    const float* from = parts.data + (long long)16 * first_pair.data[n];
    float* to = sums.data + (long long)16 * n;
    for (int i = 0; i < width; i += lanes) {{
        Row sum = 0.0f;
        for (int p = 0; p < pieces; ++p) sum += load(from + 16 * p + i);
        save(to + i, sum);
    }}
"""


@wp.func_native(_FILL)
def _fill_native(
    rank: int, width: int, height: int, tiles: int, order: wp.array(dtype=wp.int32),
    starts: wp.array(dtype=wp.int32), records: wp.array(dtype=wp.float32),
    first_pair: wp.array(dtype=wp.int32), tile: wp.array(dtype=wp.int32),
    owner: wp.array(dtype=wp.int32),
): ...  # fmt: skip


@wp.kernel(enable_backward=False)
def fill(
    first: int, width: int, height: int, tiles: int, order: wp.array(dtype=wp.int32),
    starts: wp.array(dtype=wp.int32), records: wp.array(dtype=wp.float32),
    first_pair: wp.array(dtype=wp.int32), tile: wp.array(dtype=wp.int32),
    owner: wp.array(dtype=wp.int32),
):  # fmt: skip
    """Write the pairs of the ellipse of each rank by depth: its tiles, and its number."""
    _fill_native(
        first + wp.tid(), width, height, tiles, order, starts, records, first_pair, tile, owner
    )


@wp.func_native(_SORT)
def _sort_native(
    count: int, tiles: int, tile: wp.array(dtype=wp.int32), owner: wp.array(dtype=wp.int32),
    ranges: wp.array(dtype=wp.int32), pairs: wp.array(dtype=wp.int32),
    slots: wp.array(dtype=wp.int32),
): ...  # fmt: skip


@wp.kernel(enable_backward=False)
def sort_pairs(
    first: int, count: int, tiles: int, tile: wp.array(dtype=wp.int32),
    owner: wp.array(dtype=wp.int32), ranges: wp.array(dtype=wp.int32),
    pairs: wp.array(dtype=wp.int32), slots: wp.array(dtype=wp.int32),
):  # fmt: skip
    """Sort pairs by tile in one pass and one thread, keeping their order within a tile."""
    _sort_native(count, tiles, tile, owner, ranges, pairs, slots)


@wp.func_native(_GATHER)
def _gather_native(
    n: int, touched: wp.array(dtype=wp.int32), first_pair: wp.array(dtype=wp.int32),
    parts: wp.array(dtype=wp.float32), sums: wp.array(dtype=wp.float32),
): ...  # fmt: skip


@wp.kernel(enable_backward=False)
def gather_parts(
    first: int, touched: wp.array(dtype=wp.int32), first_pair: wp.array(dtype=wp.int32),
    parts: wp.array(dtype=wp.float32), sums: wp.array(dtype=wp.float32),
):  # fmt: skip
    """Sum the parts of each ellipse in one order, so that the sum is always the same."""
    _gather_native(first + wp.tid(), touched, first_pair, parts, sums)
