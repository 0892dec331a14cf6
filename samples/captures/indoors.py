"""Captures under a roof: a corner, a whole room, a toy on a table, a turntable."""

import numpy as np

from captures.camera_moves import looking_at, round_a_target, through, wave
from captures.capture import Capture, Light
from captures.modelled import jug, toy
from captures.solids import Box, joined, of_boxes

_LAMPS = (Light((2.4, 2.0, 2.5), 0.45), Light((1.0, 3.2, 2.2), 0.25), Light((3.8, 0.8, 2.3), 0.2))


def corner():
    """A room's corner at the origin, with a table and a shelf, from inside the room."""
    photos = 28
    angles = np.radians(np.linspace(12, 78, photos))
    reach = wave(photos, 2.2, 2.6, 3.4)
    centres = np.stack(
        [reach * np.cos(angles), reach * np.sin(angles), wave(photos, 4.1, 1.1, 1.75)], axis=1
    )
    targets = np.tile([0.5, 0.5, 1.0], (photos, 1))
    boxes = [
        *_shell((5, 5, 2.6)), *_table((0.9, 1.0), 1.3, 0.8),
        Box((2.3, 0.0, 1.2), (3.3, 0.04, 1.9), "picture"),
        Box((1.3, 1.2, 0.75), (1.55, 1.4, 0.95), "book"),
        Box((1.7, 1.1, 0.75), (1.95, 1.45, 0.80), "cloth"),
    ]  # fmt: skip
    poses = through(centres, targets, 61, 0.02)
    return Capture(
        "indoor",
        [of_boxes(boxes), shelf(31, 2.2, 4)],
        [],
        poses,
        480.0,
        _LAMPS,
        0.35,
        box=_air((5, 5, 2.6)),
    )


def room():
    """A furnished room, the camera turning on the spot near its middle and looking outwards."""
    photos = 40
    turn = 2 * np.pi * np.arange(photos) / photos
    out = np.stack([np.cos(turn), np.sin(turn), np.zeros(photos)], axis=1)
    centres = [2.6, 2.1, 1.5] + 0.55 * out
    tilt = np.where(np.arange(photos) % 2, 0.12, -0.28)
    targets = centres + out + np.stack([0 * tilt, 0 * tilt, tilt], axis=1)
    poses = through(centres, targets, 67, 0.03)
    return Capture(
        "indoor",
        [furnished_room(), shelf(33, 0.6, 5)],
        [],
        poses,
        460.0,
        _LAMPS,
        0.35,
        box=_air((5.2, 4.2, 2.6)),
    )


def furnished_room():
    """5.2 by 4.2 by 2.6: shelf, table, sofa, bed, cupboard, pictures, a window and a door."""
    return of_boxes([
        *_shell((5.2, 4.2, 2.6)), *_table((3.6, 2.9), 1.2, 0.8),
        Box((1.6, 0, 0), (3.6, 0.85, 0.42), "cloth"),
        Box((1.6, 0, 0.42), (3.6, 0.25, 0.85), "cloth"),
        Box((0.4, 2.2, 0.2), (1.5, 4.2, 0.5), "linen"),
        Box((0.4, 3.9, 0.2), (1.5, 4.2, 0.95), "wood"),
        Box((4.6, 0.3, 0), (5.2, 1.9, 2.0), "wood"),
        Box((4.58, 1.08, 0.1), (4.6, 1.12, 1.9), "metal"),
        Box((1.9, 0, 1.3), (2.6, 0.04, 1.9), "picture"),
        Box((2.9, 0, 1.2), (3.4, 0.04, 1.9), "book"),
        Box((1.9, 4.16, 1.2), (2.7, 4.2, 1.8), "picture"),
        Box((5.2, 2.3, 0.9), (5.35, 3.7, 2.1)), Box((5.3, 2.3, 0.9), (5.35, 3.7, 2.1), "glass"),
        Box((5.2, 2.97, 0.9), (5.26, 3.03, 2.1), "plaster"),
        Box((5.1, 2.2, 0.85), (5.25, 3.8, 0.9), "stone"),
        Box((3.0, 4.2, 0), (3.9, 4.3, 2.05)), Box((3.0, 4.27, 0), (3.9, 4.3, 2.05), "blue paint"),
        Box((1.7, 1.2, 0.0), (3.3, 2.4, 0.02), "cloth"),
        Box((3.9, 3.1, 0.75), (4.15, 3.35, 1.0), "picture"),
    ])  # fmt: skip


