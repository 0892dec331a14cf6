"""Close the holes of a mesh: loops of open edges, each with a fan about its middle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mesh.triangles import FaceArray, FloatArray, TriangleMesh, vertex_normals

Loop = NDArray[np.int64]


def close_holes(mesh: TriangleMesh, edges: int) -> tuple[TriangleMesh, int]:
    """Close the holes whose border has at most so many edges.

    Returns:
        The mesh with a vertex more in the middle of each hole, and how many were closed.
    """
    loops = [loop for loop in border_loops(mesh.faces) if len(loop) <= edges]
    triangles = [loop for loop in loops if len(loop) == 3]
    fans = [loop for loop in loops if len(loop) > 3]
    if not loops:
        return mesh, 0
    count = len(mesh.vertices)
    new = [np.asarray(triangles, np.int64).reshape(-1, 3)]
    for number, loop in enumerate(fans):
        middle = np.full(len(loop), count + number)
        new.append(np.stack([loop, np.roll(loop, -1), middle], axis=1))
    closed = replace(
        mesh,
        vertices=_with_middles(mesh.vertices, fans),
        faces=np.concatenate([mesh.faces, *new]).astype(np.int32),
        normals=None,
        colors=None if mesh.colors is None else _with_middles(mesh.colors, fans),
        seen=None if mesh.seen is None else np.append(mesh.seen, np.zeros(len(fans), bool)),
    )
    if mesh.normals is not None:
        closed = replace(closed, normals=vertex_normals(closed))
    return closed, len(loops)


def border_loops(faces: FaceArray) -> list[Loop]:
    """The closed loops of open edges, in the direction that faces which close them have.

    A vertex at which two borders meet belongs to none, nor do loops through it.
    """
    start, end = (np.concatenate(columns).astype(np.int64) for columns in _half_edges(faces))
    edge, back = (start << 32) + end, (end << 32) + start
    is_open = ~np.isin(edge, back)
    # the hole's own faces run the other way round
    start, end = end[is_open], start[is_open]
    once = np.bincount(start)[start] == 1
    follows = dict(zip(start[once].tolist(), end[once].tolist(), strict=True))
    loops = []
    while follows:
        first, at = follows.popitem()
        loop = [first]
        while at != first and at in follows:
            loop.append(at)
            at = follows.pop(at)
        if at == first and len(loop) >= 3:
            loops.append(np.array(loop))
    return loops


def _half_edges(faces: FaceArray) -> tuple[list[FaceArray], list[FaceArray]]:
    a, b, c = faces.T
    return [a, b, c], [b, c, a]


def _with_middles(values: FloatArray, loops: list[Loop]) -> FloatArray:
    """Values [V, C], and the mean along each loop."""
    means = [values[loop].mean(axis=0) for loop in loops]
    middles = np.asarray(means, values.dtype).reshape(-1, values.shape[1])
    return np.concatenate([values, middles])
