"""Binary glTF 2.0 (.glb), as browsers, Blender and phones show it.

Vertices stay in COLMAP world units. glTF wants +y up, so a node rotation turns the scene's up
direction there: viewers show it upright, and who reads the buffers finds world coordinates.
Colours are linear light in glTF (3.9.2 of the specification) and 16 bit, because 8 linear bits
band in the shadows. Whether cameras saw a vertex, where the mesh tells it, is the attribute
`_SEEN`, 1 or 0.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from maquette.recon.mesh.triangles import FloatArray, TriangleMesh
from maquette.recon.mesh.upright import rotation_between
from maquette.scene.atomic import replacing
from maquette.scene.color_space import linear_from_srgb

_FLOAT, _USHORT, _UINT = 5126, 5123, 5125
_ARRAY_BUFFER, _INDEX_BUFFER = 34962, 34963
_Y_UP = np.array([0.0, 1.0, 0.0])
_COLORS_AT_ONCE = 1 << 18


def write_glb(path: Path, mesh: TriangleMesh, up: FloatArray, name: str) -> None:
    """Write a mesh, world units; `up` [3] is the world direction that viewers show upwards."""
    buffers = _Buffers()
    positions = mesh.vertices.astype("<f4", copy=False)
    attributes = {"POSITION": buffers.add(positions, "VEC3", limits=True)}
    if mesh.normals is not None:
        attributes["NORMAL"] = buffers.add(mesh.normals.astype("<f4", copy=False), "VEC3")
    if mesh.colors is not None:
        attributes["COLOR_0"] = buffers.add(_linear_rgba(mesh.colors), "VEC4")
    if mesh.seen is not None:
        attributes["_SEEN"] = buffers.add(mesh.seen.astype("<f4"), "SCALAR")
    corners = np.ascontiguousarray(mesh.faces, dtype="<i4").view("<u4").ravel()
    indices = buffers.add(corners, "SCALAR", target=_INDEX_BUFFER)
    document = buffers.document | _scene(attributes, indices, up, name)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        _write_container(file, document, buffers)


class _Buffers:
    """The single buffer of a file, with one view and one accessor an array."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self.size = 0
        self._views: list[dict[str, Any]] = []
        self._accessors: list[dict[str, Any]] = []

    def add(
        self, array: np.ndarray, kind: str, *, limits: bool = False, target: int = _ARRAY_BUFFER
    ) -> int:
        """Append an array (every item a multiple of 4 bytes); return its accessor's number."""
        component = {"<f4": _FLOAT, "<u2": _USHORT, "<u4": _UINT}[array.dtype.str]
        accessor: dict[str, Any] = {
            "bufferView": len(self._views),
            "componentType": component,
            "count": len(array),
            "type": kind,
        }
        if component == _USHORT:
            accessor["normalized"] = True
        if limits:
            accessor |= {"min": array.min(axis=0).tolist(), "max": array.max(axis=0).tolist()}
        view = {"buffer": 0, "byteOffset": self.size, "byteLength": array.nbytes}
        self._views.append(view | {"target": target})
        self._accessors.append(accessor)
        self.arrays.append(np.ascontiguousarray(array))
        self.size += array.nbytes
        return len(self._accessors) - 1

    @property
    def document(self) -> dict[str, Any]:
        """The part of the JSON that describes the buffer."""
        return {
            "buffers": [{"byteLength": self.size}],
            "bufferViews": self._views,
            "accessors": self._accessors,
        }


def _scene(attributes: dict[str, int], indices: int, up: FloatArray, name: str) -> dict[str, Any]:
    turn = np.eye(4)
    turn[:3, :3] = rotation_between(up / np.linalg.norm(up), _Y_UP)
    return {
        "asset": {"version": "2.0", "generator": "maquette"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": name, "mesh": 0, "matrix": turn.T.ravel().tolist()}],  # by columns
        "meshes": [
            {
                "name": name,
                "primitives": [{"attributes": attributes, "indices": indices, "material": 0}],
            }
        ],
        "materials": [
            {
                "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.9},
                "doubleSided": True,
            }
        ],
    }


def _linear_rgba(srgb: FloatArray) -> np.ndarray:
    linear = np.full((len(srgb), 4), 65535, "<u2")
    for first in range(0, len(srgb), _COLORS_AT_ONCE):
        part = slice(first, first + _COLORS_AT_ONCE)
        linear[part, :3] = np.round(linear_from_srgb(srgb[part]) * 65535)
    return linear


def _write_container(file: BinaryIO, document: dict[str, Any], buffers: _Buffers) -> None:
    """Header, JSON chunk, binary chunk; each a multiple of 4 bytes, as every array is."""
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    file.write(struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + buffers.size))
    file.write(struct.pack("<II", len(text), 0x4E4F534A) + text)
    file.write(struct.pack("<II", buffers.size, 0x004E4942))
    for array in buffers.arrays:
        file.write(array.data)
