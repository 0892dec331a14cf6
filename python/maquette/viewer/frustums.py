"""Cameras as pyramids: the lines that a page draws, as a glTF file, and which one a click hits."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maquette.scene.region import FloatArray
from maquette.scene.transforms import Intrinsics

_FACES = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 1], [1, 2, 3], [1, 3, 4]])
_EDGES = np.array([[0, 1], [0, 2], [0, 3], [0, 4], [1, 2], [2, 3], [3, 4], [4, 1]])
_EDGE_ON = 1e-12  # of a ray that lies in a face's plane
_LINES, _FLOAT = 1, 5126  # glTF's numbers for what to draw and of what type
_JSON, _BINARY = b"JSON", b"BIN\0"
_UNLIT = "KHR_materials_unlit"


def pyramids(
    world_from_cam: FloatArray, lenses: Sequence[Intrinsics], depth: float
) -> NDArray[np.float64]:
    """Corners of the cameras' pyramids: the camera, then its picture's corners, world units.

    Args:
        world_from_cam: [N, 4, 4].
        depth: How far in front of the camera the picture stands.
    Returns:
        [N, 5, 3].
    """
    edges = np.array(
        [
            [-lens.cx / lens.fl_x, (lens.width - lens.cx) / lens.fl_x,
             -lens.cy / lens.fl_y, (lens.height - lens.cy) / lens.fl_y]
            for lens in lenses
        ]
    )  # fmt: skip
    local = np.zeros((len(lenses), 5, 3))
    local[:, 1:, 0] = edges[:, [0, 1, 1, 0]]
    local[:, 1:, 1] = edges[:, [2, 2, 3, 3]]
    local[:, 1:, 2] = 1.0
    turned = np.einsum("nij,nkj->nki", world_from_cam[:, :3, :3], depth * local)
    return np.asarray(turned + world_from_cam[:, None, :3, 3])


def edges(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """The eight edges of each pyramid [N, 5, 3] as line segments [8 N, 2, 3]."""
    return corners[:, _EDGES].reshape(-1, 2, 3)


def first_hit(corners: NDArray[np.float64], origin: ArrayLike, direction: ArrayLike) -> int | None:
    """Which pyramid [N, 5, 3] a ray hits first, or None.

    Source: Möller and Trumbore, "Fast, minimum storage ray/triangle intersection", 1997; all
    triangles at once.
    """
    start, along = np.asarray(origin, np.float64), np.asarray(direction, np.float64)
    a, b, c = np.moveaxis(corners[:, _FACES], 2, 0)  # [N, 6, 3] each
    across = np.cross(along, c - a)
    volume = np.einsum("nfi,nfi->nf", b - a, across)
    flat = np.abs(volume) < _EDGE_ON
    scale = 1 / np.where(flat, 1.0, volume)
    off = start - a
    turned = np.cross(off, b - a)
    u = scale * np.einsum("nfi,nfi->nf", off, across)
    v = scale * (turned @ along)
    away = scale * np.einsum("nfi,nfi->nf", c - a, turned)
    hit = ~flat & (u >= 0) & (v >= 0) & (u + v <= 1) & (away > 0)
    if not hit.any():
        return None
    return int(np.where(hit, away, np.inf).min(axis=1).argmin())


def lines_glb(segments: NDArray[np.float64], color: tuple[int, int, int]) -> bytes:
    """Pack line segments into a binary glTF: one pixel wide and unlit, the cheapest to draw.

    Args:
        segments: [S, 2, 3], any unit; kept in single precision.
        color: Of all of them, sRGB, 0 to 255.
    Source: glTF 2.0 specification, sections 3 and 4.4.
    """
    places = np.ascontiguousarray(segments, "<f4").reshape(-1, 3)
    data = places.tobytes()
    document = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [
            {"primitives": [{"attributes": {"POSITION": 0}, "mode": _LINES, "material": 0}]}
        ],
        "materials": [
            {
                "pbrMetallicRoughness": {"baseColorFactor": [*_linear(color), 1.0]},
                "extensions": {_UNLIT: {}},
            }
        ],
        "extensionsUsed": [_UNLIT],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": _FLOAT,
                "count": len(places),
                "type": "VEC3",
                "min": places.min(axis=0).tolist(),
                "max": places.max(axis=0).tolist(),
            }
        ],
        "bufferViews": [{"buffer": 0, "byteLength": len(data)}],
        "buffers": [{"byteLength": len(data)}],
    }
    text = json.dumps(document).encode()
    chunks = _chunk(_JSON, text + b" " * (-len(text) % 4)) + _chunk(_BINARY, data)
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack("<I4s", len(content), kind) + content


def _linear(color: tuple[int, int, int]) -> list[float]:
    """An sRGB colour as glTF wants it, linear, 0 to 1."""
    shown = np.asarray(color) / 255
    dark = shown <= 0.04045
    return [float(x) for x in np.where(dark, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)]
