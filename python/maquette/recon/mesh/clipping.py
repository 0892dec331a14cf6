"""Cut a mesh at the unit sphere, or where values on its vertices change sign."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mesh.triangles import (
    FaceArray,
    FloatArray,
    TriangleMesh,
    renumbered,
    unit_vectors,
)

_SNAP = 1e-6  # a vertex this close to the sphere counts as inside, so that no sliver is cut


def clip_to_ball(mesh: TriangleMesh) -> TriangleMesh:
    """Keep the part of a mesh inside the unit ball, cutting the triangles that cross it.

    Args:
        mesh: In unit space; normals and colours, if any, are dropped.

    Returns:
        Mesh whose vertices lie in the ball; its rim lies on the sphere.
    """
    split = _split(mesh.faces, np.linalg.norm(mesh.vertices, axis=1) <= 1.0 + _SNAP)
    share = _share_to_sphere(mesh.vertices, split.edges)
    return TriangleMesh(_values(mesh.vertices, split, share), split.faces)


def clip_to_box(mesh: TriangleMesh, box: FloatArray) -> TriangleMesh:
    """Keep the part of a mesh inside a box [3, 2] (min, max); normals and colours go along."""
    for axis in range(3):
        for sign, limit in zip((1.0, -1.0), box[axis], strict=True):
            inside = sign * (mesh.vertices[:, axis].astype(np.float64) - limit)
            inside[np.abs(inside) <= _SNAP] = _SNAP
            if (inside < 0).any():
                mesh = clip_to_positive(mesh, inside)
    return mesh


def clip_to_positive(mesh: TriangleMesh, values: FloatArray) -> TriangleMesh:
    """Keep the part of a mesh where values [V], linear on each triangle, are above 0.

    Normals and colours go along, interpolated on the rim.
    """
    split = _split(mesh.faces, values > 0)
    inside, outside = values[split.edges].T.astype(np.float64)
    share = inside / (inside - outside)
    normals = None if mesh.normals is None else _values(mesh.normals, split, share)
    return TriangleMesh(
        _values(mesh.vertices, split, share),
        split.faces,
        None if normals is None else unit_vectors(normals),
        None if mesh.colors is None else _values(mesh.colors, split, share),
    )


@dataclass(frozen=True)
class _Split:
    """The faces of one side: of the vertices `used` [U], then one new on each of `edges`.

    Attributes:
        edges: [C, 2] the cut edges, each once: a vertex inside, a vertex outside.
    """

    used: NDArray[np.int64]
    edges: FaceArray
    faces: FaceArray


def _split(faces: FaceArray, inside: NDArray[np.bool_]) -> _Split:
    """Cut faces [F, 3] between the vertices inside [V] and the others."""
    count = inside[faces].sum(axis=1, dtype=np.uint8)
    whole = faces[count == 3]
    one = _turn_to_front(faces[count == 1], inside[faces[count == 1]])
    two = _turn_to_front(faces[count == 2], ~inside[faces[count == 2]])
    ends = np.concatenate([one[:, [0, 1]], one[:, [0, 2]], two[:, [1, 0]], two[:, [2, 0]]])
    edges, number = np.unique(ends, axis=0, return_inverse=True)
    number = number.ravel().astype(np.int32) + np.int32(len(inside))
    a, b, c, d = np.split(number, np.cumsum([len(one), len(one), len(two)]))
    corner = np.stack([one[:, 0], a, b], axis=1)
    first = np.stack([two[:, 1], two[:, 2], c], axis=1)
    second = np.stack([c, two[:, 2], d], axis=1)
    used, joined = renumbered(
        np.concatenate([whole, corner, first, second]), len(inside) + len(edges)
    )
    return _Split(used[used < len(inside)], edges, joined)


def _values(of_vertices: FloatArray, split: _Split, share: FloatArray) -> FloatArray:
    """Values [V, C] for the vertices of a split: as they were, and so far along the edges."""
    start = of_vertices[split.edges[:, 0]].astype(np.float64)
    run = of_vertices[split.edges[:, 1]] - start
    cuts = (start + share[:, None] * run).astype(of_vertices.dtype)
    return np.concatenate([of_vertices[split.used], cuts])


def _turn_to_front(faces: FaceArray, single: NDArray[np.bool_]) -> FaceArray:
    """Rotate the corners of each face so that its only marked corner comes first."""
    order = (np.argmax(single, axis=1)[:, None] + np.arange(3)) % 3 if len(faces) else faces
    return np.take_along_axis(faces, order, axis=1)


def _share_to_sphere(vertices: FloatArray, edges: FaceArray) -> FloatArray:
    """How far along edges [E, 2] (inside, outside) the sphere is met, [E] 0..1."""
    start = vertices[edges[:, 0]].astype(np.float64)
    run = vertices[edges[:, 1]] - start
    # |start + t run|² = 1, the root in [0, 1]
    a, b = (run**2).sum(axis=1), (start * run).sum(axis=1)
    c = np.minimum((start**2).sum(axis=1) - 1.0, 0.0)
    return np.clip((-b + np.sqrt(np.maximum(b**2 - a * c, 0.0))) / a, 0.0, 1.0)
