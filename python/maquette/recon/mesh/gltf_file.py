"""The parts of a binary glTF 2.0 file (.glb): one buffer, its views, and the container."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from maquette.errors import BadInput
from maquette.recon.mesh.triangles import FloatArray
from maquette.scene.atomic import replacing
from maquette.scene.georeference import Place, gltf_from_world

FLOAT, USHORT, UINT = 5126, 5123, 5125
ARRAY_BUFFER, INDEX_BUFFER = 34962, 34963
_LARGEST = 2**32 - 2**20  # bytes, but for the description
_JSON, _BINARY = 0x4E4F534A, 0x004E4942
_TYPES = {FLOAT: "<f4", USHORT: "<u2", UINT: "<u4"}


class TooLargeForGlb(BadInput):
    """What a .glb can not hold: its lengths are numbers of 32 bits."""


class Buffers:
    """The single buffer of a file, with a view for each part and an accessor for each array."""

    def __init__(self) -> None:
        self.parts: list[np.ndarray | bytes] = []
        self.size = 0
        self._views: list[dict[str, Any]] = []
        self._accessors: list[dict[str, Any]] = []

    def add(
        self, array: np.ndarray, kind: str, *, limits: bool = False, target: int = ARRAY_BUFFER
    ) -> int:
        """Append an array (every item a multiple of 4 bytes); return its accessor's number."""
        component = {"<f4": FLOAT, "<u2": USHORT, "<u4": UINT}[array.dtype.str]
        accessor: dict[str, Any] = {
            "bufferView": len(self._views),
            "componentType": component,
            "count": len(array),
            "type": kind,
        }
        if component == USHORT:
            accessor["normalized"] = True
        if limits:
            accessor |= {"min": array.min(axis=0).tolist(), "max": array.max(axis=0).tolist()}
        self._append(np.ascontiguousarray(array), array.nbytes, {"target": target})
        self._accessors.append(accessor)
        return len(self._accessors) - 1

    def add_file(self, content: bytes) -> int:
        """Append the bytes of a picture; return the number of its view."""
        self._append(content, len(content), {})
        padding = b"\0" * (-len(content) % 4)
        self.parts.append(padding)
        self.size += len(padding)
        return len(self._views) - 1

    @property
    def document(self) -> dict[str, Any]:
        """The part of the JSON that describes the buffer."""
        return {
            "buffers": [{"byteLength": self.size}],
            "bufferViews": self._views,
            "accessors": self._accessors,
        }

    def _append(self, part: np.ndarray | bytes, size: int, facts: dict[str, Any]) -> None:
        view = {"buffer": 0, "byteOffset": self.size, "byteLength": size}
        self._views.append(view | facts)
        self.parts.append(part)
        self.size += size


def scene_of(
    primitives: list[dict[str, Any]], materials: list[dict[str, Any]], up: FloatArray, name: str,
    place: Place | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The JSON of a scene with one mesh, turned so that world direction `up` [3] is +y.

    Args:
        place: Where it lies on Earth and how large it is; what is known there is told as extras.
    """
    known = place or Place()
    matrix = gltf_from_world(np.asarray(up, dtype=np.float64), known)
    node = {"name": name, "mesh": 0, "matrix": matrix.T.ravel().tolist()}  # by columns
    if extras := known.as_extras():
        node["extras"] = extras
    return {
        "asset": {"version": "2.0", "generator": "maquette"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [node],
        "meshes": [{"name": name, "primitives": primitives}],
        "materials": materials,
    }


def write_file(path: Path, scene: dict[str, Any], buffers: Buffers) -> None:
    """Write a file, whole or not at all.

    Raises:
        TooLargeForGlb: it would have 4 GiB or more.
    """
    if buffers.size >= _LARGEST:
        raise TooLargeForGlb(
            f"`{path.name}` would have {buffers.size / 2**30:.1f} GiB, a .glb holds less than 4",
            hint="the .ply holds all of it; a lower RESOLUTION gives a smaller mesh",
        )
    with replacing(path) as temporary, open(temporary, "wb") as file:
        _write_container(file, buffers.document | scene, buffers)


def _write_container(file: BinaryIO, document: dict[str, Any], buffers: Buffers) -> None:
    """Header, JSON chunk, binary chunk; each a multiple of 4 bytes, as every part is."""
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    file.write(struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + buffers.size))
    file.write(struct.pack("<II", len(text), _JSON) + text)
    file.write(struct.pack("<II", buffers.size, _BINARY))
    for part in buffers.parts:
        file.write(part if isinstance(part, bytes) else part.data)


class StoredFile:
    """A .glb file that `write_file` wrote, or one of that form.

    Raises:
        BadInput: it is not, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path, content = path, path.read_bytes()
        try:
            magic, _, _, length, kind = struct.unpack_from("<4sIIII", content)
            if magic != b"glTF" or kind != _JSON:
                raise ValueError("no glTF container")
            self.document: dict[str, Any] = json.loads(content[20 : 20 + length])
            size, kind = struct.unpack_from("<II", content, 20 + length)
            self._buffer = memoryview(content)[28 + length : 28 + length + size]
            if kind != _BINARY or len(self._buffer) != size:
                raise ValueError("its buffer is cut off")
        except (ValueError, struct.error) as error:
            raise BadInput(f"`{path.name}` is not a usable .glb: {error}") from error

    def array(self, accessor: int) -> np.ndarray:
        """The values of an accessor, [N] or [N, C]."""
        facts = self.document["accessors"][accessor]
        values = np.frombuffer(self.file(facts["bufferView"]), _TYPES[facts["componentType"]])
        return values if facts["type"] == "SCALAR" else values.reshape(facts["count"], -1)

    def file(self, view: int) -> memoryview:
        """The bytes of a view of the buffer."""
        facts = self.document["bufferViews"][view]
        first = facts.get("byteOffset", 0)
        return self._buffer[first : first + facts["byteLength"]]
