"""Fewer faces that show the same shape."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from maquette.recon.mesh.triangles import TriangleMesh, vertex_normals


def decimated(mesh: TriangleMesh, faces: int) -> TriangleMesh:
    """Join vertices, those first that change the shape least, until so many faces are left.

    Colours are those of the nearest vertex before. A mesh of fewer faces stays as it is.

    Source: M. Garland and P. Heckbert, "Surface simplification using quadric error metrics", 1997,
        as in the library fast-simplification.
    """
    if len(mesh.faces) <= faces:
        return mesh
    import fast_simplification

    middle = mesh.vertices.mean(axis=0)
    scale = max(float(mesh.extent.max()), 1e-30)
    points, corners = fast_simplification.simplify(
        ((mesh.vertices - middle) / scale).astype(np.float32), mesh.faces, target_count=faces
    )
    vertices = (points.astype(np.float64) * scale + middle).astype(mesh.vertices.dtype)
    left = TriangleMesh(vertices, corners.astype(np.int32))
    normals = None if mesh.normals is None else vertex_normals(left)
    colors = mesh.colors
    if colors is not None:
        colors = colors[cKDTree(mesh.vertices).query(vertices, workers=-1)[1]]
    return TriangleMesh(left.vertices, left.faces, normals, colors)
