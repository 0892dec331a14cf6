"""Binary glTF 2.0 (.glb), as browsers, Blender and phones show it.

Vertices stay in COLMAP world units. glTF wants +y up, so a node rotation turns the scene's up
direction there: viewers show it upright, and who reads the buffers finds world coordinates.
Colours are linear light in glTF (3.9.2 of the specification) and 16 bit, because 8 linear bits
band in the shadows.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from maquette.recon.mesh.color_space import linear_from_srgb
from maquette.recon.mesh.triangles import FloatArray, TriangleMesh
from maquette.recon.mesh.upright import rotation_between
from maquette.scene.atomic import replacing

_FLOAT, _USHORT, _UINT = 5126, 5123, 5125
_ARRAY_BUFFER, _INDEX_BUFFER = 34962, 34963
_Y_UP = np.array([0.0, 1.0, 0.0])


def write_glb(path: Path, mesh: TriangleMesh, up: FloatArray, name: str) -> None:
    """Write a mesh, world units; `up` [3] is the world direction that viewers show upwards."""
    buffers = _Buffers()
    attributes = {"POSITION": buffers.add(mesh.vertices.astype("<f4"), "VEC3", limits=True)}
    if mesh.normals is not None:
        attributes["NORMAL"] = buffers.add(mesh.normals.astype("<f4"), "VEC3")
    if mesh.colors is not None:
        attributes["COLOR_0"] = buffers.add(_linear_rgba(mesh.colors), "VEC4")
    indices = buffers.add(mesh.faces.astype("<u4").ravel(), "SCALAR", target=_INDEX_BUFFER)
    document = buffers.document | _scene(attributes, indices, up, name)
    with replacing(path) as temporary:
        temporary.write_bytes(_container(document, bytes(buffers.content)))


class _Buffers:
    """The single buffer of a file, with one view and one accessor an array."""

    def __init__(self) -> None:
        self.content = bytearray()
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
        view = {"buffer": 0, "byteOffset": len(self.content), "byteLength": array.nbytes}
        self._views.append(view | {"target": target})
        self._accessors.append(accessor)
        self.content += array.tobytes()
        return len(self._accessors) - 1

    @property
    def document(self) -> dict[str, Any]:
        """The part of the JSON that describes the buffer."""
        return {
            "buffers": [{"byteLength": len(self.content)}],
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
    linear = np.round(linear_from_srgb(srgb) * 65535)
    return np.column_stack([linear, np.full(len(linear), 65535)]).astype("<u2")


def _container(document: dict[str, Any], content: bytes) -> bytes:
    """Header, JSON chunk, binary chunk; each padded to 4 bytes."""
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    content += b"\0" * (-len(content) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text
    chunks += struct.pack("<II", len(content), 0x004E4942) + content
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
