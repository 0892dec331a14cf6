"""Compare a mesh or points with the true surface: distances and normals.

Chamfer distance, precision, recall and F-score as in Knapitsch et al., "Tanks and Temples", 2017;
normal consistency as in Mescheder et al., "Occupancy Networks", 2019, whose nearest samples are
nearest faces here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from maquette.recon.evaluate.triangle_distance import nearest_faces, sample_evenly
from maquette.recon.geometry.points import PointCloud
from maquette.recon.mesh.triangles import TriangleMesh, face_cross, keep_faces, unit_vectors

FloatArray = NDArray[np.float64]
Shape = TriangleMesh | PointCloud
SAMPLES = 200_000
THRESHOLD_SHARE = 0.01  # of the sphere's radius: what counts as correct for the F-score
FINE_SHARE = 0.25  # of that threshold: where the F-score no longer tells good surfaces apart


@dataclass(frozen=True)
class SurfaceErrors:
    """Distances in the unit of the shapes.

    Attributes:
        accuracy: Mean distance from the result to the truth.
        completeness: Mean distance from the truth to the result.
        precision, recall: Shares of the two sets of points within the threshold, 0..1.
        fine_precision, fine_recall: The same within a quarter of it, `FINE_SHARE`.
        normal_consistency: Mean |cosine| between normals at points and at the nearest places of
            the other shape, both ways, 0..1; None when one of them has no normals.
        result_points, truth_points: How many points were measured.
    """

    accuracy: float
    completeness: float
    precision: float
    recall: float
    normal_consistency: float | None
    result_points: int
    truth_points: int
    fine_precision: float
    fine_recall: float

    @property
    def chamfer(self) -> float:
        """Mean of accuracy and completeness."""
        return 0.5 * (self.accuracy + self.completeness)

    @property
    def f_score(self) -> float:
        """Harmonic mean of precision and recall."""
        return _harmonic_mean(self.precision, self.recall)

    @property
    def f_score_fine(self) -> float:
        """The same of a quarter of the threshold."""
        return _harmonic_mean(self.fine_precision, self.fine_recall)


def compare_surfaces(
    result: Shape,
    truth: Shape,
    box: FloatArray | None,
    threshold: float,
    samples: int = SAMPLES,
) -> SurfaceErrors | None:
    """Measure a result against the truth, both in the truth's frame.

    A place of a mesh is known exactly; the nearest of some points is farther away than the surface
    they stand for, by up to half their spacing.

    Args:
        box: [3, 2]; points outside are not measured, faces wholly outside not measured against.
        threshold: Distance that counts as correct, truth units.
    Returns:
        None when either has nothing in the box.
    """
    result, truth = crop(result, box), crop(truth, box)
    if is_empty(result) or is_empty(truth):
        return None
    result_points, truth_points = (
        points.chosen(inside(points.points, box))
        for points in (spread(shape, samples) for shape in (result, truth))
    )
    if is_empty(result_points) or is_empty(truth_points):
        return None
    to_truth, true_normals = nearest(result_points.points, truth, samples)
    to_result, result_normals = nearest(truth_points.points, result, samples)
    ways = (_agreement(result_points.normals, true_normals),
            _agreement(truth_points.normals, result_normals))  # fmt: skip
    return SurfaceErrors(
        float(to_truth.mean()),
        float(to_result.mean()),
        float((to_truth <= threshold).mean()),
        float((to_result <= threshold).mean()),
        None if None in ways else float(np.mean(ways)),  # type: ignore[arg-type]
        len(result_points.points),
        len(truth_points.points),
        float((to_truth <= FINE_SHARE * threshold).mean()),
        float((to_result <= FINE_SHARE * threshold).mean()),
    )


def is_empty(shape: Shape) -> bool:
    """Whether there is nothing to measure."""
    return len(shape.points if isinstance(shape, PointCloud) else shape.faces) == 0


def inside(points: FloatArray, box: FloatArray | None) -> NDArray[np.bool_]:
    """Which points [N, 3] lie in a box [3, 2]."""
    if box is None:
        return np.ones(len(points), dtype=bool)
    return np.asarray(((points >= box[:, 0]) & (points <= box[:, 1])).all(axis=1))


def crop(shape: Shape, box: FloatArray | None) -> Shape:
    """Keep the points in the box [3, 2], or the faces whose bounding box meets it."""
    if box is None or is_empty(shape):
        return shape
    if isinstance(shape, PointCloud):
        return shape.chosen(inside(shape.points, box))
    corners = shape.vertices[shape.faces]  # [F, 3, 3]
    meets = (corners.max(axis=1) >= box[:, 0]) & (corners.min(axis=1) <= box[:, 1])
    return keep_faces(shape, meets.all(axis=1))


def spread(shape: Shape, count: int) -> PointCloud:
    """At most `count` points of a shape: even by area on a mesh, and with its faces' normals."""
    if isinstance(shape, PointCloud):
        if len(shape.points) <= count:
            return shape
        chosen = np.random.default_rng(0).choice(len(shape.points), count, replace=False)
        return shape.chosen(chosen)
    points, faces = sample_evenly(shape, count, 0)
    return PointCloud(points, _face_normals(shape)[faces])


def nearest(
    points: FloatArray, shape: Shape, samples: int = SAMPLES
) -> tuple[FloatArray, FloatArray | None]:
    """Distance [N] of points [N, 3] to a shape, and its normals [N, 3] there, or None."""
    if isinstance(shape, PointCloud):
        distance, index = cKDTree(shape.points).query(points, workers=-1)
        return distance, None if shape.normals is None else shape.normals[index]
    distance, face = nearest_faces(points, shape, samples)
    return distance, _face_normals(shape)[face]


def _face_normals(mesh: TriangleMesh) -> FloatArray:
    return np.asarray(unit_vectors(face_cross(mesh)), dtype=np.float64)


def _harmonic_mean(one: float, other: float) -> float:
    return 2 * one * other / (one + other) if one + other else 0.0


def _agreement(one: FloatArray | None, other: FloatArray | None) -> float | None:
    """Mean |cosine| between normals [N, 3]; faces without area have none and do not count."""
    if one is None or other is None:
        return None
    known = one.any(axis=1) & other.any(axis=1)
    if not known.any():
        return None
    return float(np.abs(np.einsum("ij,ij->i", one[known], other[known])).mean())
