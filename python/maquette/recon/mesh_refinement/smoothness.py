"""How a mesh is kept smooth while the photos pull at it.

Symbols: U x is the mean of a vertex's neighbours minus the vertex (the umbrella), s a pixel's size
at a vertex, e the mean edge there in pixels, p how far vertices move along their normals n, in
pixels. |U x| / (s e²) is a quarter of the surface's mean curvature in one by pixels, whatever the
triangles' size, and its square is the thin plate's energy.

Source: L. Kobbelt et al., "Interactive Multi-Resolution Modeling on Arbitrary Meshes", SIGGRAPH
1998, section 3 (umbrella, thin plate); as the regulariser of a refinement: H.-H. Vu et al., IEEE
PAMI 34(5), 2012, section 5.2. Differs: only where photos say something, and solved for a round at
once in place of small steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.linalg import LinearOperator, cg

from maquette.recon.mesh_refinement.data_term import Pull

Floats = NDArray[np.float64]
_ENOUGH = 4.0  # pixels of pairs of views: a vertex of that weight is half believed
_STILL = 1e-3  # curvature that holds vertices of which nothing is known
_ROUNDS, _ACCURACY = 60, 1e-2


@dataclass(frozen=True)
class Neighbours:
    """Which vertices are joined by edges.

    Attributes:
        umbrella: [V, V], U; rows of the open border, which bends freely, are zero.
        mean: [V, V], the mean of each vertex's neighbours.
        border: [V] bool.
        edges: [E, 2], each edge once.
    """

    umbrella: csr_array
    mean: csr_array
    border: NDArray[np.bool_]
    edges: NDArray[np.int64]

    @classmethod
    def of(cls, faces: NDArray[np.integer], count: int) -> Neighbours:
        """Of the vertices of faces [F, 3]; vertices that no face uses count as border."""
        sides = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
        keys, uses = np.unique(
            sides.min(1).astype(np.int64) * count + sides.max(1), return_counts=True
        )
        edges = np.stack([keys // count, keys % count], 1)
        border = np.zeros(count, bool)
        border[edges[uses != 2]] = True
        both = np.concatenate([edges, edges[:, ::-1]])
        joined = csr_array(coo_array((np.ones(len(both)), (both[:, 0], both[:, 1])), (count,) * 2))
        degree = np.diff(joined.indptr)
        border |= degree == 0
        mean = csr_array(diags_array(1.0 / np.maximum(degree, 1)) @ joined)
        inner = diags_array((~border).astype(np.float64))
        umbrella = csr_array(inner @ mean - inner)
        return cls(umbrella, mean, border, edges)

    def edge_px(self, vertices: Floats, pixel: Floats) -> Floats:
        """Mean length of the edges at each vertex, pixels, [V]; 1 where a pixel's size is 0."""
        a, b = self.edges.T
        length = np.linalg.norm(vertices[a] - vertices[b], axis=1)
        count = len(vertices)
        total = np.bincount(a, length, count) + np.bincount(b, length, count)
        degree = np.bincount(a, minlength=count) + np.bincount(b, minlength=count)
        mean = total / np.maximum(degree, 1)
        return np.divide(mean, pixel, out=np.ones(count), where=pixel > 0)


def best_move(
    pull: Pull, neighbours: Neighbours, vertices: Floats, normals: Floats, smoothness: float
) -> Floats:
    """How far to move each vertex along its normal, [V] pixels.

    It is the minimum of Σ c (g p + h p²/2) + λ/2 Σ c |U (x + s n p)|² / (s e²)², with g and h the
    photos' slope and curvature, c from 0 to 1 how much is known, and λ the smoothness.

    Args:
        vertices, normals: [V, 3].
    """
    known = (pull.pixel > 0) & ~neighbours.border
    trust = np.where(known, pull.weight / (pull.weight + _ENOUGH), 0.0)
    pixel = np.where(pull.pixel > 0, pull.pixel, 1.0)
    edge = np.clip(neighbours.edge_px(vertices, pixel), 0.25, 4.0)
    stiff = smoothness * trust / (pixel * edge**2) ** 2  # [V]
    arrow = normals * pixel[:, None]
    umbrella, turned = neighbours.umbrella, csr_array(neighbours.umbrella.T)
    held = trust * pull.curvature + _STILL

    def bent(vectors: Floats) -> Floats:
        force: Floats = (turned @ (stiff[:, None] * (umbrella @ vectors)) * arrow).sum(1)
        return force

    def applied(move: Floats) -> Floats:
        return held * move + bent(arrow * move[:, None])

    right = -(trust * pull.slope) - bent(vertices)
    squares = umbrella.multiply(umbrella)
    diagonal = held + (squares.T @ stiff) * pixel**2
    system = LinearOperator((len(right),) * 2, matvec=applied, dtype=np.float64)
    inverse = LinearOperator(system.shape, matvec=lambda move: move / diagonal, dtype=np.float64)
    move, _ = cg(system, right, rtol=_ACCURACY, maxiter=_ROUNDS, M=inverse)
    return np.asarray(move)


def with_border(move: Floats, neighbours: Neighbours, rounds: int = 3) -> Floats:
    """Let the open border go with what is next to it, [V]."""
    border = neighbours.border
    move = np.where(border, 0.0, move)
    for _ in range(rounds):
        move[border] = (neighbours.mean @ move)[border]
    return move
