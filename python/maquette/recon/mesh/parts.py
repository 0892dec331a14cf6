"""The connected parts of a mesh: how large they are, and what a person is told of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mesh.cleaning import face_components
from maquette.recon.mesh.triangles import FloatArray, TriangleMesh, face_cross

_CRUMB_AREA = 0.0002  # of all area, and …
_CRUMB_LENGTH = 0.02  # … of the largest part's extent: a part below both is a crumb


@dataclass(frozen=True)
class Parts:
    """The connected parts of a mesh, the one with the most faces first.

    Attributes:
        of_vertex: [V] the part of each vertex; −1 for one that no face uses.
        faces: [P] number of faces.
        areas: [P] share of all area.
        lengths: [P] diagonal of the bounding box, in lengths of the first part's.
    """

    of_vertex: NDArray[np.int32]
    faces: NDArray[np.int64]
    areas: FloatArray
    lengths: FloatArray

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.faces)

    @property
    def largest_share(self) -> float:
        """The first part's share of all faces."""
        return float(self.faces[:1].sum() / max(self.faces.sum(), 1))


def parts_of(mesh: TriangleMesh) -> Parts:
    """Measure the connected parts of a mesh; faces are connected when they share a vertex."""
    label = face_components(mesh)
    faces = np.bincount(label)
    areas = np.bincount(label, np.linalg.norm(face_cross(mesh), axis=1), minlength=len(faces))
    of_vertex = np.full(len(mesh.vertices), -1, np.int32)
    for corner in mesh.faces.T:
        of_vertex[corner] = label
    used = of_vertex >= 0
    low = np.full((len(faces), 3), np.inf)
    high = -low
    np.minimum.at(low, of_vertex[used], mesh.vertices[used])
    np.maximum.at(high, of_vertex[used], mesh.vertices[used])
    diagonals = np.linalg.norm(high - low, axis=1)
    return Parts(
        of_vertex,
        faces,
        areas / max(areas.sum(), 1e-30),
        diagonals / max(diagonals[:1].sum(), 1e-30),
    )


def remark_on(parts: Parts) -> str:
    """A sentence where there is more than one part; KEEP_LCC is advised against crumbs alone."""
    if parts.count < 2:
        return ""
    second = 1 + int(np.argmax(parts.areas[1:]))
    area, length = parts.areas[second], parts.lengths[1:].max()
    if area < _CRUMB_AREA and length < _CRUMB_LENGTH:
        return (
            f"the mesh has {parts.count} separate parts; all but the largest are crumbs of at most "
            f"{area:.2%} of the surface, and KEEP_LCC=1 drops them"
        )
    return (
        f"the mesh has {parts.count} separate parts; the second has {area:.2%} of the surface and "
        f"is {parts.lengths[second]:.1%} as long as the largest: look at it before you use "
        "KEEP_LCC=1, which drops it too"
    )
