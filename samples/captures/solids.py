"""Things to photograph: triangle meshes whose faces know their material.

World frame: z up; the unit is the capture's own.
"""

from dataclasses import dataclass, replace

import numpy as np

# Corners of the unit square's quad that faces along +axis, as (axis + 1, axis + 2) steps.
_QUAD = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])


@dataclass(frozen=True)
class Solid:
    """A triangle mesh, counter-clockwise seen from outside."""

    vertices: np.ndarray  # [V, 3] float64
    faces: np.ndarray  # [F, 3] int32
    materials: np.ndarray  # [F] names of materials.MATERIALS
    colours: np.ndarray | None = None  # [V, 3] linear RGB, for the material "painted"

    def limits(self, margin, bottom=None):
        """Its bounding box with a margin, [3, 2]; from the height `bottom` on where given."""
        ends = np.array([self.vertices.min(axis=0) - margin, self.vertices.max(axis=0) + margin])
        if bottom is not None:
            ends[0, 2] = bottom
        return ends.T

    def moved(self, offset, turn_deg=0.0, scale=1.0):
        """The solid scaled, then turned about z, then moved by `offset` [3]."""
        angle = np.radians(turn_deg)
        turn = np.array(
            [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
        )
        return replace(self, vertices=scale * self.vertices @ turn.T + np.asarray(offset, float))


@dataclass(frozen=True)
class Box:
    """An axis-aligned box of a material; without one, it carves what stands there before it."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    material: str | None = None


def joined(solids):
    """Several solids as one."""
    starts = np.cumsum([0] + [len(solid.vertices) for solid in solids])
    colours = [
        np.zeros_like(solid.vertices) if solid.colours is None else solid.colours
        for solid in solids
    ]
    return Solid(
        np.concatenate([solid.vertices for solid in solids]),
        np.concatenate([s.faces + start for s, start in zip(solids, starts, strict=False)]),
        np.concatenate([solid.materials for solid in solids]),
        np.concatenate(colours),
    )


def of_boxes(boxes):
    """The outer surface of boxes laid over one another in order, with no face inside.

    The boxes' edges span a rectilinear grid; each of its cells has the material of the last box
    that covers it, and a quad stands wherever a filled cell meets an empty one.
    """
    corners = np.array([[box.low, box.high] for box in boxes], float)  # [B, 2, 3]
    edges = [np.unique(corners[:, :, axis]) for axis in range(3)]
    cells = np.zeros([len(edge) + 1 for edge in edges], np.int32)  # one empty layer around
    names = ["", *sorted({box.material for box in boxes if box.material})]
    for box in boxes:
        spans = [
            slice(np.searchsorted(edge, low) + 1, np.searchsorted(edge, high) + 1)
            for edge, low, high in zip(edges, box.low, box.high, strict=True)
        ]
        cells[tuple(spans)] = names.index(box.material or "")
    parts = [_quads(cells, edges, axis, side) for axis in range(3) for side in (0, 1)]
    points = np.concatenate([part[0] for part in parts])  # [Q, 4, 3]
    kinds = np.concatenate([part[1] for part in parts])  # [Q]
    corners = np.arange(4 * len(points), dtype=np.int32).reshape(-1, 4)
    faces = np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])
    return Solid(points.reshape(-1, 3), faces, np.array(names)[np.tile(kinds, 2)])


def _quads(cells, edges, axis, side):
    """Quads [Q, 4, 3] and materials [Q] of the filled cells' sides towards -axis (0), +axis (1)."""
    turned = np.moveaxis(cells, (axis, (axis + 1) % 3, (axis + 2) % 3), (0, 1, 2))
    before, after = turned[:-1], turned[1:]
    filled, empty = (before, after) if side else (after, before)
    plane, first, second = np.nonzero((filled > 0) & (empty == 0))
    steps = _QUAD if side else _QUAD[::-1]
    points = np.empty((len(plane), 4, 3))
    points[:, :, axis] = edges[axis][plane][:, None]
    for place, step, along in ((first, 0, (axis + 1) % 3), (second, 1, (axis + 2) % 3)):
        points[:, :, along] = edges[along][place[:, None] - 1 + steps[:, step]]
    return points, filled[plane, first, second]


def prism(low, high, ridge, material):
    """A pitched roof on the rectangle low..high [3] (low's z is the eaves), its ridge along x."""
    (x0, y0, z0), (x1, y1, _) = low, high
    middle = 0.5 * (y0 + y1)
    vertices = np.array(
        [[x0, y0, z0], [x1, y0, z0], [x1, y1, z0], [x0, y1, z0],
         [x0, middle, ridge], [x1, middle, ridge]]
    )  # fmt: skip
    faces = [[0, 1, 5], [0, 5, 4], [2, 3, 4], [2, 4, 5], [1, 2, 5], [3, 0, 4]]
    faces += [[0, 2, 1], [0, 3, 2]]
    return Solid(vertices, np.array(faces, np.int32), np.full(len(faces), material))
