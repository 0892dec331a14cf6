"""Cast one ray through each sample of a picture and shade what it meets.

Frame: stage coordinates (see framing.py). Light is computed linear, supersampled, and turned
into sRGB at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mesh.ray_casting import Hits, RayScene
from maquette.recon.pictures.framing import Staged
from maquette.scene.color_space import srgb_from_linear

FloatArray = NDArray[np.floating]
SUPERSAMPLING = 2
_FADE = (1.1, 1.7)  # focus radii from the axis, where the ground dissolves
_CLAY = np.array([0.58, 0.55, 0.52], np.float32)  # linear
_BACK = 0.45  # of the light on a face seen from behind: the mesh is open there, which is no fault


@dataclass(frozen=True)
class View:
    """A perspective camera that looks at a point near the stage's origin.

    Attributes:
        rotation: [3, 3], stage from camera; camera x right, y down, z forward.
        eye: [3], stage coordinates.
        tangent: Half the picture's width at depth 1.
        shift: Vertical offset of the picture's middle at depth 1.
        size: Picture's edge in pixels; pictures are square.
        near: Depth before which nothing is seen.
    """

    rotation: FloatArray
    eye: FloatArray
    tangent: float
    shift: float
    size: int
    near: float = 0.0

    def directions(self) -> FloatArray:
        """A direction [N, 3] through each sample, rows first, with depth 1."""
        count = self.size * SUPERSAMPLING
        line = ((np.arange(count) + 0.5) / count * 2 - 1) * self.tangent
        right, down, forward = self.rotation.T
        row = line[:, None] * right + forward  # [S, 3]
        column = (line + self.shift)[:, None] * down  # [S, 3]
        return np.asarray(column[:, None] + row, dtype=np.float32).reshape(-1, 3)


@dataclass(frozen=True)
class Materials:
    """What shading needs for each vertex, side by side so that one look-up fetches all.

    Attributes:
        table: [V, 4] or [V, 7] float32: normal in stage coordinates, openness 0..1 (how much
            of the sky is free) and, if known, colour in linear light.
    """

    table: NDArray[np.float32]

    @classmethod
    def of(cls, normals: FloatArray, openness: FloatArray, colors: FloatArray | None) -> Materials:
        """Join normals [V, 3], openness [V] and linear colours [V, 3]."""
        columns = [normals, openness[:, None]] + ([] if colors is None else [colors])
        return cls(np.concatenate(columns, axis=1, dtype=np.float32, casting="same_kind"))


def draw(
    view: View, staged: Staged, scene: RayScene, materials: Materials
) -> list[NDArray[np.uint8]]:
    """Pictures [size, size, 3] of one view: coloured, if there are colours, then as clay."""
    directions = view.directions()
    hits = scene.first_hits(view.eye + view.near * directions, directions)
    directions = directions[hits.ray]
    values = _blend(materials.table, hits, staged)  # [H, 4 or 7]
    cover = _cover(view.eye, directions, hits.depth + np.float32(view.near), staged.ground)
    inside = (hits.normal * directions).sum(axis=1) > 0
    normals = values[:, :3] / np.linalg.norm(values[:, :3], axis=1, keepdims=True).clip(1e-6)
    normals[inside] *= -1
    light, openness = _lambert(normals, view.rotation), values[:, 3]
    side = np.where(inside, np.float32(_BACK), np.float32(1.0))[:, None]
    pictures = [side * _CLAY * _clay_light(light, openness, normals)]
    if values.shape[1] > 4:
        lit = values[:, 4:] * (0.62 + 0.5 * light + 0.1 * openness)[:, None]
        pictures.insert(0, side * lit)
    return [_develop(shade, hits, cover, view.size) for shade in pictures]


def background(size: int) -> FloatArray:
    """Linear light behind the mesh, [S, S, 3] samples: a soft gradient of light greys."""
    column = np.linspace(0.86, 0.70, size * SUPERSAMPLING, dtype=np.float32)
    return np.broadcast_to(column[:, None, None], (len(column), len(column), 3)).copy()


def _blend(values: FloatArray, hits: Hits, staged: Staged) -> FloatArray:
    """Interpolate vertex values [V, C] at the hits, [H, C]."""
    corners = staged.mesh.faces[hits.face]  # [H, 3]
    blended = values[corners[:, 0]] * hits.weights[:, :1]
    blended += values[corners[:, 1]] * hits.weights[:, 1:2]
    blended += values[corners[:, 2]] * hits.weights[:, 2:]
    return blended


def _lambert(normals: FloatArray, rotation: FloatArray) -> FloatArray:
    """Light of a soft lamp over the viewer's left shoulder, [H] 0..1."""
    lamp = rotation @ (np.array([-0.45, -0.65, -0.75]) / np.linalg.norm([0.45, 0.65, 0.75]))
    wrapped: FloatArray = np.clip((normals @ lamp.astype(np.float32) + 0.25) / 1.25, 0.0, 1.0)
    return wrapped


def _clay_light(light: FloatArray, openness: FloatArray, normals: FloatArray) -> FloatArray:
    sky = 0.22 + 0.10 * normals[:, 2]
    total: FloatArray = (sky * openness + 0.85 * light * (0.45 + 0.55 * openness))[:, None]
    return total


def _cover(
    eye: FloatArray, directions: FloatArray, depth: FloatArray, ground: float | None
) -> FloatArray:
    """Opacity [H] of what was met: ground far from the subject dissolves, all else stays."""
    if ground is None:
        return np.ones(len(depth), np.float32)
    x, y, z = (np.float32(eye[axis]) + directions[:, axis] * depth for axis in range(3))
    faded = np.clip((_FADE[1] - np.hypot(x, y)) / (_FADE[1] - _FADE[0]), 0.0, 1.0)
    standing = np.clip((z - ground) / 0.15 - 0.5, 0.0, 1.0)
    return np.asarray(np.maximum(faded**2 * (3 - 2 * faded), standing))


def _develop(shade: FloatArray, hits: Hits, cover: FloatArray, size: int) -> NDArray[np.uint8]:
    """Lay shaded hits over the background, average the samples, turn into sRGB."""
    samples = background(size).reshape(-1, 3)
    behind = samples[hits.ray]
    samples[hits.ray] = behind + cover[:, None] * (np.clip(shade, 0, 1) - behind)
    grid = samples.reshape(size, SUPERSAMPLING, size, SUPERSAMPLING, 3)
    mean = sum(grid[:, i, :, j] for i, j in np.ndindex(SUPERSAMPLING, SUPERSAMPLING))
    return np.round(srgb_from_linear(mean / SUPERSAMPLING**2) * 255).astype(np.uint8)
