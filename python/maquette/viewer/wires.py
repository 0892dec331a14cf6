"""Lines as a binary glTF: one pixel wide and unlit, the cheapest that a page can draw."""

from __future__ import annotations

import json
import struct

import numpy as np
from numpy.typing import NDArray

_LINES, _FLOAT = 1, 5126  # glTF's numbers for what to draw and of what type
_JSON, _BINARY = b"JSON", b"BIN\0"
_UNLIT = "KHR_materials_unlit"


def glb(segments: NDArray[np.float64], color: tuple[int, int, int]) -> bytes:
    """Pack line segments into a file.

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
