"""Large sets of pictures cut into clusters that overlap, along the weak places of their matches."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import eigsh

from maquette.recon.sfm.pairs import Pair

SHARED = 50
_EVEN = 0.3  # the smaller half of a cut has at least this share
_DENSE = 64  # pictures: up to here all eigenvectors are found


def partition(count: int, inliers: Mapping[Pair, int], size: int) -> list[list[int]]:
    """Clusters of `size` pictures at most; neighbours share some, up to 50 and a third of it.

    Pictures that match nobody are left out.

    Args:
        inliers: Matches of each pair that agree with its geometry.

    Returns:
        The pictures of each cluster, sorted: 0 … `count` − 1.
    """
    graph = _graph(count, inliers)
    shared = min(SHARED, size // 3)
    cores: list[NDArray[np.intp]] = []
    parts, labels = connected_components(graph, directed=False)
    for part in range(parts):
        members = np.nonzero(labels == part)[0]
        if len(members) > 1:
            whole = len(members) <= size
            cores += [members] if whole else _cut(graph, members, size - shared)
    return [_widened(graph, core, shared) if len(core) < size else core.tolist() for core in cores]


def _graph(count: int, inliers: Mapping[Pair, int]) -> csr_matrix:
    found = [(one, other, number) for (one, other), number in inliers.items() if number]
    rows, columns, weights = (np.array(column) for column in zip(*found, strict=True))
    half = csr_matrix((weights.astype(float), (rows, columns)), shape=(count, count))
    return csr_matrix(half + half.T)


def _cut(graph: csr_matrix, members: NDArray[np.intp], size: int) -> list[NDArray[np.intp]]:
    """Halve until no part is larger than `size`.

    Source: Shi and Malik, "Normalized Cuts and Image Segmentation", PAMI 22(8), 2000: pictures in
    the order of the second eigenvector, cut where the normalised cut is least.
    """
    if len(members) <= size:
        return [members]
    inside = graph[members][:, members]
    parts, labels = connected_components(inside, directed=False)
    if parts > 1:
        order = np.argsort(labels, kind="stable")
        place = int(np.argmin(np.abs(np.cumsum(np.bincount(labels))[:-1] - len(members) / 2)))
        place = int(np.cumsum(np.bincount(labels))[place])
    else:
        order = np.argsort(_second_eigenvector(inside), kind="stable")
        place = _best_place(inside[order][:, order])
    halves = members[order[:place]], members[order[place:]]
    return [part for half in halves for part in _cut(graph, np.sort(half), size)]


def _second_eigenvector(graph: csr_matrix) -> NDArray[np.float64]:
    """Of the normalised Laplacian; the ones it belongs to lie near one another."""
    degree = np.asarray(graph.sum(axis=1)).ravel()
    rooted = diags(1 / np.sqrt(degree))
    alike = rooted @ graph @ rooted
    if len(degree) <= _DENSE:
        _, vectors = np.linalg.eigh(alike.toarray())
    else:
        begin = np.random.default_rng(0).random(len(degree))
        values, vectors = eigsh(alike, k=2, which="LA", v0=begin, tol=1e-4)
        vectors = vectors[:, np.argsort(values)]
    return np.asarray(vectors[:, -2] / np.sqrt(degree))


def _best_place(graph: csr_matrix) -> int:
    """Where to cut pictures in order, so that the halves have least to do with one another."""
    count = graph.shape[0]
    coordinates = graph.tocoo()
    ahead = coordinates.row < coordinates.col
    opened = np.bincount(coordinates.row[ahead], coordinates.data[ahead], count)
    closed = np.bincount(coordinates.col[ahead], coordinates.data[ahead], count)
    across = np.cumsum(opened - closed)[:-1]  # by how many come before the cut, from 1
    volume = np.cumsum(np.asarray(graph.sum(axis=1)).ravel())
    cost = across / volume[:-1] + across / (volume[-1] - volume[:-1])
    first = max(1, int(_EVEN * count))
    return first + int(np.argmin(cost[first - 1 : count - first]))


def _widened(graph: csr_matrix, core: NDArray[np.intp], shared: int) -> list[int]:
    """The cluster with the pictures outside that have most in common with it."""
    common = np.asarray(graph[core].sum(axis=0)).ravel()
    common[core] = 0
    outside = np.argsort(-common, kind="stable")[:shared]
    return sorted([*core.tolist(), *outside[common[outside] > 0].tolist()])
