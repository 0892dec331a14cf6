"""Ray queries against a triangle mesh, by Embree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from embreex.mesh_construction import TriangleMesh as EmbreeMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from maquette.recon.mesh.triangles import TriangleMesh

FloatArray = NDArray[np.floating]


@dataclass(frozen=True)
class Hits:
    """Where rays met the mesh first.

    Attributes:
        ray: [H] which rays met it.
        face: [H] which face.
        weights: [H, 3] float32, barycentric weights of the face's corners.
        depth: [H] float32, distance along the ray, in lengths of its direction.
        normal: [H, 3] float32, the face's own normal, of any length, pointing out.
    """

    ray: NDArray[np.intp]
    face: NDArray[np.intp]
    weights: NDArray[np.float32]
    depth: NDArray[np.float32]
    normal: NDArray[np.float32]


class RayScene:
    """A mesh prepared for ray queries; best with coordinates about 1 in size (float32)."""

    def __init__(self, mesh: TriangleMesh) -> None:
        self._scene = EmbreeScene()
        EmbreeMesh(self._scene, mesh.vertices.astype(np.float32), mesh.faces.astype(np.int32))

    def first_hits(self, origins: FloatArray, directions: FloatArray) -> Hits:
        """Find what rays [R, 3] meet first."""
        found = self._scene.run(_float32(origins), _float32(directions), output=True)
        ray = np.flatnonzero(found["primID"] >= 0)
        u, v = found["u"][ray], found["v"][ray]
        weights = np.stack([1 - u - v, u, v], axis=1)
        face = found["primID"][ray].astype(np.intp)
        return Hits(ray, face, weights, found["tfar"][ray], found["Ng"][ray])

    def is_blocked(
        self, origins: FloatArray, directions: FloatArray, reach: float
    ) -> NDArray[np.bool_]:
        """Whether rays [R, 3] meet anything within `reach` lengths of their direction, [R]."""
        limits = np.full(len(origins), reach, dtype=np.float32)
        found = self._scene.run(_float32(origins), _float32(directions), limits, query="OCCLUDED")
        return np.asarray(found != -1)


def _float32(array: FloatArray) -> NDArray[np.float32]:
    return np.ascontiguousarray(array, dtype=np.float32)
