"""Tidy a mesh: parts, degenerate faces, closedness. Always on the whole mesh, never a block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from maquette.recon.mesh.triangles import (
    FaceArray,
    FloatArray,
    TriangleMesh,
    cross_products,
    face_chunks,
    keep_faces,
    renumbered,
)

_VERTICES_AT_ONCE = 1 << 21


def drop_degenerate(mesh: TriangleMesh) -> TriangleMesh:
    """Drop faces without area: a corner twice, or three corners in a line."""
    proper = [_are_proper(mesh.vertices, faces) for faces in face_chunks(mesh)]
    chosen = np.concatenate([np.zeros(0, bool), *proper])
    return mesh if chosen.all() else keep_faces(mesh, chosen)


def _are_proper(vertices: FloatArray, faces: FaceArray) -> NDArray[np.bool_]:
    a, b, c = faces.T
    has_area = (cross_products(vertices, faces) != 0).any(axis=1)
    return np.asarray((a != b) & (b != c) & (c != a) & has_area)


def drop_long(mesh: TriangleMesh, factor: float) -> TriangleMesh:
    """Drop faces with an edge longer than `factor` times the median edge; 0: none.

    They bridge what does not belong together.
    """
    if not factor or not len(mesh.faces):
        return mesh
    longest = np.concatenate([_longest_edges(mesh.vertices, f) for f in face_chunks(mesh)])
    chosen = longest <= factor * float(np.median(longest))
    return mesh if chosen.all() else keep_faces(mesh, chosen)


def _longest_edges(vertices: FloatArray, faces: FaceArray) -> FloatArray:
    corners = vertices[faces].astype(np.float64)
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    return np.asarray(edges.max(axis=1))


def face_components(mesh: TriangleMesh) -> NDArray[np.int32]:
    """The connected part each face belongs to, [F]; parts are numbered by size, largest 0.

    Faces are connected when they share a vertex. Size is the number of faces.
    """
    part_of = np.arange(len(mesh.vertices), dtype=np.int32)
    for faces in face_chunks(mesh):
        _join(part_of, part_of[faces])
    labels = part_of[mesh.faces[:, 0]]
    sizes = np.bincount(labels, minlength=1)
    order = np.argsort(-sizes, kind="stable")
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order))
    return rank[labels]


def _join(part_of: FaceArray, triples: FaceArray) -> None:
    """Make one part, with one number, of all parts [V] that triples [N, 3] connect."""
    parts, places = renumbered(triples, len(part_of))
    a, b, c = places.T
    pairs = np.concatenate([a, b]), np.concatenate([b, c])
    links = coo_array((np.ones(len(pairs[0]), np.int8), pairs), [len(parts)] * 2)
    _, label = connected_components(links.tocsr(), directed=False)
    _, first = np.unique(label, return_index=True)
    number = np.arange(len(part_of), dtype=np.int32)
    number[parts] = parts[first][label]
    part_of[:] = number[part_of]


def largest_component(mesh: TriangleMesh) -> TriangleMesh:
    """Keep the connected part with the most faces, of the whole mesh."""
    return keep_faces(mesh, face_components(mesh) == 0)


def drop_crumbs(mesh: TriangleMesh, faces: int) -> TriangleMesh:
    """Drop connected parts of fewer faces than so many."""
    component = face_components(mesh)
    chosen = (np.bincount(component, minlength=1) >= faces)[component]
    return mesh if chosen.all() else keep_faces(mesh, chosen)


def count_components(mesh: TriangleMesh) -> int:
    """Number of connected parts."""
    return int(face_components(mesh).max(initial=-1)) + 1


def is_watertight(mesh: TriangleMesh) -> bool:
    """Whether every edge is used by exactly two faces, once in each direction."""
    return len(mesh.faces) > 0 and all(
        _meet_twice(mesh.faces, first, first + _VERTICES_AT_ONCE)
        for first in range(0, len(mesh.vertices), _VERTICES_AT_ONCE)
    )


def _meet_twice(faces: FaceArray, first: int, end: int) -> bool:
    """`is_watertight` for the edges whose lower vertex is in first .. end - 1."""
    forward, backward = [], []
    for start, goal in ((0, 1), (1, 2), (2, 0)):
        low = np.minimum(faces[:, start], faces[:, goal])
        ends = faces[(low >= first) & (low < end)][:, [start, goal]].astype(np.int64)
        forward.append((ends[:, 0] << 32) + ends[:, 1])
        backward.append((ends[:, 1] << 32) + ends[:, 0])
    there, back = (np.sort(np.concatenate(numbers)) for numbers in (forward, backward))
    return bool((np.diff(there) > 0).all()) and bool(np.array_equal(there, back))


def euler_characteristic(mesh: TriangleMesh) -> int:
    """Vertices − edges + faces: 2 for each sphere-like part, 0 for a torus."""
    ends = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
    edges = np.unique(np.sort(ends, axis=1), axis=0)
    return len(np.unique(mesh.faces)) - len(edges) + len(mesh.faces)
