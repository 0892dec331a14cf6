"""The owl on its stump, as one signed distance field, and the painted mesh made from it.

One field gives one closed outer surface, so the rendered object and its ground truth are the
same mesh and no face hides inside another. World frame: z up, ground at z = 0, the owl looks
along -y and is one unit tall. `points` are [N, 3] float32, world units, and every distance is
[N] float32, negative inside.
"""

from dataclasses import dataclass

import numpy as np
from skimage.measure import label, marching_cubes

LOWER = np.array([-0.60, -0.46, -0.004], np.float32)
UPPER = np.array([0.56, 0.46, 1.03], np.float32)
EYES = np.array([[-0.066, -0.116, 0.835], [0.066, -0.116, 0.835]], np.float32)
SHOULDER = np.array([-0.12, 0.015, 0.70], np.float32)
WRIST = np.array([-0.30, 0.04, 0.83], np.float32)
STUMP_TOP = 0.30
BLOCK = 4  # fine cells along the edge of a coarse block
NOISE_TABLE = np.random.default_rng(7).random((64, 64, 64), dtype=np.float32)


@dataclass(frozen=True)
class PaintedMesh:
    """A triangle mesh with one linear RGB colour a vertex."""

    vertices: np.ndarray  # [V, 3] float32, world units
    faces: np.ndarray  # [F, 3] int32, counter-clockwise seen from outside
    colours: np.ndarray  # [V, 3] float32, linear RGB in [0, 1]


# --- noise and distance primitives ---------------------------------------------------------


def value_noise(points, frequency, octaves=1):
    """Smooth noise in [0, 1] from a fixed table of random numbers, [N]."""
    total, weight = np.zeros(len(points), np.float32), 0.0
    for octave in range(octaves):
        scaled = points * (frequency * 2.0**octave) + 17.3 * octave
        cell = np.floor(scaled).astype(np.int64)
        blend = (scaled - cell).astype(np.float32)
        blend = blend * blend * (3.0 - 2.0 * blend)
        value = np.zeros(len(points), np.float32)
        for corner in np.ndindex(2, 2, 2):
            index = (cell + corner) % 64
            share = np.prod(np.where(corner, blend, 1.0 - blend), axis=1)
            value += share * NOISE_TABLE[index[:, 0], index[:, 1], index[:, 2]]
        total += value * 0.5**octave
        weight += 0.5**octave
    return total / weight


def ellipsoid(points, centre, radii, axes=None):
    """Approximate distance to an ellipsoid; `axes` [3, 3] holds its unit axes as rows."""
    local = points - np.asarray(centre, np.float32)
    if axes is not None:
        local = local @ np.asarray(axes, np.float32).T
    scaled = local / np.asarray(radii, np.float32)
    norm = np.linalg.norm(scaled, axis=1)
    slope = np.linalg.norm(scaled / np.asarray(radii, np.float32), axis=1)
    return norm * (norm - 1.0) / np.maximum(slope, 1e-6)


def limb(points, start, end, start_radius, end_radius):
    """Distance to a rounded stick whose radius changes along its length."""
    start, axis = np.asarray(start, np.float32), np.subtract(end, start).astype(np.float32)
    along = np.clip((points - start) @ axis / (axis @ axis), 0.0, 1.0)
    radius = start_radius + (end_radius - start_radius) * along
    return np.linalg.norm(points - start - along[:, None] * axis, axis=1) - radius


def blend_union(first, second, width):
    """Union of two fields with a fillet about `width` wide."""
    share = np.clip(0.5 + 0.5 * (second - first) / width, 0.0, 1.0)
    return second + (first - second) * share - width * share * (1.0 - share)


def carve(body, tool, width):
    """Body without tool, the edge rounded over about `width`."""
    return -blend_union(-body, tool, width)


def orthonormal_axes(direction, up):
    """Rows: side, along `direction`, thickness."""
    along = np.asarray(direction, float) / np.linalg.norm(direction)
    side = np.cross(along, up)
    side /= np.linalg.norm(side)
    return np.stack([side, along, np.cross(side, along)])


# --- parts ---------------------------------------------------------------------------------


