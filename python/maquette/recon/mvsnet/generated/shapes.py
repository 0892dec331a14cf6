"""Triangle meshes that generated scenes are made of; all about the origin, about 1 in size.

Sources: superquadrics are those of A. Barr, "Superquadrics and angle-preserving transformations",
IEEE CG&A 1981, eq. 2.10; that simple displaced shapes with patterns are enough to learn stereo from
is the finding of MegaSynth (arXiv 2412.14166) and LRM-Zero (arXiv 2406.09371).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Shape:
    """A mesh.

    Attributes:
        vertices, normals: [V, 3] float64; normals of unit length.
        faces: [F, 3] int32.
    """

    vertices: Floats
    normals: Floats
    faces: NDArray[np.int32]


def superquadric(
    rounding: tuple[float, float], half_axes: Floats, rows: int = 40, columns: int = 72
) -> Shape:
    """A closed surface between box, cylinder, ball and double cone.

    Args:
        rounding: Exponents along the meridians and around; 0.1 is nearly a box, 1 round, 2 a cone.
        half_axes: [3], half of its extent along each axis.
    """
    along = np.linspace(-np.pi / 2, np.pi / 2, rows)[:, None]
    around = np.linspace(-np.pi, np.pi, columns, endpoint=False)[None]
    ring, height = _power(np.cos(along), rounding[0]), _power(np.sin(along), rounding[0])
    x = ring * _power(np.cos(around), rounding[1])
    y = ring * _power(np.sin(around), rounding[1])
    vertices = np.stack([x, y, np.broadcast_to(height, x.shape)], -1).reshape(-1, 3) * half_axes
    return _with_normals(vertices, _grid(rows, columns, closed=True))


def box(half_axes: Floats) -> Shape:
    """A box with sharp edges: each of its six sides has vertices of its own, in order."""
    sides = [_side(axis, sign) for axis in range(3) for sign in (-1.0, 1.0)]
    vertices = np.concatenate([corners for corners, _ in sides]) * half_axes
    normals = np.concatenate([np.tile(normal, (4, 1)) for _, normal in sides])
    quad = np.array([[0, 1, 2], [0, 2, 3]])
    faces = (quad[None] + 4 * np.arange(6)[:, None, None]).reshape(-1, 3)
    return Shape(vertices, normals, faces.astype(np.int32))


def panel(half_width: float, half_height: float, cells: int = 64) -> Shape:
    """A flat sheet in the plane z = 0 with its normal along +z, with vertices to displace."""
    x, y = np.meshgrid(*[np.linspace(-1, 1, cells + 1)] * 2)
    vertices = np.stack([x * half_width, y * half_height, np.zeros_like(x)], -1).reshape(-1, 3)
    return _with_normals(vertices, _grid(cells + 1, cells + 1, closed=False))


def displaced(
    shape: Shape, amplitude: float, wavelength: float, random: np.random.Generator, waves: int = 9
) -> Shape:
    """The shape with its vertices moved along their normals by a sum of random waves.

    Args:
        amplitude: The deviation of the move.
        wavelength: The longest one; the shortest is a quarter of it.
    """
    lengths = wavelength / random.uniform(1, 4, waves)
    directions = _unit(random.normal(size=(waves, 3)))
    phases = shape.vertices @ (2 * np.pi * directions / lengths[:, None]).T
    heights = np.sin(phases + random.uniform(0, 2 * np.pi, waves)) @ (lengths / wavelength)
    heights *= amplitude / np.sqrt(0.5 * ((lengths / wavelength) ** 2).sum())
    return _with_normals(shape.vertices + heights[:, None] * shape.normals, shape.faces)


def moved(shape: Shape, rotation: Floats, shift: Floats) -> Shape:
    """The shape turned by [3, 3], then shifted by [3]."""
    vertices = shape.vertices @ rotation.T + shift
    return replace(shape, vertices=vertices, normals=shape.normals @ rotation.T)


def _side(axis: int, sign: float) -> tuple[Floats, Floats]:
    """Corners [4, 3], counter-clockwise seen from outside, and the normal [3]."""
    normal = np.zeros(3)
    normal[axis] = sign
    u, v = np.zeros(3), np.zeros(3)
    u[(axis + 1) % 3], v[(axis + 2) % 3] = sign, 1.0
    return normal + np.array([-u - v, u - v, u + v, v - u]), normal


def _power(value: Floats, exponent: float) -> Floats:
    """Signed power: sign(v) |v| to the exponent."""
    return np.sign(value) * np.abs(value) ** exponent


def _grid(rows: int, columns: int, closed: bool) -> NDArray[np.int32]:
    """Triangles of a grid of vertices; `closed` joins the last column to the first."""
    number = np.arange(rows * columns).reshape(rows, columns)
    if closed:
        number = np.concatenate([number, number[:, :1]], axis=1)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]
    halves = [np.stack([a, b, c], -1), np.stack([a, c, d], -1)]
    return np.concatenate([half.reshape(-1, 3) for half in halves]).astype(np.int32)


def _with_normals(vertices: Floats, faces: NDArray[np.int32]) -> Shape:
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    across = np.cross(b - a, c - a)  # as long as twice the area: large faces count more
    sums: Floats = np.stack(
        [
            np.bincount(faces.reshape(-1), np.repeat(across[:, axis], 3), len(vertices))
            for axis in range(3)
        ],
        axis=-1,
    )
    return Shape(vertices, _unit(sums), faces)


def _unit(vectors: Floats) -> Floats:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(1e-12)
