"""The faces of a mesh as a graph: neighbours share an edge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from maquette.recon.mesh.triangles import FaceArray


def face_neighbours(faces: FaceArray) -> NDArray[np.int32]:
    """The face across each edge, [F, 3]; edge k runs from corner k to k + 1; −1 at a border.

    Where more than two faces meet in an edge, they are neighbours two by two.
    """
    count = len(faces)
    starts, ends = faces.ravel(), faces[:, [1, 2, 0]].ravel()
    low, high = np.minimum(starts, ends).astype(np.int64), np.maximum(starts, ends)
    key = (low << 32) + high
    order = np.argsort(key, kind="stable")
    same = key[order[1:]] == key[order[:-1]]
    first = np.flatnonzero(same & ~_continues(same))
    a, b = order[first], order[first + 1]
    neighbours = np.full(3 * count, -1, np.int32)
    neighbours[a], neighbours[b] = b // 3, a // 3
    return neighbours.reshape(count, 3)


def _continues(same: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of a run of equal edges, every second pair overlaps the pair before."""
    start = np.flatnonzero(same & ~np.concatenate([[False], same[:-1]]))
    run = np.zeros(len(same), np.int64)
    run[start] = start
    run = np.maximum.accumulate(run)
    return same & ((np.arange(len(same)) - run) % 2 == 1)


def connected_faces(
    neighbours: NDArray[np.int32], label: NDArray[np.integer]
) -> tuple[NDArray[np.int32], int]:
    """Parts of faces that are connected and carry one label: the part of each, and their number."""
    face = np.repeat(np.arange(len(neighbours), dtype=np.int32), 3)
    across = neighbours.ravel()
    joined = (across > face) & (label[face] == label[across])
    pairs = face[joined], across[joined]
    links = coo_array((np.ones(len(pairs[0]), np.int8), pairs), [len(neighbours)] * 2)
    count, part = connected_components(links.tocsr(), directed=False)
    return part.astype(np.int32), int(count)
