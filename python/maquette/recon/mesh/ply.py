"""Binary PLY: vertices with normals and colours, as MeshLab, Blender and Open3D read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from maquette.recon.mesh.triangles import FaceArray, TriangleMesh, face_chunks
from maquette.scene.atomic import replacing

_ROWS_AT_ONCE = 1 << 18


def write_ply(path: Path, mesh: TriangleMesh, comments: tuple[str, ...] = ()) -> None:
    """Write a mesh, whole or not at all: float32 coordinates and normals, 8-bit sRGB colours.

    What cameras saw, where the mesh tells it, is `seen`, 1 or 0.
    """
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(_header(mesh, comments).encode("ascii", "replace"))
        for first in range(0, len(mesh.vertices), _ROWS_AT_ONCE):
            file.write(_vertex_table(mesh, slice(first, first + _ROWS_AT_ONCE)).data)
        for faces in face_chunks(mesh):
            file.write(_face_table(faces).data)


def _columns(mesh: TriangleMesh) -> list[tuple[str, str]]:
    """Names and types of what is stored for a vertex."""
    columns = [(name, "<f4") for name in ("x", "y", "z")]
    if mesh.normals is not None:
        columns += [(name, "<f4") for name in ("nx", "ny", "nz")]
    if mesh.colors is not None:
        columns += [(name, "u1") for name in ("red", "green", "blue")]
    if mesh.seen is not None:
        columns.append(("seen", "u1"))
    return columns


def _vertex_table(mesh: TriangleMesh, part: slice) -> np.ndarray:
    values = [*mesh.vertices[part].T]
    if mesh.normals is not None:
        values += [*mesh.normals[part].T]
    if mesh.colors is not None:
        values += [*np.round(np.clip(mesh.colors[part], 0, 1) * 255).T]
    if mesh.seen is not None:
        values.append(mesh.seen[part])
    columns = _columns(mesh)
    table = np.empty(len(values[0]), dtype=columns)
    for (name, _), column in zip(columns, values, strict=True):
        table[name] = column
    return table


def _face_table(faces: FaceArray) -> np.ndarray:
    table = np.empty(len(faces), dtype=[("count", "u1"), ("index", "<i4", 3)])
    table["count"] = 3
    table["index"] = faces
    return table


def _header(mesh: TriangleMesh, comments: tuple[str, ...]) -> str:
    types = {"<f4": "float", "u1": "uchar"}
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        *(f"comment {comment}" for comment in comments),
        f"element vertex {len(mesh.vertices)}",
        *(f"property {types[kind]} {name}" for name, kind in _columns(mesh)),
        f"element face {len(mesh.faces)}",
        "property list uchar int vertex_indices",
        "end_header",
    ]
    return "\n".join(lines) + "\n"
