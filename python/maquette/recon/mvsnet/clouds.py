"""The depth maps of a scan as one cloud of points, and the scan's true depths as another.

Source of the limits: Yao et al., MVSNet, ECCV 2018, section 4.2 (post-processing): a probability
of 0.8, and three views that agree to a pixel and to a hundredth of the depth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import rq

from maquette.recon.geometry.points import PointCloud
from maquette.recon.mvs.fusion import Agreement, fuse
from maquette.recon.mvs.patch_match import DepthMap
from maquette.recon.mvsnet.cloud_errors import Truth
from maquette.recon.mvsnet.prediction import Prediction
from maquette.recon.mvsnet.samples import Batch
from maquette.scene.transforms import Frame, Intrinsics

Floats = NDArray[np.float64]
_SURE = 0.8  # the least confidence of a pixel that is fused
_SOURCES = 10  # views that are compared with each
_AGREEMENT = Agreement(reprojection_px=1.0, depth=0.01, normal_deg=180.0, views=2)
FEWEST = _AGREEMENT.views + 1  # views of a scan that can be fused


@dataclass(frozen=True)
class Cloud:
    """A scan's name, its depth maps as points, and what these are measured against."""

    scan: str
    points: PointCloud
    truth: Truth


@dataclass(frozen=True)
class ScanView:
    """What is known of one view of a scan.

    Attributes:
        found: Its depth map, sure pixels alone; `frame` is the camera of that map.
        picture: [h, w, 3] uint8, of the map's size.
        true: [h', w'] true depth, 0 = unknown; `true_frame` is the camera of that.
        unit: The length that counts as 1 mm.
    """

    found: DepthMap
    frame: Frame
    picture: NDArray[np.uint8]
    true: NDArray[np.float32]
    true_frame: Frame
    unit: float


class Scans:
    """Depth maps as they come, and the cloud of each scan once its last one is there."""

    def __init__(self, device: torch.device | None = None) -> None:
        self._views: list[ScanView] = []
        self._scan, self._device = "", device

    def add(self, scan: str, batch: Batch, prediction: Prediction) -> Iterator[Cloud]:
        """Take a view of a scan, or none where its name is empty; the cloud of the scan before."""
        if not scan:
            return
        if scan != self._scan:
            yield from self.last()
            self._scan = scan
        self._views.append(view_of(batch, prediction))

    def last(self) -> Iterator[Cloud]:
        """The cloud of the scan whose views came last, where there are enough of them."""
        views, self._views = self._views, []
        if len(views) >= FEWEST:
            yield Cloud(self._scan, fused(views, self._device), truth_of(views))


def view_of(batch: Batch, prediction: Prediction) -> ScanView:
    """The reference of a batch of one sample."""
    depth = prediction.depth[0].float().cpu().numpy()
    sure = prediction.confidence[0].float().cpu().numpy() >= _SURE
    true = (batch.depth[0] * batch.mask[0]).cpu().numpy()
    projection = batch.projections[0, 0].double().cpu().numpy()
    height = batch.images.shape[3]
    step = round(height / depth.shape[0])
    picture = batch.images[0, 0, :, ::step, ::step][:, : depth.shape[0], : depth.shape[1]]
    nothing = np.zeros((*depth.shape, 3), np.float32)  # normals are not compared
    return ScanView(
        DepthMap(depth * sure, nothing, np.zeros_like(depth)),
        frame_of(projection, depth.shape, step),
        (picture.permute(1, 2, 0) * 255).round().byte().contiguous().cpu().numpy(),
        true, frame_of(projection, true.shape, round(height / true.shape[0])),
        float(batch.unit[0]),
    )  # fmt: skip


def frame_of(projection: Floats, shape: tuple[int, ...], step: int) -> Frame:
    """The camera of a map whose entry i is the picture's pixel step · i.

    Args:
        projection: [4, 4], world to pixel of the picture.
        shape: Height and width of the map.
    """
    upper, turn = rq(projection[:3, :3])
    signs = np.sign(np.diag(upper))
    lens, turn = upper * signs, signs[:, None] * turn
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn, np.linalg.solve(lens, projection[:3, 3])
    lens = lens / lens[2, 2]
    middle = 0.5 - 0.5 / step
    height, width = shape
    return Frame("", np.asarray(np.linalg.inv(pose), np.float64), Intrinsics(
        width, height, lens[0, 0] / step, lens[1, 1] / step,
        lens[0, 2] / step + middle, lens[1, 2] / step + middle,
    ))  # fmt: skip


def fused(views: Sequence[ScanView], device: torch.device | None = None) -> PointCloud:
    """What at least three views of a scan agree on, world frame."""
    frames = [view.frame for view in views]
    parts = list(fuse(
        frames, _neighbours(frames), lambda n: views[n].found, lambda n: views[n].picture,
        _AGREEMENT, device=device,
    ))  # fmt: skip
    points = np.concatenate([part.points for part in parts]).astype(np.float64)
    return PointCloud(points, None, np.concatenate([part.colors for part in parts]))


def truth_of(views: Sequence[ScanView]) -> Truth:
    """The true depths of all views as points; a place is observed where one of them is known."""
    points = np.concatenate([_lifted(view.true, view.true_frame) for view in views])
    return Truth(points, _observed_by(views), views[0].unit)


def _lifted(depth: NDArray[np.float32], frame: Frame) -> Floats:
    """World points [N, 3] of the known pixels of a depth map."""
    y, x = (depth > 0).nonzero()
    rays = np.stack([x + 0.5, y + 0.5, np.ones(len(x))], -1)
    local = depth[y, x, None] * (rays @ np.linalg.inv(frame.intrinsics.matrix()).T)
    return np.asarray(local @ frame.world_from_cam[:3, :3].T + frame.world_from_cam[:3, 3])


def _observed_by(views: Sequence[ScanView]) -> Callable[[NDArray[np.floating]], NDArray[np.bool_]]:
    def is_observed(points: NDArray[np.floating]) -> NDArray[np.bool_]:
        found = np.zeros(len(points), bool)
        for view in views:
            found |= _is_on_known(points, view)
        return found

    return is_observed


def _is_on_known(points: NDArray[np.floating], view: ScanView) -> NDArray[np.bool_]:
    """Which of some points [P, 3] a view sees at a pixel whose true depth is known."""
    lens, pose = view.true_frame.intrinsics, view.true_frame.world_from_cam
    seen = (points - pose[:3, 3]) @ pose[:3, :3] @ lens.matrix().T
    ahead = np.maximum(seen[:, 2], 1e-12)
    x, y = (np.floor(seen[:, axis] / ahead) for axis in (0, 1))
    inside = (seen[:, 2] > 0) & (x >= 0) & (y >= 0) & (x < lens.width) & (y < lens.height)
    row, column = (np.where(inside, one, 0).astype(int) for one in (y, x))
    return np.asarray(inside & (view.true[row, column] > 0))


def _neighbours(frames: Sequence[Frame]) -> list[list[int]]:
    """For each camera the nearest others."""
    centers = np.stack([frame.world_from_cam[:3, 3] for frame in frames])
    apart = np.linalg.norm(centers[:, None] - centers, axis=2)
    return [
        [int(other) for other in np.argsort(row, kind="stable") if other != view][:_SOURCES]
        for view, row in enumerate(apart)
    ]