def _shell(size):
    """Walls, floor and ceiling round the air of a room with a corner at the origin."""
    x, y, z = size
    return [
        Box((-0.3, -0.3, -0.3), (x + 0.3, y + 0.3, z + 0.3), "wallpaper"),
        Box((-0.3, -0.3, -0.3), (x + 0.3, y + 0.3, 0), "parquet"),
        Box((-0.3, -0.3, z), (x + 0.3, y + 0.3, z + 0.3), "plaster"),
        Box((0, 0, 0), (x, y, z)),
        Box((0, 0, 0), (x, 0.03, 0.12), "wood"), Box((0, 0, 0), (0.03, y, 0.12), "wood"),
    ]  # fmt: skip


def _air(size):
    """The air of a room and the surfaces round it, [3, 2]: without the walls' outer sides."""
    return np.stack([np.full(3, -0.05), np.add(size, 0.05)], axis=1)


def _table(corner, width, depth):
    x, y = corner
    boxes = [Box((x, y, 0.7), (x + width, y + depth, 0.75), "table")]
    for left in (x, x + width - 0.07):
        for front in (y, y + depth - 0.07):
            boxes.append(Box((left, front, 0), (left + 0.07, front + 0.07, 0.7), "wood"))
    return boxes


def shelf(seed, y, boards):
    """A shelf against the wall x = 0 from `y` on, 1.4 long, with books of all sizes.

    Each book is a solid of its own: one grid of boxes for all would cut the shelf into crumbs.
    """
    random = np.random.default_rng(seed)
    frame, books = [], []
    for end in (y, y + 1.37):
        frame.append(Box((0, end, 0), (0.28, end + 0.03, 0.1 + 0.4 * boards), "wood"))
    for board in range(boards):
        z = 0.15 + 0.4 * board
        frame.append(Box((0, y, z - 0.03), (0.28, y + 1.4, z), "wood"))
        place = y + 0.06
        while board < boards - 1 and place < y + 1.2:
            width, depth, height = random.uniform([0.03, 0.16, 0.18], [0.07, 0.25, 0.32])
            cover = ["book", "cloth", "linen", "blue paint"][random.integers(4)]
            books.append(Box((0, place, z), (depth, place + width, z + height), cover))
            place += width + (0.15 * random.random() if random.random() < 0.15 else 0.002)
    return joined([of_boxes(frame), *(of_boxes([book]) for book in books)])


def table_toy():
    """A toy 0.16 high on a wide table, half a circle round it, the room's walls far behind."""
    azimuths = np.linspace(-180, 0, 26)
    dog = toy().moved((2.6, 2.1, 0.75), 20, 0.16)
    around = of_boxes([
        *_shell((5.2, 4.2, 2.6)), *_table((1.8, 1.6), 1.6, 1.0),
        Box((4.6, 0.3, 0), (5.2, 1.9, 2.0), "wood"),
        Box((1.9, 4.16, 1.2), (2.7, 4.2, 1.8), "picture"),
        Box((3.0, 4.16, 1.0), (3.6, 4.2, 1.9), "book"),
        Box((0.8, 3.3, 0), (2.8, 4.2, 0.6), "cloth"),
        Box((2.15, 2.3, 0.75), (2.32, 2.53, 0.79), "book"),
        Box((2.95, 2.0, 0.75), (3.05, 2.1, 0.84), "linen"),
    ])  # fmt: skip
    target = np.array([2.6, 2.1, 0.83])
    poses = round_a_target(target, 0.5, azimuths, wave(26, 2.2, 20, 42), 71)
    box = dog.limits(0.02, 0.753)
    surroundings = [around, shelf(37, 0.6, 5)]
    return Capture("object", [dog], surroundings, poses, 560.0, _LAMPS, 0.35, box=box)


def turntable():
    """A jug turned before a still camera and still lamps, a plain background, and masks."""
    photos = 30
    azimuths = 360.0 * np.arange(photos) / photos
    target = np.array([0.0, 0.0, 0.115])
    poses = []
    for azimuth in np.radians(azimuths):
        out = [np.cos(azimuth) * 0.94, np.sin(azimuth) * 0.94, 0.34]
        poses.append(looking_at(target + 0.6 * np.array(out), target))
    plate = of_boxes([Box((-0.2, -0.2, -0.02), (0.2, 0.2, 0.0), "white")])
    lamps = (Light((-0.8, -1.2, -0.6), 0.5), Light((0.9, -0.5, -0.8), 0.25))
    thing = jug().moved((0, 0, 0), 0, 0.23)
    return Capture(
        "object", [thing], [plate], poses, 760.0, lamps, 0.3,
        lights_by_camera=True, background=(0.75, 0.75, 0.75), is_masked=True,
        box=thing.limits(0.02, 0.003),
    )  # fmt: skip