def stump(points):
    """Stump with bark ridges, roots and a hollow at the front."""
    angle = np.arctan2(points[:, 1], points[:, 0])
    height = np.clip(points[:, 2], 0.0, STUMP_TOP)
    radius = 0.215 + 0.07 * (1.0 - height / STUMP_TOP) ** 2
    noise = value_noise(points, 9.0, 2)
    ridges = np.abs(np.sin(angle * 11.0 + 5.0 * noise + 4.0 * points[:, 2]))
    radius += 0.016 * ridges + 0.03 * (noise - 0.5)
    wall = np.hypot(points[:, 0], points[:, 1]) - radius
    top = points[:, 2] - STUMP_TOP - 0.02 * (value_noise(points, 5.0) - 0.5)
    field = -blend_union(-wall, -top, 0.02)
    for heading, reach in ((0.35, 0.40), (1.5, 0.40), (2.5, 0.38), (3.35, 0.42), (5.35, 0.41)):
        out = np.array([np.cos(heading), np.sin(heading), 0.0])
        bend = np.array([np.cos(heading + 0.25), np.sin(heading + 0.25), 0.0])
        root = limb(points, 0.17 * out + [0, 0, 0.12], 0.31 * out + [0, 0, 0.03], 0.07, 0.045)
        tip = limb(points, 0.31 * out + [0, 0, 0.03], reach * bend, 0.045, 0.018)
        field = blend_union(field, blend_union(root, tip, 0.03) - 0.008 * noise, 0.05)
    hollow = ellipsoid(points, [0.03, -0.27, 0.145], [0.085, 0.19, 0.085])
    return carve(field, hollow, 0.02)


def branch(points):
    """Thin twig growing out of the stump."""
    lower = limb(points, [0.16, -0.02, 0.17], [0.35, -0.09, 0.31], 0.032, 0.020)
    upper = limb(points, [0.35, -0.09, 0.31], [0.39, -0.07, 0.52], 0.020, 0.012)
    fork = limb(points, [0.35, -0.09, 0.31], [0.46, -0.15, 0.36], 0.017, 0.011)
    return blend_union(blend_union(lower, upper, 0.015), fork, 0.015)


def leaves(points):
    """Three thin leaves on the twig."""
    field = np.full(len(points), 9.0, np.float32)
    for stem, direction, up in (
        ((0.39, -0.07, 0.52), (0.25, 0.15, 0.9), (0.1, -1.0, 0.2)),
        ((0.375, -0.08, 0.43), (0.5, 0.75, 0.45), (0.0, -0.4, 1.0)),
        ((0.46, -0.15, 0.36), (0.45, -0.7, 0.3), (0.2, 0.3, 1.0)),
    ):
        axes = orthonormal_axes(direction, up)
        centre = np.asarray(stem) + 0.062 * axes[1]
        field = np.minimum(field, ellipsoid(points, centre, [0.042, 0.075, 0.010], axes))
    return field


def mushroom_cap(points):
    """Cap of the mushroom at the stump's foot, hollow underneath."""
    x, y, z, size = -0.125, -0.285, 0.075, 0.058
    cap = ellipsoid(points, [x, y, z], [size, size, 0.75 * size])
    under = ellipsoid(points, [x, y, z - 0.55 * size], [0.86 * size, 0.86 * size, 0.6 * size])
    return carve(cap, under, 0.008)


def mushroom_stem(points):
    """Stem of the mushroom."""
    return limb(points, [-0.130, -0.270, -0.02], [-0.125, -0.285, 0.085], 0.024, 0.016)


def feather_cells(points):
    """Overlapping rows of scales round the z axis: (edge distance in [0, 1], cell id), [N] each."""
    row_height = points[:, 2] / 0.05 + 0.5 * (value_noise(points, 6.0) - 0.5)
    row = np.floor(row_height)
    turn = np.arctan2(points[:, 0], -points[:, 1]) * 3.6 + 0.5 * (row % 2)
    across = np.abs(turn - np.floor(turn) - 0.5) * 2.0
    edge = np.clip((row_height - row) - 0.75 * across**2 * 0.8, 0.0, 1.0)
    return edge, row * 31.0 + np.floor(turn)


def body(points):
    """Breast and back, with a relief of scales."""
    field = ellipsoid(points, [0, 0, 0.535], [0.172, 0.158, 0.245])
    edge, _ = feather_cells(points)
    return field - 0.011 * (1.0 - edge)


