"""A mesh with a texture, as its writers and its renderer take it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mesh.triangles import FaceArray, TriangleMesh

Page = NDArray[np.uint8]


@dataclass(frozen=True)
class TexturedMesh:
    """Triangles with places on pages.

    Attributes:
        mesh: World units.
        coordinates: [T, 2] float32, u to the right and v downwards, 0..1 of the page.
        corners: [F, 3] int32, the coordinates of each corner.
        page_of_face: [F] int32.
        pages: [H, W, 3] uint8 sRGB each, row 0 on top.
    """

    mesh: TriangleMesh
    coordinates: NDArray[np.float32]
    corners: FaceArray
    page_of_face: NDArray[np.int32]
    pages: list[Page]

    @property
    def vertex_of_coordinate(self) -> NDArray[np.int32]:
        """The mesh's vertex at each of the coordinates, [T]."""
        vertex = np.zeros(len(self.coordinates), np.int32)
        vertex[self.corners.ravel()] = self.mesh.faces.ravel()
        return vertex


def shared_coordinates(
    faces: FaceArray, chart: NDArray[np.int32], places: NDArray[np.float32]
) -> tuple[NDArray[np.float32], FaceArray]:
    """Join the places [F, 3, 2] of corners that are one vertex of one chart.

    Returns:
        Coordinates [T, 2], and for each corner [F, 3] which of them.
    """
    key = chart[:, None].astype(np.int64) * (int(faces.max(initial=0)) + 1) + faces
    _, first, corner = np.unique(key, return_index=True, return_inverse=True)
    return places.reshape(-1, 2)[first], corner.reshape(-1, 3).astype(np.int32)
