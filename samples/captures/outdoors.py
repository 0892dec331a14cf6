"""Captures in the open: the owl in a garden, a house front, a street, a town from above."""

import numpy as np

from captures.camera_moves import looking_at, round_a_target, through, wave
from captures.capture import Capture
from captures.modelled import owl, stone, tree
from captures.solids import Box, of_boxes, prism

_FRONT = 5.5  # of a street's houses, from its middle
_OWL_TARGET = np.array([-0.02, 0.0, 0.47])


def owl_arc(degrees, photos, seed):
    """The owl in its garden, filmed over a one-sided arc before it (it looks along -y)."""
    azimuths = -95.0 + degrees * (np.arange(photos) / (photos - (degrees < 360)) - 0.5)
    elevations = wave(photos, 2.3, 12.0, 34.0)
    poses = round_a_target(_OWL_TARGET, 2.45, azimuths, elevations, seed)
    bird = owl()
    return Capture("object", [bird], garden(), poses, 560.0, box=bird.limits(0.04, 0.015))


def garden():
    """A lawn, stones, a shed, a wall and trees, some way off the origin."""
    boxes = [
        Box((-30, -30, -0.5), (30, 30, 0), "soil"),
        Box((-7, 4.5, 0), (-3, 7, 2.2), "wood"), Box((-5.6, 4.4, 0), (-4.6, 4.6, 1.8), "slate"),
        Box((-2, 6, 0), (9, 6.3, 1.5), "brick"), Box((6, -8, 0), (6.3, 6, 1.5), "brick"),
        Box((-9, -7, 0), (-8.6, 3, 1.2), "wood"), Box((-9, -7.4, 0), (4, -7, 1.2), "ashlar"),
    ]  # fmt: skip
    solids = [of_boxes(boxes), prism((-7.3, 4.2, 2.2), (-2.7, 7.3, 2.2), 3.4, "roof")]
    random = np.random.default_rng(21)
    for number in range(16):
        angle, distance = 2 * np.pi * number / 16 + 0.3 * random.random(), random.uniform(0.9, 3)
        place = [distance * np.cos(angle), distance * np.sin(angle), 0.0]
        size = random.uniform(0.06, 0.22)
        solids.append(stone(number % 4).moved(place, 360 * random.random(), size))
    for number, place in enumerate([(4, 4.5, 0), (-6, -3, 0), (3.5, -5, 0), (-1, 5, 0)]):
        solids.append(tree(number).moved(place, 77 * number, 2.6))
    return solids


def facade():
    """The front of a house, filmed walking past it and from two nearer arcs."""
    walk = np.linspace(-8, 8, 18)
    centres = [[x, -9.5, 1.6] for x in walk]
    targets = [[0.55 * x, 0.0, 3.8 + 0.9 * (-1) ** i] for i, x in enumerate(walk)]
    for side in (-1, 1):
        for angle in np.radians(np.linspace(25, 75, 6)):
            centres.append([side * 7.5 * np.cos(angle), -7.5 * np.sin(angle), 1.7])
            targets.append([0.4 * side, 0.0, 2.6])
    around = [
        of_boxes([
            Box((-40, -40, -0.5), (40, 40, 0), "paving"),
            Box((-14, 0.4, 0), (-4.5, 0.8, 2.0), "ashlar"),
            Box((4.5, 0.4, 0), (14, 0.8, 2.0), "brick"),
        ]),
        tree(3).moved((-8.5, 3.5, 0), 0, 5.0), tree(4).moved((8, 4, 0), 40, 6.0),
    ]  # fmt: skip
    house, poses = house_front(), through(centres, targets, 31)
    box = house.limits(0.2, 0.05)
    box[1, 1] = 0.65  # the front, with its recesses
    return Capture("outdoor", [house], around, poses, 480.0, box=box)