def tail(points):
    """Flat tail behind the stump's edge."""
    axes = orthonormal_axes([0.0, 0.42, -1.0], [0.0, 1.0, 0.4])
    return ellipsoid(points, [0.0, 0.195, 0.36], [0.075, 0.17, 0.022], axes)


def folded_wing(points):
    """The wing at the owl's right hand side of the picture, standing a little off the body."""
    axes = orthonormal_axes([0.30, 0.10, -1.0], [1.0, 0.1, 0.3])
    field = ellipsoid(points, [0.195, 0.025, 0.545], [0.115, 0.215, 0.034], axes)
    return field - 0.006 * np.abs(np.sin(points[:, 2] * 46.0 + points[:, 1] * 22.0))


def raised_wing_feathers():
    """Centre, half length and axes of each feather of the raised wing."""
    for share in np.linspace(0.0, 1.0, 7):
        angle = np.radians(-84.0 + 122.0 * share)
        direction = [-np.cos(angle), 0.10, np.sin(angle)]
        length = 0.19 + 0.07 * share
        root = SHOULDER + (WRIST - SHOULDER) * share
        axes = orthonormal_axes(direction, [0.12, 1.0, 0.1])
        yield root + 0.5 * length * axes[1], 0.56 * length, axes


def raised_wing(points):
    """The wing spread at the other side: an arm and seven thin feathers."""
    field = limb(points, SHOULDER, WRIST, 0.062, 0.030)
    for centre, half_length, axes in raised_wing_feathers():
        feather = ellipsoid(points, centre, [0.034, half_length, 0.0135], axes)
        field = blend_union(field, feather, 0.014)
    return field


def head(points):
    """Head with two dishes round the eyes."""
    field = ellipsoid(points, [0, -0.005, 0.825], [0.162, 0.142, 0.128])
    for eye in EYES:
        dish = ellipsoid(points, np.add(eye, [0, -0.060, 0]), [0.072, 0.052, 0.078])
        field = carve(field, dish, 0.02)
    return field - 0.004 * value_noise(points, 45.0)


def ears(points):
    """Ear tufts."""
    left = limb(points, [-0.085, 0.0, 0.905], [-0.140, -0.01, 0.99], 0.042, 0.009)
    right = limb(points, [0.085, 0.0, 0.905], [0.140, -0.01, 0.99], 0.042, 0.009)
    return np.minimum(left, right)


def eyeballs(points):
    """Two eyes."""
    return np.min([np.linalg.norm(points - eye, axis=1) - 0.043 for eye in EYES], axis=0)


def beak_and_toes(points):
    """Beak, and three toes a foot."""
    field = limb(points, [0, -0.125, 0.805], [0, -0.172, 0.750], 0.025, 0.006)
    for side in (-0.075, 0.075):
        for spread in (-0.04, 0.0, 0.04):
            tip = [side + spread, -0.185 + 2.0 * abs(spread) * 0.3, 0.312]
            toe = limb(points, [side, -0.09, 0.325], tip, 0.024, 0.015)
            field = np.minimum(field, toe)
    return field


PARTS = (
    stump, branch, leaves, mushroom_stem, mushroom_cap, body, tail,
    folded_wing, raised_wing, head, ears, eyeballs, beak_and_toes,
)  # fmt: skip


def owl_distance(points):
    """Distance to the whole object; neighbours of one material are filleted together."""
    wood = blend_union(stump(points), branch(points), 0.025)
    plumage = blend_union(body(points), head(points), 0.035)
    plumage = blend_union(plumage, ears(points), 0.025)
    plumage = blend_union(plumage, tail(points), 0.02)
    plumage = blend_union(plumage, folded_wing(points), 0.006)
    plumage = blend_union(plumage, raised_wing(points), 0.02)
    mushroom = blend_union(mushroom_stem(points), mushroom_cap(points), 0.006)
    rest = [wood, mushroom, leaves(points), eyeballs(points), beak_and_toes(points)]
    return np.minimum.reduce([plumage, *rest])


# --- paint ---------------------------------------------------------------------------------


def mix(first, second, share):
    """Linear mix of colours; `share` [N] is the part of `second`, result [N, 3]."""
    return np.asarray(first) * (1.0 - share[:, None]) + np.asarray(second) * share[:, None]


