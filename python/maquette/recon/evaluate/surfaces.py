"""Distances between two surfaces, from points spread evenly over each.

A nearest sampled point is farther away than the surface itself, by up to half the spacing of
the samples, which is about the accuracy of a good model. So the nearest samples and face
centres only nominate faces, and the distance is taken to those faces exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from maquette.recon.mesh.triangles import TriangleMesh, face_cross, keep_faces

FloatArray = NDArray[np.float64]
SAMPLES = 200_000
THRESHOLD_SHARE = 0.01  # of the sphere's radius: what counts as correct for the F-score
_NOMINEES = 12
_CHUNK_POINTS = 20_000


@dataclass(frozen=True)
class SurfaceErrors:
    """Distances in the unit of the meshes.

    Attributes:
        accuracy: Mean distance from the result to the truth.
        completeness: Mean distance from the truth to the result.
        precision, recall: Shares of the two sets of points within the threshold, 0..1.
        result_points, truth_points: How many points were measured.
    """

    accuracy: float
    completeness: float
    precision: float
    recall: float
    result_points: int
    truth_points: int

    @property
    def chamfer(self) -> float:
        """Mean of accuracy and completeness."""
        return 0.5 * (self.accuracy + self.completeness)

    @property
    def f_score(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def compare_surfaces(
    result: TriangleMesh,
    truth: TriangleMesh,
    box: FloatArray | None,
    threshold: float,
    samples: int = SAMPLES,
) -> SurfaceErrors | None:
    """Measure a result against the truth, both in the truth's frame.

    Args:
        box: [3, 2]; points outside are not measured, faces wholly outside not measured against.
        threshold: Distance that counts as correct, truth units.
    Returns:
        None when either surface has nothing in the box.
    """
    result, truth = crop(result, box), crop(truth, box)
    if len(result.faces) == 0 or len(truth.faces) == 0:
        return None
    result_points, truth_points = (
        points[inside(points, box)]
        for points in (sample_evenly(mesh, samples, 0)[0] for mesh in (result, truth))
    )
    if len(result_points) == 0 or len(truth_points) == 0:
        return None
    to_truth = distances(result_points, truth, samples)
    to_result = distances(truth_points, result, samples)
    return SurfaceErrors(
        float(to_truth.mean()),
        float(to_result.mean()),
        float((to_truth <= threshold).mean()),
        float((to_result <= threshold).mean()),
        len(result_points),
        len(truth_points),
    )


def inside(points: FloatArray, box: FloatArray | None) -> NDArray[np.bool_]:
    """Which points [N, 3] lie in a box [3, 2]."""
    if box is None:
        return np.ones(len(points), dtype=bool)
    return np.asarray(((points >= box[:, 0]) & (points <= box[:, 1])).all(axis=1))


def crop(mesh: TriangleMesh, box: FloatArray | None) -> TriangleMesh:
    """Keep the faces whose bounding box meets the box [3, 2]."""
    if box is None or len(mesh.faces) == 0:
        return mesh
    corners = mesh.vertices[mesh.faces]  # [F, 3, 3]
    meets = (corners.max(axis=1) >= box[:, 0]) & (corners.min(axis=1) <= box[:, 1])
    return keep_faces(mesh, meets.all(axis=1))


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


def distances(points: FloatArray, mesh: TriangleMesh, samples: int = SAMPLES) -> FloatArray:
    """Distance [N] of points [N, 3] to a mesh's surface."""
    spread, face_of = sample_evenly(mesh, samples, 1)
    centers = mesh.vertices[mesh.faces].mean(axis=1)
    tree = cKDTree(np.concatenate([spread, centers]))
    face_of = np.concatenate([face_of, np.arange(len(centers))])
    nearest = np.empty(len(points))
    for first in range(0, len(points), _CHUNK_POINTS):
        part = points[first : first + _CHUNK_POINTS]
        _, nominated = tree.query(part, k=min(_NOMINEES, tree.n), workers=-1)
        faces = face_of[nominated.reshape(len(part), -1)]  # [N, K]
        corners = mesh.vertices[mesh.faces[faces]]  # [N, K, 3, 3]
        nearest[first : first + _CHUNK_POINTS] = to_triangles(part[:, None], corners).min(axis=1)
    return nearest


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