def house_front():
    """A gabled brick house, 9 wide and 11 high: windows with sills, a door, a balcony, steps."""
    boxes = [Box((-4.5, 0, 0), (4.5, 7, 7.6), "brick")]
    for step in range(5):  # the stepped gable
        width = 4.5 - 0.85 * step
        boxes.append(Box((-width, 0, 7.6 + 0.7 * step), (width, 0.5, 8.3 + 0.7 * step), "brick"))
        boxes.append(
            Box((-width, -0.08, 8.2 + 0.7 * step), (width, 0.55, 8.3 + 0.7 * step), "stone")
        )
    boxes += [
        Box((-4.5, -0.15, 0), (4.5, 0, 0.7), "ashlar"),
        Box((-4.5, -0.12, 3.3), (4.5, 0, 3.5), "stone"),
        Box((-4.6, -0.35, 7.4), (4.6, 0, 7.6), "stone"),
    ]
    for x in (-3.1, 0.0, 3.1):
        for z in (1.2, 4.2):
            if x or z > 2:
                boxes += _window(x, z, 1.3, 1.7)
    boxes += _window(0.0, 8.2, 1.0, 1.1)
    boxes += [
        Box((-0.7, -0.15, 0), (0.7, 0.6, 2.5)), Box((-0.6, 0.5, 0), (0.6, 0.6, 2.4), "blue paint"),
        Box((-0.9, -0.2, 2.5), (0.9, 0.0, 2.8), "stone"),
        Box((-1, -0.9, 0), (1, 0, 0.15), "stone"),
        Box((-1.5, -1.1, 3.8), (1.5, 0, 4.0), "stone"),
        Box((-1.5, -1.1, 4.85), (1.5, -1.0, 4.95), "metal"),
    ]  # fmt: skip
    for x in np.arange(-1.45, 1.5, 0.29):
        boxes.append(Box((x - 0.04, -1.09, 4.0), (x + 0.04, -1.01, 4.85), "metal"))
    return of_boxes(boxes)


def _window(x, z, width, height):
    """A recess with a frame, a pane and a sill in a wall that faces -y."""
    half = 0.5 * width
    return [
        Box((x - half, -0.2, z), (x + half, 0.3, z + height)),
        Box((x - half, 0.2, z), (x + half, 0.3, z + height), "plaster"),
        Box((x - half + 0.1, 0.24, z + 0.1), (x + half - 0.1, 0.3, z + height - 0.1), "glass"),
        Box((x - half + 0.1, 0.2, z + 0.1), (x + half - 0.1, 0.24, z + height - 0.1)),
        Box((x - 0.04, 0.2, z), (x + 0.04, 0.3, z + height), "plaster"),
        Box((x - half - 0.12, -0.18, z - 0.1), (x + half + 0.12, 0.0, z), "stone"),
    ]


def street():
    """A street with houses on both sides, walked along, the camera looking ahead.

    The object is what lies within one street's width, from front to front, of the walk.
    """
    photos = 32
    x = np.linspace(0, 20, photos)
    y = 0.5 * np.sin(0.7 * x)
    sway = np.radians(14) * np.sin(np.arange(photos) * 1.3)
    centres = np.stack([x, y, np.full(photos, 1.6)], axis=1)
    targets = centres + np.stack([np.cos(sway), np.sin(sway), np.full(photos, 0.04)], axis=1)
    subject = [street_floor(), *_row_of_houses(41, 1), *_row_of_houses(43, -1)]
    ground = of_boxes([Box((-60, -60, -1), (120, 60, -0.3), "grass")])
    poses = through(centres, targets, 47, 0.04)
    return Capture("outdoor", subject, [ground], poses, 480.0, reach=2 * _FRONT)


def street_floor():
    """Road, pavements, parked cars, and a house across the street's end."""
    boxes = [
        Box((-10, -12, -0.3), (60, 12, -0.1), "asphalt"),
        Box((-10, 3, -0.1), (60, 12, 0.05), "paving"),
        Box((-10, -12, -0.1), (60, -3, 0.05), "paving"),
        Box((52, -12, 0), (60, 12, 9), "plaster"),
    ]
    for x, y in ((6, -2.6), (17, 2.0), (25, -2.6), (33, 2.0)):
        boxes += [
            Box((x, y - 0.6, 0.1), (x + 4, y + 1.1, 0.9), "car"),
            Box((x + 0.9, y - 0.5, 0.9), (x + 3.3, y + 1.0, 1.45), "glass"),
            Box((x + 0.3, y - 0.65, -0.1), (x + 1.0, y + 1.15, 0.5), "metal"),
            Box((x + 3.0, y - 0.65, -0.1), (x + 3.7, y + 1.15, 0.5), "metal"),
        ]
    return of_boxes(boxes)


