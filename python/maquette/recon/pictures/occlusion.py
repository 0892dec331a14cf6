"""Ambient occlusion of a mesh's vertices: how much of the sky each one sees."""

from __future__ import annotations

import numpy as np

from maquette.recon.mesh.ray_casting import RayScene
from maquette.recon.mesh.triangles import FloatArray, TriangleMesh

_RAY_BUDGET = 4_000_000
_RAYS = (6, 48)  # fewest and most a vertex
_REACH = 0.7
_SMOOTHED_RAYS = 160  # rounds of smoothing × rays: fewer rays are smoothed more


def vertex_openness(mesh: TriangleMesh, normals: FloatArray, scene: RayScene) -> FloatArray:
    """Share of cosine-weighted sky directions that are free within a reach, [V] 0..1.

    Args:
        mesh: Stage coordinates.
        normals: [V, 3].
    """
    rounds = int(np.clip(_RAY_BUDGET // max(len(normals), 1), *_RAYS))
    random = np.random.default_rng(0)
    origins = mesh.vertices + 4e-3 * normals
    free = np.zeros(len(normals))
    for _ in range(rounds):
        # normal + a point of the unit sphere is cosine distributed about the normal
        ball = random.normal(size=normals.shape)
        directions = normals + ball / np.linalg.norm(ball, axis=1, keepdims=True)
        directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-6)
        free += ~scene.is_blocked(origins, directions, _REACH)
    return _smooth(free / rounds, mesh, max(2, _SMOOTHED_RAYS // rounds))


def _smooth(values: FloatArray, mesh: TriangleMesh, rounds: int) -> FloatArray:
    """Average each vertex with its neighbours, to calm the noise of few rays."""
    count = len(values)
    corners = mesh.faces.ravel()
    uses = np.maximum(np.bincount(corners, minlength=count), 1)
    for _ in range(rounds):
        of_face = np.repeat(values[mesh.faces].mean(axis=1), 3)
        values = np.bincount(corners, of_face, minlength=count) / uses
    return values
