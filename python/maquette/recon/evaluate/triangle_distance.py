"""How far points are from a mesh, exactly.

A nearest sampled point is farther away than the surface itself, by up to half the spacing of
the samples, which is about the accuracy of a good model. So the nearest samples and face
centres only nominate faces, and the distance is taken to those faces exactly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from maquette.recon.mesh.triangles import TriangleMesh, face_cross

FloatArray = NDArray[np.float64]
_NOMINEES = 12
_CHUNK_POINTS = 20_000


def sample_evenly(
    mesh: TriangleMesh, count: int, seed: int
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Draw points [N, 3] uniformly by area, with the face [N] of each."""
    random = np.random.default_rng(seed)
    area = np.linalg.norm(face_cross(mesh), axis=1)
    faces = np.searchsorted(np.cumsum(area), random.random(count) * area.sum())
    faces = np.minimum(faces, len(area) - 1)
    u, v = random.random((2, count, 1))
    over = u + v > 1
    u, v = np.where(over, 1 - u, u), np.where(over, 1 - v, v)
    a, b, c = (mesh.vertices[mesh.faces[faces, corner]] for corner in range(3))
    return a + u * (b - a) + v * (c - a), faces.astype(np.int64)


def nearest_faces(
    points: FloatArray, mesh: TriangleMesh, samples: int
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Distance [N] of points [N, 3] to a mesh's surface, and the face [N] that is nearest.

    Args:
        samples: Points spread over the mesh to find near faces by.
    """
    spread, face_of = sample_evenly(mesh, samples, 1)
    centers = mesh.vertices[mesh.faces].mean(axis=1)
    tree = cKDTree(np.concatenate([spread, centers]))
    face_of = np.concatenate([face_of, np.arange(len(centers))])
    nearest, face = np.empty(len(points)), np.empty(len(points), dtype=np.int64)
    for first in range(0, len(points), _CHUNK_POINTS):
        part = points[first : first + _CHUNK_POINTS]
        _, nominated = tree.query(part, k=min(_NOMINEES, tree.n), workers=-1)
        faces = face_of[nominated.reshape(len(part), -1)]  # [N, K]
        corners = mesh.vertices[mesh.faces[faces]]  # [N, K, 3, 3]
        found = to_triangles(part[:, None], corners)  # [N, K]
        best = found.argmin(axis=1)[:, None]
        nearest[first : first + len(part)] = np.take_along_axis(found, best, axis=1)[:, 0]
        face[first : first + len(part)] = np.take_along_axis(faces, best, axis=1)[:, 0]
    return nearest, face


def to_triangles(points: FloatArray, corners: FloatArray) -> FloatArray:
    """Distance of points [..., 3] to triangles [..., 3, 3]: to the inside, else to an edge.

    With v = p - a and the edges e = b - a, f = c - a, everything follows from six products.
    Rounding leaves about 1e-8 of the triangle's size.
    """
    corners = np.asarray(corners, dtype=np.float64)  # what is read from a file has single precision
    a = corners[..., 0, :]
    v, e, f = points - a, corners[..., 1, :] - a, corners[..., 2, :] - a
    vv, ve, vf, ee, ef, ff = (
        np.einsum("...i,...i->...", left, right)
        for left, right in ((v, v), (v, e), (v, f), (e, e), (e, f), (f, f))
    )
    area = np.maximum(ee * ff - ef**2, 1e-300)  # of the parallelogram, squared
    s, t = (ff * ve - ef * vf) / area, (ee * vf - ef * ve) / area
    over = (s >= 0) & (t >= 0) & (s + t <= 1)
    plane = vv - s * ve - t * vf
    edges = np.minimum(_to_segment(vv, ve, ee), _to_segment(vv, vf, ff))
    edges = np.minimum(edges, _to_segment(vv - 2 * ve + ee, vf - ve - ef + ee, ff - 2 * ef + ee))
    return np.asarray(np.sqrt(np.maximum(np.where(over, np.minimum(plane, edges), edges), 0.0)))


def _to_segment(vv: FloatArray, ve: FloatArray, ee: FloatArray) -> FloatArray:
    """Squared distance to a segment, of v = point - start and e = end - start."""
    t = np.clip(ve / np.maximum(ee, 1e-300), 0.0, 1.0)
    return vv - 2 * t * ve + t**2 * ee
