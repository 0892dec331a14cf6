"""A picture of points, cameras, sphere and box from three sides; drawn without a display."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from maquette.counting import counted
from maquette.scene import originals
from maquette.scene.atomic import replacing
from maquette.scene.colmap_model import SparseModel
from maquette.scene.paths import Scene
from maquette.scene.region import Region

Floats = NDArray[np.float64]

_PANEL_PX, _TOP_PX, _FOOT_PX, _GAP_PX, _LINE_PX = 480, 64, 40, 12, 24
_INK, _FAINT, _SPHERE, _BOX, _CAMERA = "#1b1b1b", "#8a8f98", "#0a62c8", "#c2410c", "#15803d"
_VIEWS = (("front", "right", "up"), ("side", "forward", "up"), ("top", "right", "forward"))


@dataclass(frozen=True)
class Subject:
    """What is drawn, world frame: cameras as `world_from_cam` [N, 4, 4], points [P, 3] in RGB.

    Attributes:
        remark: A line below the panels.
        up: World direction [3]; None: as the cameras were held.
    """

    points: Floats
    colors: NDArray[np.uint8]
    world_from_cam: Floats
    region: Region
    remark: str = ""
    up: Floats | None = None

    @classmethod
    def of(
        cls, model: SparseModel, region: Region, scene: Scene, up: Floats | None = None
    ) -> Subject:
        """A COLMAP model and a region in it; the remark names the scene's photos without a pose."""
        unposed = originals.without_pose(scene, model.names)
        images = len(model.names) + len(unposed)
        remark = originals.sentence(unposed, images) if unposed else ""
        return cls(model.points, model.colors, model.world_from_cam, region, remark, up)


def write(target: Path, subject: Subject, title: str) -> Path:
    """Draw into a PNG file in one step; returns its path."""
    with replacing(target) as temporary:
        draw(subject, title, temporary)
    return target


def draw(subject: Subject, title: str, target: Path) -> None:
    """Draw front, side and top views side by side into a PNG."""
    width = 3 * _PANEL_PX + 4 * _GAP_PX
    height = _TOP_PX + _PANEL_PX + _FOOT_PX
    picture = Image.new("RGB", (width, height + _LINE_PX * bool(subject.remark)), "white")
    pen = ImageDraw.Draw(picture)
    directions, extent = _directions(subject), _extent(subject)
    pen.text((_GAP_PX, 10), title, fill=_INK, font=_font(22))
    pen.text((_GAP_PX, 40), _counts(subject), fill=_FAINT, font=_font(15))
    for position, (name, across, upwards) in enumerate(_VIEWS):
        plane = np.stack([directions[across], directions[upwards]])  # [2, 3]
        corner = (_GAP_PX + position * (_PANEL_PX + _GAP_PX), _TOP_PX)
        picture.paste(_panel(subject, plane, extent, name, across, upwards), corner)
    _legend(pen, extent)
    if subject.remark:
        remark = _fitting(pen, subject.remark, width - 2 * _GAP_PX)
        pen.text((_GAP_PX, height - 4), remark, fill=_INK, font=_font(15))
    picture.save(target, format="PNG")


def _panel(
    subject: Subject, plane: Floats, extent: float, name: str, across: str, upwards: str
) -> Image.Image:
    pixels = np.full((_PANEL_PX, _PANEL_PX, 3), 255, dtype=np.uint8)
    place = _Placer(np.asarray(subject.region.center), plane, extent)
    _splat(pixels, place, subject)
    panel = Image.fromarray(pixels)
    pen = ImageDraw.Draw(panel)
    _draw_region(pen, place, subject.region)
    _draw_cameras(pen, place, subject.world_from_cam, 0.06 * extent)
    pen.rectangle((0, 0, _PANEL_PX - 1, _PANEL_PX - 1), outline=_FAINT)
    pen.text((8, 6), name, fill=_INK, font=_font(17))
    label = f"across: {across}, upwards: {upwards}"
    pen.text((8, _PANEL_PX - 24), label, fill=_FAINT, font=_font(14))
    return panel


@dataclass(frozen=True)
class _Placer:
    """Maps world points to panel pixels: parallel projection around `center`."""

    center: Floats
    plane: Floats
    extent: float

    def __call__(self, world: Floats) -> Floats:
        flat = (np.asarray(world) - self.center) @ self.plane.T / self.extent  # [..., 2]
        return (flat * [1, -1] + 1) * (_PANEL_PX / 2)


