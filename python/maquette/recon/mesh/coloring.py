"""Colours of a mesh's vertices, of the points about them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from maquette.recon.geometry.points import PointCloud
from maquette.recon.mesh.triangles import TriangleMesh

_NEAREST = 4
_CHUNK_VERTICES = 1 << 17


def colored_by_points(mesh: TriangleMesh, cloud: PointCloud) -> TriangleMesh:
    """Give each vertex the mean colour of the nearest points, the closer the more.

    Args:
        cloud: In the mesh's frame; without colours the mesh stays as it is.
    """
    if cloud.colors is None or not len(cloud.points):
        return mesh
    tree, count = cKDTree(cloud.points), min(_NEAREST, len(cloud.points))
    colors = np.empty((len(mesh.vertices), 3), np.float32)
    for first in range(0, len(colors), _CHUNK_VERTICES):
        part = slice(first, first + _CHUNK_VERTICES)
        away, which = tree.query(mesh.vertices[part], k=range(1, count + 1), workers=-1)
        weight = 1.0 / np.maximum(away, 1e-12)
        weight /= weight.sum(axis=1, keepdims=True)
        colors[part] = np.einsum("nk,nkc->nc", weight, cloud.colors[which] / 255.0)
    return replace(mesh, colors=colors)
