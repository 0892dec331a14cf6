"""A coarser mesh for pictures, in which a very fine one would take gigabytes."""

from __future__ import annotations

import numpy as np

from maquette.recon.mesh.triangles import FloatArray, IndexArray, TriangleMesh, renumbered


def coarsened(mesh: TriangleMesh, cells: int) -> TriangleMesh:
    """Join the vertices of each cube of a lattice into their mean.

    Args:
        cells: Cubes along the longest side of the mesh's bounding box.

    Returns:
        Mesh without the faces that shrank to a line or a point; normals are of length 1 again.
    Source: vertex clustering, Rossignac and Borrel, "Multi-resolution 3D approximations for
        rendering complex scenes", 1993; differs: the mean, not the weightiest vertex.
    """
    size = max(float(mesh.extent.max(initial=0.0)), 1e-12) / cells
    place = np.zeros(len(mesh.vertices), np.int64)
    for column in mesh.vertices.T:
        place = place * (cells + 1) + ((column - column.min()) / size).astype(np.int64)
    _, cube, uses = np.unique(place, return_inverse=True, return_counts=True)
    corners = cube.astype(np.int32)[mesh.faces]
    a, b, c = corners.T
    used, faces = renumbered(corners[(a != b) & (b != c) & (c != a)], len(uses))
    normals = None
    if mesh.normals is not None:
        normals = _means(mesh.normals, cube, uses)[used]
        normals /= np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-12)
    colors = None if mesh.colors is None else _means(mesh.colors, cube, uses)[used]
    return TriangleMesh(_means(mesh.vertices, cube, uses)[used], faces, normals, colors)


def _means(values: FloatArray, cube: IndexArray, uses: IndexArray) -> FloatArray:
    """Mean of the vertices' values [V, C] in each cube."""
    sums = [np.bincount(cube, column, minlength=len(uses)) for column in values.T]
    return np.stack(sums, axis=1) / uses[:, None]
