"""AliceVision's cameras, and the way from its world to the scene's.

AliceVision finds cameras of its own, so its world differs from the scene's by a similarity, which
the centres of the cameras that both have tell. Its cameras look along +z with y down, as COLMAP's.
Its mesh files are turned by half a turn about x against its cameras (y and z negated on writing,
`src/aliceVision/mesh/Mesh.cpp` of 3.2); since that may change, the scene's own points decide.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from maquette.errors import BadInput
from maquette.recon.evaluate.similarity import Similarity, align_robustly, residuals

Floats = NDArray[np.float64]
_TURNS = (np.diag([1.0, -1.0, -1.0]), np.eye(3))
_MOST_POINTS = 2000
_LEAST_CAMERAS = 3


@dataclass(frozen=True)
class Placement:
    """How points of a mesh file come into the scene's world.

    Attributes:
        cameras: Those that told.
        camera_error: Median distance of their centres from the scene's, world units.
        point_error: Median distance of the scene's points from the mesh, world units.
    """

    turn: Floats  # [3, 3]
    similarity: Similarity
    cameras: int
    camera_error: float
    point_error: float

    def apply(self, points: NDArray[np.floating]) -> Floats:
        """Map points [N, 3] of a mesh file to the scene's world."""
        return self.similarity.apply(np.asarray(points, dtype=np.float64) @ self.turn.T)


def read_centers(path: Path) -> dict[str, Floats]:
    """The centres [3] of the cameras of a `.sfm` file (JSON), by their photos' file names.

    Raises:
        BadInput: it is no such file.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        centers = {
            entry["poseId"]: np.array(entry["pose"]["transform"]["center"], dtype=np.float64)
            for entry in document.get("poses", ())
        }
        views = [(Path(view["path"]).name, view["poseId"]) for view in document["views"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"`{path.name}` has no cameras of AliceVision: {error!r}") from error
    return {name: centers[pose] for name, pose in views if pose in centers}


def place(
    theirs: Mapping[str, Floats], ours: Mapping[str, Floats], vertices: Floats, points: Floats
) -> Placement:
    """Find the way from a mesh file of AliceVision to the scene's world.

    Args:
        theirs: Centres of AliceVision's cameras by photo, in its world.
        ours: Those of the scene's cameras, in the scene's world.
        vertices: Of the mesh file, [V, 3].
        points: The scene's points on the surface, [P, 3].

    Raises:
        BadInput: the two have fewer than three cameras in common.
    """
    names = sorted(theirs.keys() & ours.keys())
    if len(names) < _LEAST_CAMERAS:
        raise BadInput(
            f"Meshroom found {len(theirs)} cameras, {len(names)} of photos of this scene: "
            f"{_LEAST_CAMERAS} are needed to bring its mesh into the scene's world",
            hint="more photos, or ENGINE=native, which uses the cameras of prepare",
        )
    source, target = (np.stack([known[name] for name in names]) for known in (theirs, ours))
    similarity = align_robustly(source, target)
    error = float(np.median(residuals(similarity, source, target)))
    some = points[:: max(1, len(points) // _MOST_POINTS)]
    found = [Placement(turn, similarity, len(names), error, 0.0) for turn in _TURNS]
    placed = [replace(one, point_error=_distance(some, one.apply(vertices))) for one in found]
    return min(placed, key=lambda placement: placement.point_error)


def _distance(points: Floats, vertices: Floats) -> float:
    return float(np.median(cKDTree(vertices).query(points)[0])) if len(points) else 0.0
