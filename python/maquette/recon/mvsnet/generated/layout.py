"""What stands where in a generated scene, decided by a seed.

Depths are laid in the first camera's frame with the nearest at about 1 and the farthest at the
scene's ratio; then all of it is turned, shifted and scaled, so that no network learns the frame.
Solid coordinates of the patterns are those of each shape before it was placed, in features.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mvsnet.generated.cameras import poses_around, random_rotation, turned
from maquette.recon.mvsnet.generated.materials import Material, feature_size, random_material
from maquette.recon.mvsnet.generated.shapes import (
    Shape,
    box,
    displaced,
    moved,
    panel,
    superquadric,
)

Floats = NDArray[np.float64]
_RATIO = (2.0, 20.0)  # of the largest depth to the least
_FOCAL = (0.8, 1.5)  # widths of the picture
_OBJECTS = (5, 16)
_CLEARANCE = 0.45  # between cameras and surfaces; the nearest depth is 1
_SURROUNDINGS = (0.6, 0.85)  # up to here rooms, up to there walls with relief, then open ground


@dataclass(frozen=True)
class Layout:
    """A scene before it is rendered; world frame.

    Attributes:
        vertices, normals: [V, 3] float32.
        coordinates: [V, 3] float32: where the pattern is read, in features.
        faces: [F, 3] int32; material: [F] int32, the row of `materials`.
        materials: [M, 12] float32, see `Material.row`.
        poses: [N, 4, 4] world_from_cam; all cameras have the same lens.
        focal: Focal length in widths of the picture.
        light: [3], where the light is; ambient: its share that comes from everywhere.
        sky: [3], the colour where nothing is.
    """

    vertices: NDArray[np.float32]
    normals: NDArray[np.float32]
    coordinates: NDArray[np.float32]
    faces: NDArray[np.int32]
    material: NDArray[np.int32]
    materials: NDArray[np.float32]
    poses: Floats
    focal: float
    light: Floats
    ambient: float
    sky: Floats


@dataclass
class _Parts:
    """Shapes so far."""

    shapes: list[Shape] = field(default_factory=list)
    coordinates: list[Floats] = field(default_factory=list)
    material: list[NDArray[np.int32]] = field(default_factory=list)
    materials: list[Material] = field(default_factory=list)

    def add(
        self, shape: Shape, placed: Shape, feature: float, materials: list[Material],
        random: np.random.Generator,
    ) -> None:  # fmt: skip
        """Take a shape, its vertices once placed, and materials that its faces share evenly."""
        first, count = len(self.materials), len(shape.faces)
        self.coordinates.append(shape.vertices / feature + random.uniform(0, 50, 3))
        self.material.append((first + np.arange(count) * len(materials) // count).astype(np.int32))
        self.materials += materials
        self.shapes.append(placed)


def lay_out(seed: int, views: int, width: int) -> Layout:
    """Decide a scene.

    Args:
        views: How many cameras, the first of them in the middle of the others.
        width: Of the pictures, pixels: features of patterns are some pixels wide.
    """
    random = np.random.default_rng([seed, 7])
    ratio = float(np.exp(random.uniform(*np.log(_RATIO))))
    focal = random.uniform(*_FOCAL)
    target = 2 / (1 + 1 / ratio) * random.uniform(0.85, 1.3)
    poses = poses_around(target, views, random)
    pixel = 1 / (focal * width)  # at depth 1
    parts = _Parts()
    _add_surroundings(parts, ratio, poses, pixel, focal, random)
    for _ in range(int(random.integers(*_OBJECTS))):
        _add_object(parts, ratio, poses, pixel, focal, random)
    light = np.array(
        [random.uniform(-1.5, 1.5), random.uniform(-1.5, 0.5), random.uniform(-0.5, 0)]
    )
    return _joined(parts, poses, focal, light, random)


def _add_surroundings(
    parts: _Parts, ratio: float, poses: Floats, pixel: float, focal: float,
    random: np.random.Generator,
) -> None:  # fmt: skip
    kind = random.random()
    reach = np.abs(poses[:, :3, 3]).max(0) + 2 * _CLEARANCE  # of the cameras
    half_view = 0.5 / focal * ratio
    feature = feature_size(pixel * ratio, random)
    tilt = turned(random.uniform(-30, 30), random.uniform(-12, 12))
    if kind < _SURROUNDINGS[0]:
        half = np.maximum(half_view * random.uniform(0.45, 1.1, 3), 1.6 * reach)
        half[2] = 0.5 * (ratio * random.uniform(0.75, 1.0) + 2.5 * reach[2])
        shape = box(half)
        middle = np.array([0.0, 0.0, half[2] - 1.5 * reach[2]])
        placed = moved(shape, tilt, tilt @ middle)
        parts.add(shape, placed, feature, [random_material(random) for _ in range(6)], random)
    elif kind < _SURROUNDINGS[1]:
        side = 3.5 * half_view + reach[:2].max()
        shape = panel(side, side)
        relief = displaced(shape, 0.06 * ratio, random.uniform(0.4, 1.5) * half_view, random)
        placed = moved(relief, tilt, np.array([0.0, 0.0, 0.85 * ratio]))
        parts.add(relief, placed, feature, [random_material(random)], random)
    else:
        shape = displaced(panel(1.5 * ratio, 1.5 * ratio), 0.02 * ratio, ratio, random)
        lying = turned(0, 90 + random.uniform(-8, 4))
        shift = np.array([0.0, reach[1] + 0.1 * ratio, 0.5 * ratio])
        placed = moved(shape, lying, shift)
        parts.add(shape, placed, 0.3 * feature, [random_material(random)], random)


def _add_object(
    parts: _Parts, ratio: float, poses: Floats, pixel: float, focal: float,
    random: np.random.Generator,
) -> None:  # fmt: skip
    """One more thing in front of the first camera, unless it would touch a camera."""
    depth = 1 / random.uniform(1 / ratio, 0.8)
    spot = np.array([*(random.uniform(-0.55, 0.55, 2) / focal * depth), depth])
    size = depth * random.uniform(0.06, 0.26) / focal
    shape, reach = _any_shape(size, random)
    if (np.linalg.norm(poses[:, :3, 3] - spot, axis=1) < reach + _CLEARANCE).any():
        return
    placed = moved(shape, random_rotation(random), spot)
    feature = feature_size(pixel * depth, random)
    parts.add(shape, placed, feature, [random_material(random)], random)


def _any_shape(size: float, random: np.random.Generator) -> tuple[Shape, float]:
    """A shape, and how far it reaches from its middle."""
    kind = random.random()
    axes = size * random.uniform(0.45, 1.0, 3)
    if kind < 0.2:
        return box(axes), float(np.linalg.norm(axes))
    if kind < 0.42:
        axes = size * np.array([*random.uniform(0.03, 0.1, 2), random.uniform(1.0, 3.0)])
        return superquadric((0.1, random.choice([0.1, 1.0])), axes, 8, 16), float(axes[2])
    if kind < 0.52:
        sheet = panel(axes[0], axes[1], 24)
        return displaced(sheet, random.uniform(0, 0.12) * size, size, random), 1.5 * size
    rounding = (random.uniform(0.2, 1.8), random.uniform(0.2, 1.8))
    shape = superquadric(rounding, axes)
    if random.random() < 0.6:
        shape = displaced(shape, random.uniform(0.02, 0.1) * size, 1.5 * size, random)
    return shape, 2.0 * size


def _joined(
    parts: _Parts, poses: Floats, focal: float, light: Floats, random: np.random.Generator
) -> Layout:
    """All parts as one mesh, in a world that is turned, shifted and scaled."""
    scale = float(np.exp(random.uniform(np.log(0.3), np.log(30))))
    turn, shift = random_rotation(random), random.uniform(-3, 3, 3)

    def world(points: Floats) -> Floats:
        return scale * (points @ turn.T + shift)

    starts = np.cumsum([0, *(len(shape.vertices) for shape in parts.shapes)])
    faces = [shape.faces + start for shape, start in zip(parts.shapes, starts, strict=False)]
    placed = poses.copy()
    placed[:, :3, :3] = turn @ poses[:, :3, :3]
    placed[:, :3, 3] = world(poses[:, :3, 3])
    return Layout(
        world(np.concatenate([shape.vertices for shape in parts.shapes])).astype(np.float32),
        (np.concatenate([shape.normals for shape in parts.shapes]) @ turn.T).astype(np.float32),
        np.concatenate(parts.coordinates).astype(np.float32),
        np.concatenate(faces).astype(np.int32),
        np.concatenate(parts.material),
        np.stack([material.row() for material in parts.materials]).astype(np.float32),
        placed, focal, world(light), random.uniform(0.25, 0.6), random.uniform(0.3, 1.0, 3),
    )  # fmt: skip