def paint_wood(points):
    """Bark, moss, the cut top and the inside of the hollow."""
    noise = value_noise(points, 14.0, 4)
    colour = mix([0.07, 0.04, 0.025], [0.42, 0.28, 0.17], np.clip(2.4 * noise - 0.7, 0, 1))
    moss = np.clip(7.0 * (value_noise(points + 3.1, 6.0, 3) - 0.56), 0, 1)
    colour = mix(colour, [0.16, 0.27, 0.04], moss * 0.85)
    radius = np.hypot(points[:, 0] - 0.02, points[:, 1])
    rings = 0.5 + 0.5 * np.sin(radius * 260.0 + 9.0 * value_noise(points, 8.0, 2))
    cut = mix([0.66, 0.45, 0.24], [0.30, 0.17, 0.08], rings)
    is_top = (points[:, 2] > STUMP_TOP - 0.022) & (radius < 0.225)
    is_hollow = ellipsoid(points, [0.03, -0.27, 0.145], [0.09, 0.195, 0.09]) < 0.0
    colour[is_top | is_hollow] = cut[is_top | is_hollow]
    return colour


def paint_plumage(points):
    """Cream breast with chevrons, rust back with pale spots."""
    edge, cell = feather_cells(points)
    tint = np.modf(np.abs(np.sin(cell * 12.9898) * 43758.5453))[0]
    front = np.clip(4.0 * (-points[:, 1] / 0.16 - 0.25) + value_noise(points, 20.0), 0, 1)
    breast = mix([0.80, 0.64, 0.42], [0.30, 0.13, 0.05], ((edge < 0.22) | (tint > 0.9)) * 1.0)
    spots = (value_noise(points, 34.0, 2) > 0.62) * 0.9
    back = mix([0.33, 0.13, 0.05], [0.12, 0.05, 0.03], ((edge < 0.3) | (tint > 0.75)) * 0.8)
    return mix(mix(back, [0.85, 0.74, 0.55], spots), breast, front) * (0.75 + 0.5 * tint)[:, None]


def paint_wing(points):
    """Slate blue, rust and cream bars across the feathers."""
    from_shoulder = np.linalg.norm(points - [0.12, 0.015, 0.70], axis=1)
    raised = points[:, 0] < 0
    from_shoulder[raised] = np.linalg.norm(points[raised] - SHOULDER, axis=1)
    phase = from_shoulder / 0.075 + 0.9 * value_noise(points, 18.0, 2)
    bar = np.modf(np.abs(phase))[0]
    colour = mix([0.07, 0.16, 0.25], [0.16, 0.32, 0.42], value_noise(points, 30.0, 3))
    colour[bar > 0.52] = [0.45, 0.17, 0.05]
    colour[bar > 0.80] = [0.82, 0.70, 0.48]
    return colour


def paint_head(points):
    """Rust crown and a pale disc with fine rings round each eye."""
    to_eye = np.min([np.linalg.norm(points - eye, axis=1) for eye in EYES], axis=0)
    ring = 0.5 + 0.5 * np.sin(to_eye * 330.0 + 8.0 * value_noise(points, 30.0, 2))
    disc = mix([0.88, 0.76, 0.56], [0.50, 0.26, 0.11], ring)
    in_disc = (to_eye < 0.088 + 0.012 * value_noise(points, 40.0)) & (points[:, 1] < -0.03)
    colour = paint_plumage(points)
    crown = value_noise(points, 28.0, 2) > 0.5
    colour[crown] = [0.30, 0.12, 0.05]
    colour[in_disc] = disc[in_disc]
    return colour


def paint_eyes(points):
    """Amber iris, black pupil and rim, a white glint painted on."""
    colour = np.zeros((len(points), 3))
    for eye in EYES:
        offset = points - eye
        gaze = np.array([0.28 * np.sign(eye[0]), -1.0, 0.05])
        near = np.linalg.norm(offset, axis=1) < 0.055
        out = np.arccos(np.clip(offset @ gaze / np.linalg.norm(gaze) / 0.043, -1, 1))
        colour[near] = [0.02, 0.015, 0.01]
        colour[near & (out < 1.02)] = [0.92, 0.42, 0.02]
        colour[near & (out < 0.50)] = [0.01, 0.01, 0.01]
        colour[near & (np.linalg.norm(offset - [0.012, -0.036, 0.020], axis=1) < 0.010)] = 0.95
    return colour


