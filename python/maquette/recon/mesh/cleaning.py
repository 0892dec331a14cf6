"""Tidy a mesh: parts, degenerate faces, closedness. Always on the whole mesh, never a block."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from maquette.recon.mesh.triangles import IndexArray, TriangleMesh, face_cross, keep_faces


def drop_degenerate(mesh: TriangleMesh) -> TriangleMesh:
    """Drop faces without area: a corner twice, or three corners in a line."""
    a, b, c = mesh.faces.T
    proper = (a != b) & (b != c) & (c != a) & (face_cross(mesh) != 0).any(axis=1)
    return mesh if proper.all() else keep_faces(mesh, proper)


def face_components(mesh: TriangleMesh) -> IndexArray:
    """The connected part each face belongs to, [F]; parts are numbered by size, largest 0.

    Faces are connected when they share a vertex. Size is the number of faces.
    """
    if len(mesh.faces) == 0:
        return np.zeros(0, dtype=np.int64)
    pairs = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]]])
    links = coo_array((np.ones(len(pairs), dtype=bool), tuple(pairs.T)), [len(mesh.vertices)] * 2)
    _, label = connected_components(links, directed=False)
    labels = label[mesh.faces[:, 0]]
    order = np.argsort(-np.bincount(labels), kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return np.asarray(rank[labels], dtype=np.int64)


def largest_component(mesh: TriangleMesh) -> TriangleMesh:
    """Keep the connected part with the most faces, of the whole mesh."""
    return keep_faces(mesh, face_components(mesh) == 0)


def count_components(mesh: TriangleMesh) -> int:
    """Number of connected parts."""
    return int(face_components(mesh).max(initial=-1)) + 1


def is_watertight(mesh: TriangleMesh) -> bool:
    """Whether every edge is used by exactly two faces, once in each direction."""
    ends = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
    count = len(mesh.vertices)
    forward = np.sort(ends[:, 0] * count + ends[:, 1])
    backward = np.sort(ends[:, 1] * count + ends[:, 0])
    once = len(forward) > 0 and bool((np.diff(forward) > 0).all())
    return once and bool(np.array_equal(forward, backward))


def euler_characteristic(mesh: TriangleMesh) -> int:
    """Vertices − edges + faces: 2 for each sphere-like part, 0 for a torus."""
    ends = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
    edges = np.unique(np.sort(ends, axis=1), axis=0)
    return len(np.unique(mesh.faces)) - len(edges) + len(mesh.faces)
