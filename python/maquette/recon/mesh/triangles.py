"""The triangle mesh that the modules of this package hand to one another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]
IndexArray = NDArray[np.int64]
FaceArray = NDArray[np.int32]
_FACES_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class TriangleMesh:
    """Triangles over shared vertices; counter-clockwise seen from outside.

    Attributes:
        vertices: [V, 3] float32 or float64, in the frame the maker states.
        faces: [F, 3] int32, indices of vertices.
        normals: [V, 3] of length 1, pointing out; None when not computed.
        colors: [V, 3], sRGB 0..1; None for a mesh without colour.
        seen: [V] whether cameras saw it; None where that was not asked.
    """

    vertices: FloatArray
    faces: FaceArray
    normals: FloatArray | None = None
    colors: FloatArray | None = None
    seen: NDArray[np.bool_] | None = None

    @property
    def extent(self) -> FloatArray:
        """Edge lengths of the axis-aligned bounding box, [3]."""
        extent: FloatArray = np.ptp(self.vertices, axis=0)
        return extent


def face_chunks(mesh: TriangleMesh) -> Iterator[FaceArray]:
    """The faces, in chunks of bounded memory."""
    for first in range(0, len(mesh.faces), _FACES_AT_ONCE):
        yield mesh.faces[first : first + _FACES_AT_ONCE]


def face_cross(mesh: TriangleMesh) -> FloatArray:
    """Face normals [F, 3] whose length is twice the face's area."""
    parts = [cross_products(mesh.vertices, faces) for faces in face_chunks(mesh)]
    return np.concatenate(parts) if parts else np.zeros((0, 3))


def cross_products(vertices: FloatArray, faces: FaceArray) -> FloatArray:
    """Normals of some faces [N, 3], of twice the face's area in length, [N, 3] float64."""
    a, b, c = (vertices[faces[:, corner]].astype(np.float64) for corner in range(3))
    cross: FloatArray = np.cross(b - a, c - a)
    return cross


def vertex_normals(mesh: TriangleMesh) -> FloatArray:
    """Area-weighted mean of the adjacent face normals, [V, 3], length 1 (0 where undefined)."""
    total = np.zeros(mesh.vertices.shape)
    for faces in face_chunks(mesh):
        cross, corners = cross_products(mesh.vertices, faces), faces.ravel()
        for axis in range(3):
            total[:, axis] += np.bincount(
                corners, np.repeat(cross[:, axis], 3), minlength=len(total)
            )
    return unit_vectors(total).astype(mesh.vertices.dtype)


def unit_vectors(vectors: FloatArray) -> FloatArray:
    """Vectors [N, 3] scaled to length 1 in place; those of length 0 stay."""
    length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    return np.divide(vectors, length, out=vectors, where=length > 0)


def keep_faces(mesh: TriangleMesh, chosen: NDArray[np.bool_]) -> TriangleMesh:
    """Keep the chosen faces [F] and the vertices they use."""
    used, faces = renumbered(mesh.faces[chosen], len(mesh.vertices))
    return TriangleMesh(
        mesh.vertices[used],
        faces,
        None if mesh.normals is None else mesh.normals[used],
        None if mesh.colors is None else mesh.colors[used],
        None if mesh.seen is None else mesh.seen[used],
    )


def renumbered(faces: NDArray[np.integer], count: int) -> tuple[IndexArray, FaceArray]:
    """Leave out the vertices that no face uses.

    Args:
        faces: [F, 3], indices below `count`.

    Returns:
        The vertices used, ascending, and the faces in terms of these.
    """
    is_used = np.zeros(count, dtype=bool)
    is_used[faces] = True
    number = np.cumsum(is_used, dtype=np.int32) - 1
    return np.flatnonzero(is_used), number[faces]