def _splat(pixels: NDArray[np.uint8], place: _Placer, subject: Subject) -> None:
    """Set one pixel a point; those outside the region are pale and lie below."""
    inside = subject.region.contains(subject.points)
    pale = (0.35 * subject.colors + 0.65 * 255).astype(np.uint8)
    for chosen, colors, side in ((~inside, pale, 1), (inside, subject.colors, 2)):
        columns, rows = place(subject.points[chosen]).astype(int).T
        for right in range(side):
            for down in range(side):
                x, y = columns + right, rows + down
                seen = (x >= 0) & (x < _PANEL_PX) & (y >= 0) & (y < _PANEL_PX)
                pixels[y[seen], x[seen]] = colors[chosen][seen]


def _draw_region(pen: ImageDraw.ImageDraw, place: _Placer, region: Region) -> None:
    x, y = place(np.asarray(region.center))
    radius = region.radius / place.extent * _PANEL_PX / 2
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=_SPHERE, width=2)
    low, high = np.asarray(region.box).T
    corners = np.array(
        [[(low, high)[bit >> axis & 1][axis] for axis in range(3)] for bit in range(8)]
    )
    flat = place(corners)
    for first in range(8):
        for axis in range(3):
            if not first >> axis & 1:
                ends = flat[[first, first | 1 << axis]].ravel().tolist()
                pen.line(ends, fill=_BOX, width=1)


def _draw_cameras(pen: ImageDraw.ImageDraw, place: _Placer, poses: Floats, length: float) -> None:
    starts = place(poses[:, :3, 3])
    ends = place(poses[:, :3, 3] + length * poses[:, :3, 2])
    for (x, y), end in zip(starts, ends, strict=True):
        pen.line((x, y, *end), fill=_CAMERA, width=1)
        pen.ellipse((x - 2.5, y - 2.5, x + 2.5, y + 2.5), fill=_CAMERA)


def _directions(subject: Subject) -> dict[str, Floats]:
    """Up as told or as the cameras were held, right along the longest spread across it."""
    held = _unit(-subject.world_from_cam[:, :3, 1].mean(axis=0), np.array([0.0, -1.0, 0.0]))
    up = held if subject.up is None else subject.up
    spread = subject.world_from_cam[:, :3, 3] - subject.world_from_cam[:, :3, 3].mean(axis=0)
    level = spread - (spread @ up)[:, None] * up
    right = np.linalg.svd(level)[2][0]
    right = _unit(right - (right @ up) * up, np.cross(up, [0.0, 0.0, 1.0]))
    if right @ subject.world_from_cam[:, :3, 0].mean(axis=0) < 0:
        right = -right
    return {"up": up, "right": right, "forward": np.cross(up, right)}


def _unit(vector: Floats, fallback: Floats) -> Floats:
    length = np.linalg.norm(vector)
    return vector / length if length > 1e-9 else fallback


def _extent(subject: Subject) -> float:
    """Half the side of the view: the sphere and 95 % of the cameras fit."""
    center = np.asarray(subject.region.center)
    away = np.linalg.norm(subject.world_from_cam[:, :3, 3] - center, axis=1)
    corner = np.linalg.norm(np.asarray(subject.region.box).T - center, axis=1).max() * 0.75
    return float(1.12 * max(subject.region.radius, corner, np.quantile(away, 0.95)))


def _counts(subject: Subject) -> str:
    inside = int(subject.region.contains(subject.points).sum())
    outside = len(subject.points) - inside
    cameras = counted(len(subject.world_from_cam), "camera")
    return (
        f"{inside:,} points inside, {outside:,} outside (pale)   ·   "
        f"{cameras}   ·   sphere radius {subject.region.radius:.4g}"
    )


def _legend(pen: ImageDraw.ImageDraw, extent: float) -> None:
    y, x = _TOP_PX + _PANEL_PX + 12, _GAP_PX
    for color, word in ((_SPHERE, "sphere"), (_BOX, "box"), (_CAMERA, "camera and where it looks")):
        pen.line((x, y + 9, x + 26, y + 9), fill=color, width=3)
        pen.text((x + 34, y), word, fill=_INK, font=_font(15))
        x += 60 + int(pen.textlength(word, font=_font(15)))
    pen.text((x, y), f"a panel is {2 * extent:.4g} world units wide", fill=_FAINT, font=_font(15))


def _fitting(pen: ImageDraw.ImageDraw, text: str, width: int) -> str:
    """The text, cut where it is wider than so many pixels."""
    if pen.textlength(text, font=_font(15)) <= width:
        return text
    while text and pen.textlength(text + "…", font=_font(15)) > width:
        text = text[:-1]
    return text + "…"


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
