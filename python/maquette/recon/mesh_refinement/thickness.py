"""How far the sides of thin parts are from one another, so that they do not cross."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mesh.ray_casting import RayScene
from maquette.recon.mesh.triangles import TriangleMesh

Floats = NDArray[np.float64]
_OFF = 1e-4  # of the mesh's extent: how far from a vertex its rays begin


def distance_to_next(mesh: TriangleMesh, normals: Floats) -> Floats:
    """How far the next surface is along each vertex's normal, before it or behind, [V].

    Where there is none it is infinite.
    """
    middle, extent = mesh.vertices.mean(0), float(np.ptp(mesh.vertices, axis=0).max())
    places = (mesh.vertices - middle) / extent
    scene = RayScene(TriangleMesh(places, mesh.faces))
    found = np.full(len(places), np.inf)
    for way in (normals, -normals):
        hits = scene.first_hits(places + _OFF * way, way)
        found[hits.ray] = np.minimum(found[hits.ray], hits.depth + _OFF)
    return found * extent
