"""Which part of a mesh was seen, as a person would cut it out: no saw teeth, shards or pinholes.

What counts as small is measured by the size of what was seen, √area, so that units do not matter.
Triangles are taken to be small against all of that, as marching cubes and Poisson make them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mesh.triangles import FloatArray, TriangleMesh
from maquette.recon.mesh.vertex_graph import BoolArray, LabelArray, VertexGraph

_SMOOTHING = 0.004  # of the size: how far the edge of the seen part is smoothed
_ARM = 0.014  # of the size: arms less than twice as wide go
_SLIT = 0.012  # of the size: slits less than twice as wide stay closed
_HOLE_AREA = 0.002  # of the seen area: a hole's patch below is kept whatever its form
_HOLE_PERIMETER = 0.45  # of the size: the edge of a hole that may be closed …
_HOLE_BULGE = 2.0  # … with a patch of at most so many times the area of a disc of that edge
_POCKET_PERIMETER = 1.0  # of the size: the edge of a hollow that may stay closed
_SHARD_AREA = 0.01  # of the seen area: a part below that was torn off goes
_CRUMB_AREA = 0.0001  # of the seen area: a part below goes in any case
_ROUNDS = (4, 40)
_RINGS = (1, 12)


def seen_part(mesh: TriangleMesh, graph: VertexGraph, seen: BoolArray) -> NDArray[np.float32]:
    """Tidy the seen part of a mesh.

    Patches that were not seen stay where they close a slit or a small hole in what was seen, or
    a pocket with a small mouth. Narrow arms and small separate parts go.

    Args:
        seen: [V].

    Returns:
        [V] −1..1, above 0 in the part to keep: a smooth edge lies where it changes sign, also
        within triangles. Nowhere above 0 when nothing was seen, or only shards.
    """
    area = float(graph.areas[seen].sum())
    size, step = area**0.5, _edge_length(mesh)
    rounds = int(np.clip((_SMOOTHING * size / step) ** 2, *_ROUNDS))
    arm, slit = (int(np.clip(width * size / step, *_RINGS)) for width in (_ARM, _SLIT))
    kept = graph.smoothed(_signs(seen), rounds) > 0
    kept = kept | graph.shrunk(graph.grown(kept, slit), slit)
    kept = _without_holes(mesh, graph, kept, area)
    kept = kept & graph.grown(graph.shrunk(kept, arm), arm + 1)
    kept = _without_shards(graph, kept, area)
    kept = _without_holes(mesh, graph, kept, area)
    edge = graph.smoothed(_signs(kept), rounds)
    return np.where(_without_shards(graph, edge > 0, area), edge, -np.abs(edge))


def _signs(chosen: BoolArray) -> NDArray[np.float32]:
    return np.where(chosen, np.float32(1), np.float32(-1))


def _edge_length(mesh: TriangleMesh) -> float:
    """Mean length of some thousand edges."""
    faces = mesh.faces[:: max(1, len(mesh.faces) // 10_000)]
    edges = mesh.vertices[faces[:, 0]] - mesh.vertices[faces[:, 1]]
    return max(float(np.linalg.norm(edges, axis=1).mean()), 1e-12)


def _without_shards(graph: VertexGraph, kept: BoolArray, area: float) -> BoolArray:
    """Leave out what was torn off and is small against the seen area, and crumbs.

    A small body that stands alone in the mesh too, and was seen for the greater part, is none.
    """
    patch, count = graph.patches(kept)
    body, bodies = graph.patches(np.ones_like(kept))
    areas = np.bincount(patch[kept], graph.areas[kept], minlength=count)
    whole = np.zeros(count)
    whole[patch[kept]] = np.bincount(body, graph.areas, minlength=bodies)[body[kept]]
    stands_alone = (areas >= 0.5 * whole) & (areas >= _CRUMB_AREA * area)
    stays = stands_alone | (areas >= _SHARD_AREA * area)
    return kept & np.append(stays, False)[patch]


def _without_holes(
    mesh: TriangleMesh, graph: VertexGraph, kept: BoolArray, area: float
) -> BoolArray:
    """Add the patches that only close a small hole, or the inside of a pocket."""
    patch, count = graph.patches(~kept)
    if count == 0:
        return kept
    areas = np.bincount(patch[~kept], graph.areas[~kept], minlength=count)
    rims = _rims(mesh, patch, count)
    disc = rims.perimeter**2 / (4 * np.pi)
    size = area**0.5
    small = areas <= _HOLE_AREA * area
    lid = (rims.perimeter <= _HOLE_PERIMETER * size) & (areas <= _HOLE_BULGE * disc)
    pocket = (rims.perimeter <= _POCKET_PERIMETER * size) & (rims.volume < 0)
    closes = (small | lid | pocket) & (rims.perimeter > 0)
    closes[np.unique(patch[graph.is_border & ~kept])] = False
    return kept | np.append(closes, False)[patch]


@dataclass(frozen=True)
class _Rims:
    """The edges of patches.

    Attributes:
        perimeter: [P] length.
        volume: [P] between the patch and its rim's centre: positive where the patch bulges
            outwards, negative where it is hollow.
    """

    perimeter: FloatArray
    volume: FloatArray


def _rims(mesh: TriangleMesh, patch: LabelArray, count: int) -> _Rims:
    labels = patch[mesh.faces]  # [F, 3]; a face meets one patch at most
    label = labels.max(axis=1)
    corners = (labels >= 0).sum(axis=1)
    mixed = np.flatnonzero((corners > 0) & (corners < 3))
    middle, length = _crossings(mesh, mixed, labels[mixed] >= 0)
    perimeter = _sums(label[mixed], length, count)
    centers = np.stack(
        [_sums(label[mixed], length * axis, count) for axis in middle.T], axis=1
    ) / np.maximum(perimeter, 1e-30)[:, None]  # fmt: skip
    most = np.flatnonzero(corners >= 2)
    a, b, c = (mesh.vertices[mesh.faces[most, k]] - centers[label[most]] for k in range(3))
    cone = np.einsum("ij,ij->i", a, np.cross(b, c)) / 6.0
    return _Rims(perimeter, _sums(label[most], cone, count))


def _sums(label: NDArray[np.integer], values: FloatArray, count: int) -> FloatArray:
    """Sum of the values [N] of each label, [count]."""
    return np.bincount(label, values, minlength=count).astype(np.float64)


def _crossings(
    mesh: TriangleMesh, faces: NDArray[np.intp], inside: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Where the edge of patches crosses faces [M]: middle [M, 3] and length [M].

    Between the middles of the two sides that it cuts; `inside` [M, 3] tells the corners apart.
    """
    single = np.argmax(inside == (inside.sum(axis=1) == 1)[:, None], axis=1)
    order = (single[:, None] + np.arange(3)) % 3
    corners = mesh.vertices[np.take_along_axis(mesh.faces[faces], order, axis=1)]  # [M, 3, 3]
    tip, left, right = corners[:, 0], corners[:, 1], corners[:, 2]
    middle = 0.5 * tip + 0.25 * (left + right)
    return middle.astype(np.float64), 0.5 * np.linalg.norm(left - right, axis=1)
