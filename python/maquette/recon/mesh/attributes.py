"""Normals and colours of a mesh's vertices, asked of the field that made it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from maquette.recon.mesh.sampling import Distance, evaluate
from maquette.recon.mesh.surface_protocol import Field
from maquette.recon.mesh.triangles import FloatArray, TriangleMesh, vertex_normals
from maquette.scene.region import Region

_CHUNK_POINTS = 1 << 16
_TETRAHEDRON = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], dtype=np.float64)


def with_normals(mesh: TriangleMesh, distance: Distance, step: float) -> TriangleMesh:
    """Give the mesh the field's normals, or its faces' where the two disagree in side.

    Args:
        mesh: In unit space.
        step: How far from a vertex the field is sampled, unit space; a cell's size.
    """
    from_faces = vertex_normals(mesh)
    from_field = field_normals(distance, mesh.vertices, step)
    agree = (from_field * from_faces).sum(axis=1, keepdims=True) > 0
    return replace(mesh, normals=np.where(agree, from_field, from_faces))


def field_normals(distance: Distance, points: FloatArray, step: float) -> FloatArray:
    """Unit normals [N, 3] of a field at points [N, 3]: differences at a tetrahedron's corners."""
    gradient = np.zeros_like(points)
    for corner in _TETRAHEDRON:
        gradient += corner * evaluate(distance, points + step * corner / 3**0.5)[:, None]
    length = np.linalg.norm(gradient, axis=1, keepdims=True)
    normals: FloatArray = np.divide(gradient, length, out=np.zeros_like(gradient), where=length > 0)
    return normals


def with_colors(mesh: TriangleMesh, field: Field) -> TriangleMesh:
    """Give the mesh (unit space, with normals) the field's colours, sRGB 0..1."""
    assert mesh.normals is not None
    colors = np.zeros_like(mesh.vertices)
    for first in range(0, len(colors), _CHUNK_POINTS):
        part = slice(first, first + _CHUNK_POINTS)
        colors[part] = field.colors(
            mesh.vertices[part].astype(np.float32), mesh.normals[part].astype(np.float32)
        )
    return replace(mesh, colors=np.clip(colors, 0.0, 1.0))


def to_world(mesh: TriangleMesh, region: Region) -> TriangleMesh:
    """Move a mesh from unit space to the world; normals keep, as the map only scales evenly."""
    return replace(mesh, vertices=region.world_from_unit(mesh.vertices))
