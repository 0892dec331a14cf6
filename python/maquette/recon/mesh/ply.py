"""Binary PLY: vertices with normals and colours, as MeshLab, Blender and Open3D read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from maquette.recon.mesh.triangles import TriangleMesh
from maquette.scene.atomic import replacing


def write_ply(path: Path, mesh: TriangleMesh, comments: tuple[str, ...] = ()) -> None:
    """Write a mesh: float32 coordinates and normals, 8-bit sRGB colours; whole or not at all."""
    vertices, faces = _vertex_table(mesh), _face_table(mesh)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(_header(vertices, len(faces), comments).encode("ascii", "replace"))
        file.write(vertices.tobytes())
        file.write(faces.tobytes())


def _vertex_table(mesh: TriangleMesh) -> np.ndarray:
    fields = [(name, "<f4") for name in ("x", "y", "z")]
    columns = [*mesh.vertices.T]
    if mesh.normals is not None:
        fields += [(name, "<f4") for name in ("nx", "ny", "nz")]
        columns += [*mesh.normals.T]
    if mesh.colors is not None:
        fields += [(name, "u1") for name in ("red", "green", "blue")]
        columns += [*np.round(np.clip(mesh.colors, 0, 1) * 255).T]
    table = np.empty(len(mesh.vertices), dtype=fields)
    for (name, _), column in zip(fields, columns, strict=True):
        table[name] = column
    return table


def _face_table(mesh: TriangleMesh) -> np.ndarray:
    table = np.empty(len(mesh.faces), dtype=[("count", "u1"), ("index", "<i4", 3)])
    table["count"] = 3
    table["index"] = mesh.faces
    return table


def _header(vertices: np.ndarray, face_count: int, comments: tuple[str, ...]) -> str:
    types = {"<f4": "float", "|u1": "uchar"}
    names = vertices.dtype.names or ()
    properties = [f"property {types[vertices.dtype[name].str]} {name}" for name in names]
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        *(f"comment {comment}" for comment in comments),
        f"element vertex {len(vertices)}",
        *properties,
        f"element face {face_count}",
        "property list uchar int vertex_indices",
        "end_header",
    ]
    return "\n".join(lines) + "\n"
