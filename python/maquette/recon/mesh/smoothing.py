"""Take noise out of a mesh: Laplacian smoothing that does not shrink, then one that keeps edges.

Notation: n, c, A are a face's normal, centre and area; v a vertex.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mesh.triangles import (
    FaceArray,
    FloatArray,
    TriangleMesh,
    face_cross,
    unit_vectors,
    vertex_normals,
)
from maquette.recon.mesh.vertex_graph import VertexGraph

_SHRINK, _GROW = 0.5, -0.526  # λ and μ: 1/λ + 1/μ = 0.1, the pass-band of the source
_VERTEX_ROUNDS = 10  # as in the source


def smooth(mesh: TriangleMesh, rounds: int) -> TriangleMesh:
    """Smooth a mesh in rounds of a step inwards and one outwards; its open border stays.

    Source: G. Taubin, "A signal processing approach to fair surface design", 1995, section 3.
    """
    if not rounds or not len(mesh.faces):
        return mesh
    graph = VertexGraph(mesh)
    vertices = mesh.vertices.astype(np.float64)
    free = ~graph.is_border[:, None]
    for step in (_SHRINK, _GROW) * rounds:
        vertices = vertices + step * free * (graph.means(vertices) - vertices)
    return _moved(mesh, vertices)


def denoise(mesh: TriangleMesh, rounds: int, angle_deg: float) -> TriangleMesh:
    """Average normals of faces with those of faces beside that are like them; move vertices after.

    Args:
        rounds: Of averaging.
        angle_deg: σ of the weight by the angle between two normals: an edge sharper than about
            twice that stays.

    Source: Y. Zheng et al., "Bilateral normal filtering for mesh denoising", 2011, local scheme,
        eq. 3 and 6; differs: neighbours share an edge, and the border's vertices stay.
    """
    if not rounds or not len(mesh.faces):
        return mesh
    faces, vertices = mesh.faces, mesh.vertices.astype(np.float64)
    normals = _filtered_normals(mesh, rounds, 2.0 * np.sin(np.radians(angle_deg) / 2.0))
    corners = faces.ravel()
    uses = np.bincount(corners, minlength=len(vertices)).clip(1)[:, None]
    free = ~VertexGraph(mesh).is_border[:, None]
    for _ in range(_VERTEX_ROUNDS):
        centers = vertices[faces].mean(axis=1)
        pull = np.zeros_like(vertices)
        for corner in range(3):
            off = np.einsum("ij,ij->i", normals, centers - vertices[faces[:, corner]])
            for axis in range(3):
                pull[:, axis] += np.bincount(
                    faces[:, corner], off * normals[:, axis], minlength=len(vertices)
                )
        vertices = vertices + free * pull / uses
    return _moved(mesh, vertices)


def _filtered_normals(mesh: TriangleMesh, rounds: int, sigma: float) -> FloatArray:
    """Unit normals [F, 3] after bilateral averaging; `sigma` is of |n_i − n_j|."""
    one, other = adjacent_faces(mesh.faces)
    normals = face_cross(mesh)
    areas = np.linalg.norm(normals, axis=1)
    unit_vectors(normals)
    centers = mesh.vertices[mesh.faces].mean(axis=1).astype(np.float64)
    away = np.linalg.norm(centers[one] - centers[other], axis=1)
    near = np.exp(-(away**2) / (2.0 * max(float(away.mean()) if len(away) else 1.0, 1e-30) ** 2))
    for _ in range(rounds):
        gap = ((normals[one] - normals[other]) ** 2).sum(axis=1)
        weight = near * np.exp(-gap / (2.0 * sigma**2))
        total = areas[:, None] * normals
        for axis in range(3):
            for here, there in ((one, other), (other, one)):
                total[:, axis] += np.bincount(
                    here, weight * areas[there] * normals[there, axis], minlength=len(total)
                )
        normals = unit_vectors(total)
    return normals


def adjacent_faces(faces: FaceArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of faces that share an edge, [P] and [P]; an edge of more than two gives some of them.

    Args:
        faces: [F, 3].
    """
    ends = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    edge = (ends[:, 0].astype(np.int64) << 32) + ends[:, 1]
    order = np.argsort(edge, kind="stable")
    edge = edge[order]
    same = np.flatnonzero(edge[1:] == edge[:-1])
    return order[same] % len(faces), order[same + 1] % len(faces)


def _moved(mesh: TriangleMesh, vertices: FloatArray) -> TriangleMesh:
    """The mesh with other places of its vertices, and new normals where it had some."""
    moved = replace(mesh, vertices=vertices.astype(mesh.vertices.dtype), normals=None)
    return moved if mesh.normals is None else replace(moved, normals=vertex_normals(moved))