def paint_leaves(points):
    """Yellow green with orange blotches."""
    return mix([0.20, 0.36, 0.03], [0.75, 0.33, 0.03], value_noise(points, 26.0, 3) ** 1.5 * 1.6)


def paint_cap(points):
    """Red with white warts."""
    colour = mix([0.62, 0.03, 0.02], [0.80, 0.14, 0.03], value_noise(points, 22.0, 2))
    colour[value_noise(points + 1.7, 38.0) > 0.70] = [0.92, 0.88, 0.78]
    return colour


def paint_plain(colour, dark):
    """A painter that mottles one colour with a darker one."""
    return lambda points: mix(colour, dark, np.clip(2.0 * value_noise(points, 40.0, 2) - 0.6, 0, 1))


PAINTERS = {
    stump: paint_wood,
    branch: paint_wood,
    leaves: paint_leaves,
    mushroom_stem: paint_plain([0.82, 0.76, 0.62], [0.45, 0.36, 0.25]),
    mushroom_cap: paint_cap,
    body: paint_plumage,
    tail: paint_wing,
    folded_wing: paint_wing,
    raised_wing: paint_wing,
    head: paint_head,
    ears: paint_plain([0.14, 0.06, 0.03], [0.55, 0.32, 0.14]),
    eyeballs: paint_eyes,
    beak_and_toes: paint_plain([0.78, 0.50, 0.12], [0.36, 0.20, 0.06]),
}


def paint(points):
    """Colour of the part that is nearest to each point, [N, 3] linear RGB in [0, 1]."""
    nearest = np.argmin([part(points) for part in PARTS], axis=0)
    colours = np.zeros((len(points), 3), np.float32)
    for index, part in enumerate(PARTS):
        chosen = nearest == index
        if chosen.any():
            colours[chosen] = PAINTERS[part](points[chosen])
    return np.clip(colours, 0.0, 1.0)


# --- mesh ----------------------------------------------------------------------------------


def sample_field(spacing):
    """The field on a grid over LOWER..UPPER: exact near the surface, blocky away from it."""
    blocks = np.ceil((UPPER - LOWER) / (spacing * BLOCK)).astype(int)
    centres = (np.indices(blocks).reshape(3, -1).T + 0.5) * (spacing * BLOCK) + LOWER
    coarse = distances_in_batches(centres.astype(np.float32)).reshape(blocks)
    field = coarse.repeat(BLOCK, 0).repeat(BLOCK, 1).repeat(BLOCK, 2)
    near = np.argwhere(np.abs(field) < 2.0 * spacing * BLOCK)  # block half diagonal is 0.87
    field[tuple(near.T)] = distances_in_batches((near * spacing + LOWER).astype(np.float32))
    return field


def distances_in_batches(points):
    """`owl_distance` in pieces that fit the memory caches, [N]."""
    pieces = np.array_split(points, max(1, len(points) // 30_000))
    return np.concatenate([owl_distance(piece) for piece in pieces])


def keep_outer_surface(field):
    """Fill closed voids and drop loose crumbs, so that one outer surface remains."""
    empty = label(np.pad(field > 0, 1, constant_values=True), connectivity=1)
    is_void = (empty != empty[0, 0, 0])[1:-1, 1:-1, 1:-1] & (field > 0)
    field = np.where(is_void, -1e-4, field)
    solid = label(field <= 0, connectivity=1)
    largest = np.argmax(np.bincount(solid.ravel())[1:]) + 1
    return np.where((solid != largest) & (field <= 0), 1e-4, field)


def build_owl(spacing=0.004):
    """Build the painted mesh.

    Args:
        spacing: Edge of a marching-cubes cell, world units.

    Returns:
        PaintedMesh, closed, cut flat just below the ground.
    """
    field = keep_outer_surface(sample_field(spacing))
    padded = np.pad(field, 1, constant_values=spacing)
    vertices, faces, _, _ = marching_cubes(padded, 0.0, spacing=(spacing,) * 3)
    vertices = (vertices - spacing + LOWER).astype(np.float32)
    return PaintedMesh(vertices, faces.astype(np.int32), paint(vertices))
