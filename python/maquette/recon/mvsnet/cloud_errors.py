"""How near a fused cloud is to the truth, by the definitions of DTU's benchmark.

Source: Aanæs et al., Large-scale data for multiple-view stereopsis, IJCV 2016, section 4, and the
limits of the program that comes with the data: points are thinned to 0.2 mm, and what is more than
20 mm off counts as an outlier, in no mean. Differs: a cloud is thinned to a point a cell of that
size, which repeats, in place of points drawn at random.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.floating]
Observed = Callable[[Floats], NDArray[np.bool_]]
SPACING_MM, OUTLIER_MM = 0.2, 20.0
METRICS = ("accuracy", "completeness", "overall")


@dataclass(frozen=True)
class Truth:
    """What a cloud is measured against.

    Attributes:
        points: [N, 3] of the true surface.
        is_observed: Which of some places [P, 3] the truth can tell of; others do not count.
        unit: The length that counts as 1 mm, in the points' unit.
    """

    points: Floats
    is_observed: Observed
    unit: float = 1.0


def measure(points: Floats, truth: Truth) -> dict[str, float]:
    """Accuracy, completeness and their mean in mm, by the names of `METRICS`.

    accuracy is the mean distance from the observed points of the cloud to the truth, completeness
    the mean distance from the truth to the cloud; NaN where nothing is near enough to count.

    Args:
        points: [P, 3] of the fused cloud, the truth's frame.
    """
    spacing, limit = SPACING_MM * truth.unit, OUTLIER_MM * truth.unit
    made, true = thinned(points, spacing), thinned(truth.points, spacing)
    seen = made[truth.is_observed(made)]
    accuracy, completeness = (
        _mean_distance(one, other, limit) / truth.unit
        for one, other in ((seen, true), (true, made))
    )
    return dict(zip(METRICS, (accuracy, completeness, (accuracy + completeness) / 2), strict=True))


def thinned(points: Floats, size: float) -> Floats:
    """The first point [N, 3] of every cell of a grid, in their order."""
    if not len(points):
        return points.reshape(0, 3)
    cells = np.floor(points / size).astype(np.int64)
    cells -= cells.min(0)
    extent = cells.max(0) + 1
    numbers = (cells[:, 0] * extent[1] + cells[:, 1]) * extent[2] + cells[:, 2]
    return points[np.sort(np.unique(numbers, return_index=True)[1])]


def _mean_distance(points: Floats, others: Floats, limit: float) -> float:
    """From each point to the nearest of the others, of those that are nearer than the limit."""
    if not len(points) or not len(others):
        return float("nan")
    distance, _ = cKDTree(others).query(points, distance_upper_bound=limit, workers=-1)
    near = distance[np.isfinite(distance)]
    return float(near.mean()) if len(near) else float("nan")
