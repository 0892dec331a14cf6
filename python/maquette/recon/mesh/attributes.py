"""Normals and colours of a mesh's vertices, asked of the field that made it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from maquette.recon.mesh.sampling import Distance, evaluate
from maquette.recon.mesh.surface_protocol import Field
from maquette.recon.mesh.triangles import FloatArray, TriangleMesh, unit_vectors, vertex_normals
from maquette.scene.region import Region

_CHUNK_POINTS = 1 << 16
_TETRAHEDRON = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], dtype=np.float64)


def with_normals(mesh: TriangleMesh, distance: Distance, step: float) -> TriangleMesh:
    """Give the mesh the field's normals, or its faces' where the two disagree in side.

    Args:
        mesh: In unit space.
        step: How far from a vertex the field is sampled, unit space; a cell's size.
    """
    normals = vertex_normals(mesh)
    for part in _parts(len(normals)):
        from_field = field_normals(distance, mesh.vertices[part], step)
        agree = np.einsum("ij,ij->i", from_field, normals[part])[:, None] > 0
        np.copyto(normals[part], from_field, where=agree)
    return replace(mesh, normals=normals)


def field_normals(distance: Distance, points: FloatArray, step: float) -> FloatArray:
    """Unit normals [N, 3] of a field at points [N, 3]: differences at a tetrahedron's corners."""
    gradient = np.zeros_like(points)
    for corner in _TETRAHEDRON.astype(points.dtype):
        gradient += corner * evaluate(distance, points + step / 3**0.5 * corner)[:, None]
    return unit_vectors(gradient)


def with_colors(mesh: TriangleMesh, field: Field) -> TriangleMesh:
    """Give the mesh (unit space, with normals) the field's colours, sRGB 0..1."""
    assert mesh.normals is not None
    colors = np.zeros(mesh.vertices.shape, np.float32)
    for part in _parts(len(colors)):
        colors[part] = field.colors(
            mesh.vertices[part].astype(np.float32), mesh.normals[part].astype(np.float32)
        )
    return replace(mesh, colors=np.clip(colors, 0.0, 1.0, out=colors))


def to_world(mesh: TriangleMesh, region: Region) -> TriangleMesh:
    """Move a mesh from unit space to the world; normals keep, as the map only scales evenly."""
    vertices = np.empty_like(mesh.vertices)
    for part in _parts(len(vertices)):
        vertices[part] = region.world_from_unit(mesh.vertices[part].astype(np.float64))
    return replace(mesh, vertices=vertices)


def _parts(count: int) -> Iterator[slice]:
    """Vertices in chunks of bounded memory."""
    for first in range(0, count, _CHUNK_POINTS):
        yield slice(first, first + _CHUNK_POINTS)
