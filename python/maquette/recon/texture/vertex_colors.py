"""One colour for each vertex: of what photographs show, and else of the nearest that they do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.mesh.vertex_graph import VertexGraph
from maquette.recon.texture.candidates import Candidates

_GREY = 128.0
_ROUNDS = 12  # of smoothing, where nothing was seen


def colored_vertices(mesh: TriangleMesh, candidates: Candidates) -> NDArray[np.float32]:
    """Colours [V, 3], sRGB 0..255: means over the views of the faces around, by quality."""
    weight = candidates.quality[..., None]
    total = weight.sum(axis=1)
    mean = (weight * candidates.color).sum(axis=1) / np.maximum(total, 1e-30)  # [F, 3]
    seen = np.flatnonzero(candidates.is_seen)
    corners, count = mesh.faces[seen].ravel(), len(mesh.vertices)
    around = np.bincount(corners, minlength=count)
    color = np.empty((count, 3), np.float32)
    for channel in range(3):
        sums = np.bincount(corners, np.repeat(mean[seen, channel], 3), count)
        color[:, channel] = sums / np.maximum(around, 1)
    return _filled(mesh, color, around > 0)


def _filled(
    mesh: TriangleMesh, color: NDArray[np.float32], known: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """The colours with those of unknown vertices taken from the nearest known ones."""
    if known.all():
        return color
    if not known.any():
        return np.full_like(color, _GREY)
    _, nearest = cKDTree(mesh.vertices[known]).query(mesh.vertices[~known])
    color[~known] = color[known][nearest]
    graph = VertexGraph(mesh)
    smooth = np.stack([graph.smoothed(column, _ROUNDS) for column in color.T], axis=1)
    return np.where(known[:, None], color, smooth)
