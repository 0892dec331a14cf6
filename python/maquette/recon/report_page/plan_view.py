"""Cameras, points and region from above and from the side, as one drawing.

Frames: "world" is COLMAP's; "drawing" has x to the right and y down, 1 unit = 1 CSS pixel of a
page 820 wide. Seen from above, world's up points at the reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maquette.recon.mesh.upright import up_direction
from maquette.recon.report_page.album import Album
from maquette.recon.report_page.markup import Html, element
from maquette.scene.region import Region
from maquette.scene.transforms import Frame

Floats = NDArray[np.float64]
_WIDTH, _HIGHEST = 820.0, 520.0
_MARGIN = 12.0
_FINER = 2  # pixels of the points' picture along a unit of the drawing
_MOST_POINTS, _FEW = 60_000, 20_000
_PAPER = 248
_DARKEST = 0.8  # by which colours are darkened, so that white points show on white


@dataclass(frozen=True)
class _View:
    """One direction of sight: world → drawing, and the drawing's height.

    Attributes:
        axes: [2, 3] what points right and up in the drawing, world units a unit.
        corner: [2] right and up of the drawing's upper left corner.
    """

    axes: Floats
    corner: Floats
    scale: float
    width: float
    height: float

    def place(self, world: Floats) -> Floats:
        """World points [N, 3] in the drawing [N, 2]."""
        flat = (world @ self.axes.T - self.corner) * self.scale
        return np.stack([flat[:, 0], -flat[:, 1]], axis=1)


def draw(
    frames: Sequence[Frame], names: Sequence[str], region: Region, points: Floats,
    colors: NDArray[np.uint8], album: Album, told: Floats | None = None,
) -> Html:  # fmt: skip
    """Both views, one above the other.

    Args:
        frames: At least one.
        names: What a person calls each photo.
        points: [P, 3] world; `colors` [P, 3] sRGB.
        told: The direction [3] that is up, where it is known.
    """
    right, ahead, up = _axes(frames, told)
    every = max(1, len(points) // _MOST_POINTS)
    few, tints = points[::every], colors[::every]
    drawn = []
    for title, above in (("from above", ahead), ("from the side", up)):
        view = _fit(np.stack([right, above]), frames, region)
        drawn.append(_one(title, view, frames, names, region, few, tints, album))
    return Html("".join(drawn))


def _axes(frames: Sequence[Frame], told: Floats | None) -> tuple[Floats, Floats, Floats]:
    """Right, ahead and up in the world; the longer way of the cameras points right."""
    up = np.asarray(up_direction(frames, told), dtype=np.float64)
    centers = np.array([frame.world_from_cam[:3, 3] for frame in frames])
    spread = centers - centers.mean(axis=0)
    level = spread - np.outer(spread @ up, up)
    _, _, ways = np.linalg.svd(np.concatenate([level, 1e-9 * np.eye(3)]))
    right = ways[0] - up * (ways[0] @ up)
    if np.linalg.norm(right) < 0.5:  # all cameras stand one above the other
        right = np.cross(up, np.eye(3)[np.argmin(np.abs(up))])
    right /= np.linalg.norm(right)
    right *= np.sign(right[np.argmax(np.abs(right))])
    return right, np.cross(up, right), up


def _fit(axes: Floats, frames: Sequence[Frame], region: Region) -> _View:
    """The view that holds all cameras and the sphere."""
    centers = np.array([frame.world_from_cam[:3, 3] for frame in frames]) @ axes.T
    middle = axes @ np.asarray(region.center)
    low = np.minimum(centers.min(axis=0), middle - region.radius)
    high = np.maximum(centers.max(axis=0), middle + region.radius)
    extent = np.maximum(high - low, 1e-9 * region.radius)
    room = np.array([_WIDTH, _HIGHEST]) - 2 * _MARGIN
    scale = float((room / extent).min())
    height = float(extent[1] * scale + 2 * _MARGIN)
    beside = (_WIDTH / scale - extent[0]) / 2
    corner = np.array([low[0] - beside, high[1] + _MARGIN / scale])
    return _View(axes, corner, scale, _WIDTH, height)


def _one(
    title: str, view: _View, frames: Sequence[Frame], names: Sequence[str], region: Region,
    points: Floats, colors: NDArray[np.uint8], album: Album,
) -> Html:  # fmt: skip
    source = album.source(_cloud(view, points, colors), f"points {title}", part=0.2)
    shapes = [
        element("image", href=source, width=f"{view.width:.0f}", height=f"{view.height:.1f}")
        if source else "",
        _region(view, region),
        *_cameras(view, frames, names),
        element("text", title, x="14", y="26", fill="#667078", font_size="15"),
    ]  # fmt: skip
    box = f"0 0 {view.width:.0f} {view.height:.1f}"
    words = f"{len(frames)} cameras, points and region {title}"
    return element("svg", *shapes, viewBox=box, role="img", aria_label=words)


def _cloud(view: _View, points: Floats, colors: NDArray[np.uint8]) -> Image.Image:
    height, width = (round(_FINER * length) for length in (view.height, view.width))
    picture = np.full((height, width, 3), _PAPER, np.uint8)
    column, row = np.floor(_FINER * view.place(points)).astype(int).T
    inside = (column >= 0) & (row >= 0) & (column < width - 2) & (row < height - 2)
    tints = (colors[inside] * _DARKEST).astype(np.uint8)
    dot = range(3 if len(points) < _FEW else 2)
    for down in dot:
        for aside in dot:
            picture[row[inside] + down, column[inside] + aside] = tints
    return Image.fromarray(picture)


def _region(view: _View, region: Region) -> Html:
    middle = view.place(np.array([region.center]))[0]
    circle = element(
        "circle", cx=f"{middle[0]:.1f}", cy=f"{middle[1]:.1f}",
        r=f"{region.radius * view.scale:.1f}", fill="none", stroke="#c9622b",
    )  # fmt: skip
    corners = np.stack(np.meshgrid(*region.box), axis=-1).reshape(-1, 3)
    flat = view.place(corners)
    box = _polygon(_hull(flat), fill="none", stroke="#c9622b", stroke_dasharray="5 4")
    return circle + box


def _hull(points: Floats) -> Floats:
    """The outline of a few points [N, 2]: those that have all others on one side."""
    apart = points[None] - points[:, None]  # [N, N, 2] from the first to the second
    x, y = apart[..., 0], apart[..., 1]
    sides = x[:, :, None] * y[:, None] - y[:, :, None] * x[:, None]  # [N, N, N]
    is_rim = (sides >= -1e-9).all(axis=2) & (np.hypot(x, y) > 0)
    rim = points[is_rim.any(axis=1)]
    away = rim - points.mean(axis=0)
    outline: Floats = rim[np.argsort(np.arctan2(away[:, 1], away[:, 0]))]
    return outline


def _cameras(view: _View, frames: Sequence[Frame], names: Sequence[str]) -> list[Html]:
    """A wedge for each camera, as wide as its picture."""
    poses = np.array([frame.world_from_cam for frame in frames])
    depth = _wedge_px(view.place(poses[:, :3, 3])) / view.scale
    wedges = []
    for frame, pose, name in zip(frames, poses, names, strict=True):
        lens = frame.intrinsics
        edges = (np.array([0.0, lens.width]) - lens.cx) / lens.fl_x
        rays = np.array([[0, 0, 0], [edges[0], 0, 1], [edges[1], 0, 1]]) * depth
        outline = view.place(rays @ pose[:3, :3].T + pose[:3, 3])
        title = element("title", name)
        wedges.append(_polygon(outline, title, fill="#2f669055", stroke="#2f6690"))
    return wedges


def _wedge_px(places: Floats) -> float:
    """A size at which few cameras cover one another."""
    if len(places) < 2:
        return 30.0
    apart = np.linalg.norm(np.diff(places, axis=0), axis=1)
    return float(np.clip(0.8 * np.median(apart), 7.0, 30.0))


def _polygon(outline: Floats, *children: str, **attributes: str) -> Html:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in outline)
    return element("polygon", *children, points=points, **attributes)


def photo_name(frame: Frame) -> str:
    """The name of a frame's picture in `images/`."""
    return Path(frame.file_path).name
