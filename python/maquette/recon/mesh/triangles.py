"""The triangle mesh that the modules of this package hand to one another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]


@dataclass(frozen=True)
class TriangleMesh:
    """Triangles over shared vertices; counter-clockwise seen from outside.

    Attributes:
        vertices: [V, 3] float64, in the frame the maker states.
        faces: [F, 3] int64, indices of vertices.
        normals: [V, 3] float64 of length 1, pointing out; None when not computed.
        colors: [V, 3] float64, sRGB 0..1; None for a mesh without colour.
    """

    vertices: FloatArray
    faces: IndexArray
    normals: FloatArray | None = None
    colors: FloatArray | None = None

    @property
    def extent(self) -> FloatArray:
        """Edge lengths of the axis-aligned bounding box, [3]."""
        extent: FloatArray = np.ptp(self.vertices, axis=0)
        return extent


def face_cross(mesh: TriangleMesh) -> FloatArray:
    """Face normals [F, 3] whose length is twice the face's area."""
    a, b, c = (mesh.vertices[mesh.faces[:, corner]] for corner in range(3))
    cross: FloatArray = np.cross(b - a, c - a)
    return cross


def vertex_normals(mesh: TriangleMesh) -> FloatArray:
    """Area-weighted mean of the adjacent face normals, [V, 3], length 1 (0 where undefined)."""
    cross = face_cross(mesh)
    total = np.stack(
        [
            np.bincount(
                mesh.faces.ravel(), np.repeat(cross[:, axis], 3), minlength=len(mesh.vertices)
            )
            for axis in range(3)
        ],
        axis=1,
    )  # [V, 3]
    length = np.linalg.norm(total, axis=1, keepdims=True)
    normals: FloatArray = np.divide(total, length, out=np.zeros_like(total), where=length > 0)
    return normals


def keep_faces(mesh: TriangleMesh, chosen: NDArray[np.bool_]) -> TriangleMesh:
    """Keep the chosen faces [F] and the vertices they use."""
    used, faces = np.unique(mesh.faces[chosen], return_inverse=True)
    return TriangleMesh(
        mesh.vertices[used],
        faces.reshape(-1, 3),
        None if mesh.normals is None else mesh.normals[used],
        None if mesh.colors is None else mesh.colors[used],
    )
