"""Wavefront OBJ: vertices, with colours after the coordinates as MeshLab and Blender read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from maquette.recon.mesh.triangles import TriangleMesh, face_chunks
from maquette.scene.atomic import replacing

_ROWS_AT_ONCE = 1 << 16


def write_obj(path: Path, mesh: TriangleMesh, comments: tuple[str, ...] = ()) -> None:
    """Write a mesh, whole or not at all; seven digits, as float32 has."""
    rows = mesh.vertices
    form = "v %.7g %.7g %.7g\n"
    if mesh.colors is not None:
        rows, form = np.concatenate([rows, mesh.colors], axis=1), "v" + " %.7g" * 3 + " %.4g" * 3
        form += "\n"
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.writelines(f"# {comment}\n" for comment in comments)
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            part = rows[first : first + _ROWS_AT_ONCE]
            file.write(form * len(part) % tuple(part.ravel().tolist()))
        for faces in face_chunks(mesh):
            for first in range(0, len(faces), _ROWS_AT_ONCE):
                numbers = faces[first : first + _ROWS_AT_ONCE] + 1
                file.write("f %d %d %d\n" * len(numbers) % tuple(numbers.ravel().tolist()))
