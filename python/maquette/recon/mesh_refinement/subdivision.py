"""A mesh with more triangles where they are large beside the pixels."""

from __future__ import annotations

import numpy as np

from maquette.recon.mesh.triangles import FaceArray, FloatArray

# faces of the parts, by which of the sides 0-1, 1-2, 2-0 are cut; 3, 4, 5 are their middles
_PARTS = {
    1: ((0, 3, 2), (3, 1, 2)),
    2: ((0, 1, 4), (0, 4, 2)),
    4: ((0, 1, 5), (5, 1, 2)),
    3: ((3, 1, 4), (0, 3, 4), (0, 4, 2)),
    6: ((4, 2, 5), (0, 1, 4), (0, 4, 5)),
    5: ((0, 3, 5), (3, 1, 2), (3, 2, 5)),
    7: ((0, 3, 5), (3, 1, 4), (5, 4, 2), (3, 4, 5)),
}


def split_long_edges(
    vertices: FloatArray, faces: FaceArray, allowed: FloatArray, rounds: int = 3
) -> tuple[FloatArray, FaceArray, FloatArray]:
    """Cut edges longer than allowed in the middle, some times over.

    Faces on both sides of an edge are cut alike, so the mesh stays closed where it was.

    Args:
        vertices: [V, 3].
        faces: [F, 3].
        allowed: [V], the longest edge at each vertex, same unit; an edge may have the smaller
            one of its ends; infinite where nothing is to be cut.
    Returns:
        Vertices, faces, and `allowed` for these vertices; the first V are the ones given.
    """
    for _ in range(rounds):
        cut = _split_once(vertices, faces, allowed)
        if cut is None:
            break
        vertices, faces, allowed = cut
    return vertices, faces, allowed


def _split_once(
    vertices: FloatArray, faces: FaceArray, allowed: FloatArray
) -> tuple[FloatArray, FaceArray, FloatArray] | None:
    count = len(vertices)
    sides = np.stack([faces, faces[:, [1, 2, 0]]], -1).astype(np.int64)  # [F, 3, 2]
    keys = sides.min(-1) * count + sides.max(-1)
    edges, of_face = np.unique(keys, return_inverse=True)
    a, b = edges // count, edges % count
    length = np.linalg.norm(vertices[a] - vertices[b], axis=1)
    limit = np.minimum(allowed[a], allowed[b])
    is_cut = length > limit
    if not is_cut.any():
        return None
    middle = np.full(len(edges), -1, np.int64)
    middle[is_cut] = count + np.arange(is_cut.sum())
    corners = np.concatenate([faces, middle[of_face].reshape(-1, 3)], 1)  # [F, 6]
    case = (corners[:, 3:] >= 0) @ np.array([1, 2, 4])
    parts = [faces[case == 0]]
    for number, triangles in _PARTS.items():
        chosen = corners[case == number]
        parts += [chosen[:, list(triangle)] for triangle in triangles]
    added = 0.5 * (vertices[a[is_cut]] + vertices[b[is_cut]])
    return (
        np.concatenate([vertices, added]),
        np.concatenate(parts).astype(np.int32),
        np.concatenate([allowed, limit[is_cut]]),
    )
