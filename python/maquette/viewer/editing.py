"""The region while a person changes it: undo, counts, fits, and saving; no window needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maquette.scene import georeference, region_fits, region_search
from maquette.scene.colmap_model import SparseModel
from maquette.scene.region import Region
from maquette.scene.workspace import Workspace, open_workspace, scene_type_of

_MOST_UNDO = 200
_FAR = 3.0  # times the median distance
_ROUNDS = 20


@dataclass(frozen=True)
class View:
    """Where a window's camera is: position [3], rotation [3, 3] world from camera, field of view.

    `fov_y` is the vertical angle in radians, `aspect` width by height.
    """

    position: NDArray[np.float64]
    rotation: NDArray[np.float64]
    fov_y: float
    aspect: float


class RegionEditor:
    """One region under change; every window that shows it listens.

    Each change is a new `Region`, so an unusable one raises `BadInput` and changes nothing.
    """

    def __init__(self, opened: Workspace) -> None:
        self.workspace = opened
        self.region = opened.region
        self.listeners: list[Callable[[], None]] = []
        self._undo: list[Region] = []
        self._lock = threading.RLock()

    @property
    def model(self) -> SparseModel:
        return self.workspace.model

    @property
    def is_saved(self) -> bool:
        saved = self.workspace.saved
        return saved is not None and saved.digest == self.region.digest

    def counts(self) -> tuple[int, int | None, int]:
        """Points inside the region now, inside the saved one (None: none is), and in all."""
        points, saved = self.model.points, self.workspace.saved
        before = None if saved is None else int(saved.contains(points).sum())
        return int(self.region.contains(points).sum()), before, len(points)

    def change(self, region: Region, *, remember: bool = True) -> None:
        """Make this the region; a drag remembers only where it began (`begin_drag`)."""
        with self._lock:
            if remember:
                self.begin_drag()
            self.region = region
        for listener in self.listeners:
            listener()

    def begin_drag(self) -> None:
        """Remember the present region for undo."""
        if not self._undo or self._undo[-1] != self.region:
            self._undo = [*self._undo[-_MOST_UNDO:], self.region]

    def undo(self) -> None:
        """Go back to the region before the last change, if there is one."""
        with self._lock:
            while self._undo and self._undo[-1] == self.region:
                self._undo.pop()
            if not self._undo:
                return
            region = self._undo.pop()
        self.change(region, remember=False)

    def set_sphere(self, center: ArrayLike, radius: float, *, remember: bool = True) -> None:
        """Move or resize the sphere; the box stays."""
        self.change(Region.around(center, radius, self.region.box), remember=remember)

    def set_box(self, low: ArrayLike, high: ArrayLike, *, remember: bool = True) -> None:
        """Set the box by two corners in any order; the sphere stays."""
        corners = np.sort(np.stack([np.asarray(low, float), np.asarray(high, float)], 1), axis=1)
        region = Region.around(self.region.center, self.region.radius, corners)
        self.change(region, remember=remember)

    def fit_box_to_sphere(self) -> None:
        """Make the box the one that holds the sphere."""
        self.change(Region.around(self.region.center, self.region.radius))

    def fit_sphere_to_box(self) -> None:
        """Make the sphere the one through the box's corners; the box stays."""
        box = np.asarray(self.region.box)
        radius = float(np.linalg.norm(np.ptp(box, axis=1)) / 2)
        self.change(Region.around(box.mean(axis=1), radius, box))

    def fit_points(self, chosen: NDArray[np.bool_]) -> None:
        """Fit sphere and box around those of the chosen points [P] that lie together."""
        points = self.model.points[chosen]
        self.change(region_fits.around_points(points[lie_together(points)], 0.98))

    def fit_cameras(self) -> None:
        """Put the sphere around what the cameras look at, through the cameras."""
        self.change(region_fits.around_cameras(self.model.centers, self.model.axes))

    def fit_automatically(self) -> None:
        """Use what the cameras have in view together."""
        scene_type = scene_type_of(self.workspace.scene)
        up = georeference.read(self.workspace.scene.georeference).up
        self.change(region_search.find(scene_type, self.model, up=up).region)

    @property
    def can_undo(self) -> bool:
        """Whether there is an earlier region to go back to."""
        return any(region != self.region for region in self._undo)

    def reset(self) -> None:
        """Go back to the region of the file, as it is there now."""
        self.workspace = open_workspace(self.workspace.scene.root)
        self.change(self.workspace.region)

    def save(self, *, over_others: bool = False) -> None:
        """Write the region.

        Args:
            over_others: Also when another program changed the file meanwhile.

        Raises:
            ChangedMeanwhile: another program did, and `over_others` is false.
        """
        if over_others:
            self.workspace = open_workspace(self.workspace.scene.root)
        region = self.region
        self.workspace.save(region)
        self.workspace = self.workspace.with_saved(region)
        for listener in self.listeners:
            listener()


def lie_together(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points [P, 3] are not far from where most are, [P].

    Far is more than thrice the median distance from the median point, which is found again
    without the far ones until none is left out: a ball's points all stay.
    """
    kept = np.ones(len(points), bool)
    for _ in range(_ROUNDS):
        if not kept.any():
            break
        away = np.linalg.norm(points - np.median(points[kept], axis=0), axis=1)
        near = away <= _FAR * np.median(away[kept])
        if (near == kept).all():
            break
        kept = near
    return kept


def in_view(points: NDArray[np.float64], eye: View) -> NDArray[np.bool_]:
    """Which points [P, 3] a perspective view shows, [P]."""
    local = (points - eye.position) @ eye.rotation  # camera: x right, y down, z forward
    tangent = np.tan(eye.fov_y / 2)
    depth = local[:, 2]
    across = np.abs(local[:, 0]) <= depth * tangent * eye.aspect
    return np.asarray((depth > 0) & across & (np.abs(local[:, 1]) <= depth * tangent))
