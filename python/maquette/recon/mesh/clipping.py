"""Cut a mesh at the unit sphere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mesh.triangles import FaceArray, FloatArray, TriangleMesh, renumbered

_SNAP = 1e-6  # a vertex this close to the sphere counts as inside, so that no sliver is cut


def clip_to_ball(mesh: TriangleMesh) -> TriangleMesh:
    """Keep the part of a mesh inside the unit ball, cutting the triangles that cross it.

    Args:
        mesh: In unit space; normals and colours, if any, are dropped.

    Returns:
        Mesh whose vertices lie in the ball; its rim lies on the sphere.
    """
    inside = np.linalg.norm(mesh.vertices, axis=1) <= 1.0 + _SNAP
    count = inside[mesh.faces].sum(axis=1, dtype=np.uint8)
    whole = mesh.faces[count == 3]
    one = _turn_to_front(mesh.faces[count == 1], inside[mesh.faces[count == 1]])
    two = _turn_to_front(mesh.faces[count == 2], ~inside[mesh.faces[count == 2]])
    edges = np.concatenate([one[:, [0, 1]], one[:, [0, 2]], two[:, [1, 0]], two[:, [2, 0]]])
    cuts, number = _cut(mesh.vertices, edges)
    number += np.int32(len(mesh.vertices))
    a, b, c, d = np.split(number, np.cumsum([len(one), len(one), len(two)]))
    corner = np.stack([one[:, 0], a, b], axis=1)
    first = np.stack([two[:, 1], two[:, 2], c], axis=1)
    second = np.stack([c, two[:, 2], d], axis=1)
    faces = np.concatenate([whole, corner, first, second])
    vertices = np.concatenate([mesh.vertices, cuts.astype(mesh.vertices.dtype)])
    used, joined = renumbered(faces, len(vertices))
    return TriangleMesh(vertices[used], joined)


def _turn_to_front(faces: FaceArray, single: NDArray[np.bool_]) -> FaceArray:
    """Rotate the corners of each face so that its only marked corner comes first."""
    order = (np.argmax(single, axis=1)[:, None] + np.arange(3)) % 3 if len(faces) else faces
    return np.take_along_axis(faces, order, axis=1)


def _cut(vertices: FloatArray, edges: FaceArray) -> tuple[FloatArray, FaceArray]:
    """Where edges [E, 2] (inside, outside) meet the sphere.

    Returns:
        One point for each different edge [C, 3], and the point of each given edge [E].
    """
    unique, number = np.unique(edges, axis=0, return_inverse=True)
    start = vertices[unique[:, 0]].astype(np.float64)
    run = vertices[unique[:, 1]] - start
    # |start + t run|² = 1, the root in [0, 1]
    a, b = (run**2).sum(axis=1), (start * run).sum(axis=1)
    c = np.minimum((start**2).sum(axis=1) - 1.0, 0.0)
    t = (-b + np.sqrt(np.maximum(b**2 - a * c, 0.0))) / a
    return start + np.clip(t, 0.0, 1.0)[:, None] * run, number.ravel().astype(np.int32)
