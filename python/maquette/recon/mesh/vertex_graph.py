"""The vertices of a mesh as a graph: neighbours share an edge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from maquette.recon.mesh.triangles import FloatArray, TriangleMesh, cross_products, face_chunks

BoolArray = NDArray[np.bool_]
LabelArray = NDArray[np.int32]


class VertexGraph:
    """Neighbours, areas and open border of a mesh's vertices.

    Attributes:
        areas: [V] float64, a third of the area of the faces around each.
        is_border: [V] bool, at an edge that has a face on one side alone.
    """

    def __init__(self, mesh: TriangleMesh) -> None:
        count = len(mesh.vertices)
        starts = mesh.faces.ravel()
        ends = mesh.faces[:, [1, 2, 0]].ravel()
        ones = np.ones(len(starts), np.float32)
        directed = csr_array(coo_array((ones, (starts, ends)), (count, count)))
        one_way = abs(directed - directed.T).tocoo()
        self.is_border = np.zeros(count, bool)
        self.is_border[one_way.coords[0][one_way.data != 0]] = True
        self._neighbours = (directed + directed.T).tocsr()
        self._neighbours.data[:] = 1.0
        self._degree = np.maximum(np.diff(self._neighbours.indptr), 1).astype(np.float32)
        self.areas = _vertex_areas(mesh)

    def smoothed(self, values: NDArray[np.float32], rounds: int) -> NDArray[np.float32]:
        """Average values [V] with their neighbours', each round half and half."""
        for _ in range(rounds):
            values = 0.5 * (values + (self._neighbours @ values) / self._degree)
        return values

    def means(self, values: FloatArray) -> FloatArray:
        """The mean of the neighbours' values [V, C] at each vertex; its own where it has none."""
        found = (self._neighbours @ values) / self._degree[:, None]
        alone = np.diff(self._neighbours.indptr) == 0
        return np.asarray(np.where(alone[:, None], values, found))

    def grown(self, chosen: BoolArray, rings: int) -> BoolArray:
        """The chosen vertices [V] and all within so many edges of them."""
        for _ in range(rings):
            chosen = chosen | (self._neighbours @ chosen.astype(np.float32) > 0)
        return chosen

    def shrunk(self, chosen: BoolArray, rings: int) -> BoolArray:
        """The chosen vertices [V] that are more than so many edges from all others."""
        return ~self.grown(~chosen, rings)

    def patches(self, chosen: BoolArray) -> tuple[LabelArray, int]:
        """Connected patches of the chosen vertices.

        Returns:
            The patch of each vertex [V], −1 outside, and how many there are.
        """
        number = np.flatnonzero(chosen)
        count, labels = connected_components(self._neighbours[number][:, number], directed=False)
        patch = np.full(len(chosen), -1, np.int32)
        patch[number] = labels
        return patch, int(count)


def _vertex_areas(mesh: TriangleMesh) -> FloatArray:
    areas = np.zeros(len(mesh.vertices))
    for faces in face_chunks(mesh):
        third = np.linalg.norm(cross_products(mesh.vertices, faces), axis=1) / 6.0
        areas += np.bincount(faces.ravel(), np.repeat(third, 3), minlength=len(areas))
    return areas