def _row_of_houses(seed, side):
    """Houses along x with their fronts to the street, on its left (side 1) or right (-1)."""
    random, solids, x = np.random.default_rng(seed), [], -8.0
    walls = ["brick", "plaster", "ochre", "render", "ashlar"]
    while x < 50:
        width, height = random.uniform(6, 9), random.uniform(5.5, 9)
        wall = walls[random.integers(len(walls))]
        boxes = [Box((0, 0, -0.1), (width, 8, height), wall)]
        for left in np.arange(0.9, width - 1.6, 2.0):
            for z in np.arange(1.0, height - 1.6, 2.7):
                boxes += _window(left + 0.55, z, 1.1, 1.5)
        door = random.uniform(0.6, width - 1.8)
        boxes += [Box((door, -0.2, -0.1), (door + 1.0, 0.4, 2.2)),
                  Box((door, 0.35, -0.1), (door + 1.0, 0.4, 2.2), "blue paint")]  # fmt: skip
        roof = prism((-0.1, -0.4, height), (width + 0.1, 8.2, height), height + 2.5, "roof")
        for solid in (of_boxes(boxes), roof):
            turned = (
                solid.moved((x, _FRONT, 0))
                if side > 0
                else solid.moved((x + width, -_FRONT, 0), 180)
            )
            solids.append(turned)
        x += width + (random.uniform(0.8, 2.0) if random.random() < 0.4 else 0.0)
    return solids


def flight():
    """A small town photographed from above, in a grid of six by five, nearly straight down."""
    random = np.random.default_rng(53)
    poses = []
    for row, y in enumerate(np.linspace(-30, 30, 5)):
        for x in np.linspace(-34, 34, 6)[:: 1 if row % 2 == 0 else -1]:
            centre = np.array([x, y, 62.0]) + random.normal(size=3) * [0.8, 0.8, 1.0]
            below = np.array([x, y + 0.5, 0.0]) + random.normal(size=3) * [3.0, 3.0, 0.0]
            poses.append(looking_at(centre, below, random.normal()))
    plain = of_boxes([Box((-200, -200, -2), (200, 200, -0.4), "grass")])
    return Capture("outdoor", town(), [plain], poses, 560.0)


def town():
    """Blocks of pitched and flat roofs, streets between them, a church, trees."""
    random = np.random.default_rng(59)
    ground = [Box((-75, -65, -0.4), (75, 65, 0), "asphalt")]
    solids, walls = [], ["brick", "plaster", "ochre", "render", "ashlar"]
    for x in np.arange(-66, 60, 22.0):
        for y in np.arange(-56, 50, 19.0):
            ground.append(Box((x, y, 0), (x + 16, y + 13, 0.15), "grass"))
            for part in range(2):
                width, depth = random.uniform(5, 7), random.uniform(7, 11)
                height = random.uniform(4, 10)
                low = (x + 0.5 + 8 * part, y + random.uniform(0.5, 1.5))
                high = (low[0] + width, low[1] + depth)
                wall = walls[random.integers(len(walls))]
                boxes = [Box((*low, 0), (*high, height), wall)]
                if random.random() < 0.25:
                    chimney = (
                        (low[0] + 1, low[1] + 1, height),
                        (low[0] + 3, low[1] + 3, height + 1.2),
                    )
                    boxes.append(Box(*chimney, "metal"))
                else:
                    eaves = (low[0] - 0.3, low[1] - 0.3, height), (high[0] + 0.3, high[1] + 0.3, 0)
                    material = "roof" if random.random() < 0.7 else "slate"
                    solids.append(prism(*eaves, height + 2.4, material))
                solids.append(of_boxes(boxes))
            place = (x + 15, y + random.uniform(2, 11), 0.1)
            solids.append(tree(random.integers(4)).moved(place, 360 * random.random(), 5.0))
    return [of_boxes(ground), *solids, *_church()]


def _church():
    nave = of_boxes([Box((-4, -18, 0), (12, -10.5, 9), "ashlar")])
    tower = of_boxes([Box((-9, -17, 0), (-4, -11.5, 19), "ashlar")])
    roofs = [prism((-4, -18.4, 9), (12.4, -10.1, 9), 14, "slate"),
             prism((-9.3, -17.3, 19), (-3.7, -11.2, 19), 24, "slate")]  # fmt: skip
    return [nave, tower, *roofs]
