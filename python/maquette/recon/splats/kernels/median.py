"""The kernel that finds the Gaussian at which half of a pixel's light is taken."""

# No postponed annotations here: Warp reads the types of kernels' parameters as objects.
import warp as wp

_TILE = wp.constant(16)


@wp.kernel(enable_backward=False)
def median(
    first: int, width: int, least_alpha: float, most_alpha: float,
    records: wp.array(dtype=wp.float32), ranges: wp.array(dtype=wp.int32),
    owners: wp.array(dtype=wp.int32), found: wp.array(dtype=wp.int32),
):  # fmt: skip
    """Write the number of that Gaussian for a pixel; -1 stays where less than half is taken.

    `records` [N, 16] are ellipses as projection writes them; tiles of 16 × 16 pixels blend the
    `owners` of their `ranges`, nearest first.
    """
    at = first + wp.tid()
    row, column = at // width, at % width
    tile = (row // _TILE) * ((width + _TILE - 1) // _TILE) + column // _TILE
    x, y = float(column) + 0.5, float(row) + 0.5
    passing = wp.float32(1.0)
    for k in range(ranges[tile], ranges[tile + 1]):
        owner = owners[k]
        line = 16 * owner
        dx, dy = x - records[line], y - records[line + 1]
        if wp.abs(dx) > records[line + 10] or wp.abs(dy) > records[line + 11]:
            continue
        power = (0.5 * (records[line + 2] * dx * dx + records[line + 4] * dy * dy)
                 + records[line + 3] * dx * dy)  # fmt: skip
        alpha = records[line + 5] * wp.exp(-power)
        if alpha < least_alpha:
            continue
        passing *= 1.0 - wp.min(alpha, most_alpha)
        if passing < 0.5:
            found[at] = owner
            return
