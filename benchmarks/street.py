"""Photos of a walk round a street: textured boxes, ray cast in numpy. More photos: a longer street.

Frames: "world" has x and y on the ground and z up, in metres. Cameras follow COLMAP: x right, y
down, z forward, pixel centres at +0.5.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

Floats = NDArray[np.float32]

WIDTH = 640  # of a photo, pixels; its height and its focal length are three quarters of it
_STEP_M = 0.6  # between two photos
_EYE_M, _HALF_STREET_M, _SEEN_M = 1.7, 6.0, 45.0
_ASIDE_DEG = 55.0  # from the direction of the walk
_TEXTURE, _PIXELS_PER_M, _LAYERS = 1024, 48.0, 3


@dataclass(frozen=True)
class Street:
    """A square street with houses at its outer side, and the photos taken along it.

    Attributes:
        low, high: Corners of the boxes, [B, 3] metres.
        layers: How tiles lie on each box and, last, on the ground: [B + 1, L, 2, 3], pixels of the
            tile from metres; three that differ make every place look like no other.
        poses: world_from_cam of each photo, [N, 4, 4].
    """

    low: Floats
    high: Floats
    layers: Floats
    poses: NDArray[np.float64]


def street(count: int, seed: int = 0) -> Street:
    """Lay out a street that takes `count` photos to walk round."""
    rng = np.random.default_rng(seed)
    side = count * _STEP_M / 4
    boxes = []
    for turn in range(4):
        along, place = -_HALF_STREET_M, []
        while along < side + _HALF_STREET_M:
            width, gap = rng.uniform(5, 9), rng.uniform(0.3, 2.0)
            back, depth, tall = rng.uniform(0, 1.5), rng.uniform(3, 6), rng.uniform(5, 12)
            outer = -_HALF_STREET_M - back
            place.append(([along, outer - depth, 0.0], [along + width, outer, tall]))
            if rng.random() < 0.7:  # something in front of it
                at, size = along + rng.uniform(1, width - 1), rng.uniform(0.4, 1.2, 3)
                place.append(([at, outer + 1.0, 0.0], [at + size[0], outer + 1 + size[1], size[2]]))
            along += width + gap
        boxes += [_turned(np.array(box), turn, side) for box in place]
    corners = np.sort(np.array(boxes), axis=1).astype(np.float32)  # [B, 2, 3]
    turn, size = rng.uniform(0, 2 * np.pi, (2, len(corners) + 1, _LAYERS))
    scale = _PIXELS_PER_M * (0.7 + 0.6 * size / (2 * np.pi))
    turned = np.stack([np.cos(turn), -np.sin(turn), np.sin(turn), np.cos(turn)], axis=-1)
    shift = rng.uniform(0, _TEXTURE, (*turn.shape, 2, 1))
    layers = np.concatenate([(scale[..., None] * turned).reshape(*turn.shape, 2, 2), shift], -1)
    walk = _walk(count, side, rng)
    return Street(corners[:, 0], corners[:, 1], layers.astype(np.float32), walk)


def _turned(points: NDArray[np.float64], turn: int, side: float) -> NDArray[np.float64]:
    """The same beside the next side of the square, whose middle stays."""
    angle = turn * np.pi / 2
    c, s = round(np.cos(angle)), round(np.sin(angle))
    turned = points.copy()
    middle = side / 2
    x, y = points[..., 0] - middle, points[..., 1] - middle
    turned[..., 0], turned[..., 1] = c * x - s * y + middle, s * x + c * y + middle
    return turned


def _walk(count: int, side: float, rng: np.random.Generator) -> NDArray[np.float64]:
    poses = np.tile(np.eye(4), (count, 1, 1))
    for number in range(count):
        turn, along = divmod(number * 4 / count, 1.0)
        near = min(along, 1 - along) * side / 4.0  # the walker turns over some metres
        heading = turn * np.pi / 2
        if near < 1.0:
            heading += (np.pi / 4) * (1 - near) * (1 if along > 0.5 else -1)
        eye = _turned(np.array([along * side, rng.normal(0, 0.1), _EYE_M]), int(turn), side)
        look = heading - np.radians(_ASIDE_DEG) + rng.normal(0, 0.02)
        forward = np.array([np.cos(look), np.sin(look), 0.08 + rng.normal(0, 0.01)])
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        poses[number, :3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
        poses[number, :3, 3] = eye
    return poses


def texture(seed: int = 1) -> list[Floats]:
    """A tile of bricks, spots and noise that fits itself, halved again and again, [S, S] each."""
    rng = np.random.default_rng(seed)
    tile = np.zeros((_TEXTURE, _TEXTURE), np.float32)
    for sigma, weight in ((1.5, 1.0), (4.0, 1.0), (12.0, 0.8)):
        layer = gaussian_filter(rng.normal(size=tile.shape), sigma, mode="wrap")
        tile += (weight * layer / layer.std()).astype(np.float32)
    for _ in range(900):
        y, x = rng.integers(0, _TEXTURE - 60, 2)
        h, w = rng.integers(6, 50, 2)
        tile[y : y + h, x : x + w] += rng.normal(0, 1.5)
    levels = [tile]
    while len(levels) < 6:
        last = levels[-1]
        levels.append(last.reshape(len(last) // 2, 2, -1, 2).mean(axis=(1, 3)))
    return levels


def render(
    place: Street, levels: list[Floats], number: int, width: int = WIDTH
) -> NDArray[np.uint8]:
    """One photo, [H, W, 3]."""
    pose = place.poses[number]
    eye = pose[:3, 3].astype(np.float32)
    height, focal_px = 3 * width // 4, 0.75 * width
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = np.stack([(x - width / 2) / focal_px, (y - height / 2) / focal_px, np.ones_like(x)])
    rays = (pose[:3, :3] @ rays.reshape(3, -1)).astype(np.float32)  # [3, R], z of length 1
    with np.errstate(divide="ignore"):
        inverse = 1 / rays
    depth = np.where(rays[2] < 0, -eye[2] * inverse[2], np.inf).astype(np.float32)
    depth[depth > _SEEN_M] = np.inf
    axis, box = np.full(len(depth), 2, np.int8), np.full(len(depth), -1, np.int32)
    for index in _near(place, pose):
        one = (place.low[index] - eye)[:, None] * inverse
        other = (place.high[index] - eye)[:, None] * inverse
        enters, leaves = np.minimum(one, other), np.maximum(one, other).min(axis=0)
        side = enters.argmax(axis=0)
        enters = enters.max(axis=0)
        hit = np.nonzero((enters < leaves) & (enters > 0.05) & (enters < depth))[0]
        depth[hit], axis[hit], box[hit] = enters[hit], side[hit], index
    picture = _shaded(place, levels, eye, rays, depth, axis, box, focal_px)
    return picture.reshape(height, width, 3)


def _near(place: Street, pose: NDArray[np.float64]) -> NDArray[np.intp]:
    """The boxes that the camera may see."""
    middle, reach = (place.low + place.high) / 2, np.linalg.norm(place.high - place.low, axis=1) / 2
    away = (middle - pose[:3, 3]) @ pose[:3, :3]
    ahead = (away[:, 2] > -reach) & (np.linalg.norm(away, axis=1) < _SEEN_M + reach)
    beside = np.abs(away[:, 0]) < 0.7 * away[:, 2] + 1.3 * reach
    return np.nonzero(ahead & beside)[0]


def _shaded(
    place: Street, levels: list[Floats], eye: Floats, rays: Floats, depth: Floats,
    axis: NDArray[np.int8], box: NDArray[np.int32], focal_px: float,
) -> NDArray[np.uint8]:  # fmt: skip
    picture = np.full((len(depth), 3), (200, 215, 235), np.float32)
    hit = np.nonzero(np.isfinite(depth))[0]
    at = eye[:, None] + rays[:, hit] * depth[hit]  # [3, H]
    u, v = np.where(axis[hit] == 0, at[1], at[0]), np.where(axis[hit] == 2, at[1], at[2])
    level = np.clip(np.log2(depth[hit] * _PIXELS_PER_M / focal_px), 0, len(levels) - 1).round()
    grey = np.zeros(len(hit), np.float32)
    for number, tile in enumerate(levels):
        mine = np.nonzero(level == number)[0]
        for layer in range(_LAYERS):
            lies = place.layers[box[hit[mine]], layer] / 2**number  # [M, 2, 3]
            x = lies[:, 0, 0] * u[mine] + lies[:, 0, 1] * v[mine] + lies[:, 0, 2]
            y = lies[:, 1, 0] * u[mine] + lies[:, 1, 1] * v[mine] + lies[:, 1, 2]
            grey[mine] += _bilinear(tile, x - 0.5, y - 0.5)
    grey = 125 + 25 * grey
    tint = 0.75 + 0.25 * np.cos(box[hit, None] * 2.4 + np.array([0.0, 2.1, 4.2]))
    light = np.array([0.85, 1.0, 0.92])[axis[hit]]
    picture[hit] = grey[:, None] * tint * light[:, None]
    return np.clip(picture, 0, 255).astype(np.uint8)


def _bilinear(tile: Floats, u: Floats, v: Floats) -> Floats:
    size = len(tile)
    x, y = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    a, b = (u - x).astype(np.float32), (v - y).astype(np.float32)
    x, x1, y, y1 = x % size, (x + 1) % size, y % size, (y + 1) % size
    top = tile[y, x] * (1 - a) + tile[y, x1] * a
    return np.asarray(top * (1 - b) + (tile[y1, x] * (1 - a) + tile[y1, x1] * a) * b)


def write_photos(folder: Path, count: int, width: int = WIDTH) -> None:
    """Render what is not there yet, and the true cameras beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    place, levels = street(count), texture()
    truth = folder.with_name(f"{folder.name}_poses.json")
    truth.write_text(json.dumps(place.poses.tolist()), encoding="utf-8")
    for number in range(count):
        path = folder / f"{number:05}.jpg"
        if not path.exists():
            partial = path.with_suffix(".part")
            Image.fromarray(render(place, levels, number, width)).save(partial, "JPEG", quality=92)
            partial.replace(path)
