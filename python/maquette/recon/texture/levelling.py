"""Smooth offsets on the photographs' colours, so that they agree where two of them meet.

A colour offset for each vertex in each view that colours faces around it: least squares of the
differences between two views of one vertex, and of the steps of an offset along edges. Source:
Lempitsky and Ivanov, "Seamless mosaicing of image-based texture maps", CVPR 2007, eq. 4 (seam
levelling); as in Waechter et al., ECCV 2014, a vertex at a seam has an offset a view; differs:
where views fade into one another, all of the band counts, and a small weight on the offsets
themselves leaves the colours far from seams as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from scipy.sparse import coo_array, csr_array

from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.texture.blending import Layers
from maquette.recon.texture.projection import project, sample
from maquette.recon.views.views import Views

_SMOOTHNESS = 10.0  # of a step along an edge, against 1 of a difference between views
_PRIOR = 3e-3  # of an offset itself
_MOST_ITERATIONS = 250
_TOLERANCE = 1e-3
_LARGEST = 64.0  # of 255


@dataclass(frozen=True)
class Nodes:
    """Vertices in views, each pair once: M in all.

    Attributes:
        vertex, view: [M].
        of_layer: [L, 3] int32, the node of each corner of a layer.
    """

    vertex: NDArray[np.int64]
    view: NDArray[np.int64]
    of_layer: NDArray[np.int32]


def nodes_of(mesh: TriangleMesh, layers: Layers) -> Nodes:
    """The pairs of vertex and view that layers touch, ordered by vertex."""
    views = int(layers.view.max(initial=0)) + 1
    key = mesh.faces[layers.face].astype(np.int64) * views + layers.view[:, None]
    pairs, node = np.unique(key, return_inverse=True)
    return Nodes(pairs // views, pairs % views, node.reshape(-1, 3).astype(np.int32))


def find_offsets(
    mesh: TriangleMesh, views: Views, gains: NDArray[np.float32], nodes: Nodes,
    told: Callable[[str, int, int], None],
) -> NDArray[np.float32]:  # fmt: skip
    """Offsets [M, 3] on compensated sRGB values 0..255.

    Args:
        told: Is told which part is how far, of what.
    """
    pair = np.flatnonzero(nodes.vertex[1:] == nodes.vertex[:-1])
    color = _colors(mesh, views, gains, nodes, pair, partial(told, "colours at seams"))
    step = color[pair + 1] - color[pair]  # [P, 3]
    matrix = _matrix(nodes, pair)
    right = np.zeros((len(nodes.vertex), 3))
    for channel in range(3):
        right[:, channel] = np.bincount(pair, step[:, channel], len(right))
        right[:, channel] -= np.bincount(pair + 1, step[:, channel], len(right))
    offset = _solve(matrix, right, partial(told, "levelling"))
    return np.clip(offset, -_LARGEST, _LARGEST).astype(np.float32)


def _colors(
    mesh: TriangleMesh, views: Views, gains: NDArray[np.float32], nodes: Nodes,
    pair: NDArray[np.int64], told: Callable[[int, int], None],
) -> NDArray[np.float32]:  # fmt: skip
    """Compensated colours [M, 3] of the nodes that lie in pairs."""
    needed = np.zeros(len(nodes.vertex), bool)
    needed[pair] = needed[pair + 1] = True
    color = np.zeros((len(needed), 3), np.float32)
    for number in range(len(views)):
        some = np.flatnonzero(needed & (nodes.view == number))
        if len(some):
            pixels, _ = project(mesh.vertices[nodes.vertex[some]], views.frames[number])
            blurred = uniform_filter(views.image(number), (3, 3, 1))
            color[some] = sample(blurred, pixels) * gains[number]
        told(number + 1, len(views))
    return color


def _matrix(nodes: Nodes, pair: NDArray[np.int64]) -> csr_array:
    """The normal equations' matrix, [M, M] sparse."""
    a = np.concatenate([pair, *nodes.of_layer.T])
    b = np.concatenate([pair + 1, *nodes.of_layer[:, [1, 2, 0]].T])
    weight = np.full(len(a), 0.5 * _SMOOTHNESS)  # an inner edge is met twice
    weight[: len(pair)] = 1.0
    count = len(nodes.vertex)
    pairs = np.concatenate([a, b]), np.concatenate([b, a])
    links = coo_array((np.concatenate([weight, weight]), pairs), (count, count)).tocsr()
    degree = np.asarray(links.sum(axis=1)) + _PRIOR
    diagonal = np.arange(count)
    return (coo_array((degree, (diagonal, diagonal)), (count, count)).tocsr() - links).tocsr()


def _solve(
    A: csr_array, right: NDArray[np.float64], told: Callable[[int, int], None]
) -> NDArray[np.float64]:
    """Conjugate gradients with Jacobi's preconditioner, all channels at once.

    Its error falls about as fast at the end as at the beginning, so what is told is how many
    hundredths of the way to the tolerance its logarithm has come.
    """
    scale = 1.0 / A.diagonal()[:, None]
    x = np.zeros_like(right)
    rest = right.copy()
    ahead = scale * rest
    direction = ahead.copy()
    strength = (rest * ahead).sum(axis=0)
    goal = _TOLERANCE**2 * strength
    for iteration in range(_MOST_ITERATIONS):
        if (strength <= goal).all():
            break
        told(max(_hundredths(strength, goal), 100 * iteration // _MOST_ITERATIONS), 100)
        product = A @ direction
        length = strength / np.maximum((direction * product).sum(axis=0), 1e-300)
        x += length * direction
        rest -= length * product
        ahead = scale * rest
        new = (rest * ahead).sum(axis=0)
        direction = ahead + (new / np.maximum(strength, 1e-300)) * direction
        strength = new
    told(100, 100)
    return x


def _hundredths(strength: NDArray[np.float64], goal: NDArray[np.float64]) -> int:
    """How far the slowest channel is on the way to its tolerance."""
    some = goal > 0
    left = np.log(strength[some] / goal[some]).max(initial=0.0)
    return int(np.clip(100 * (1 + left / (2 * np.log(_TOLERANCE))), 0, 99))
