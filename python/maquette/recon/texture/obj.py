"""Textured meshes as Wavefront OBJ, with a material and a PNG for each page.

In OBJ v runs upwards from the bottom of the picture. World units, COLMAP's axes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maquette.recon.texture.textured_mesh import TexturedMesh
from maquette.scene.atomic import replacing, write_text

_ROWS_AT_ONCE = 1 << 16
_PNG_LEVEL = 3  # of compression


def write_textured_obj(path: Path, textured: TexturedMesh) -> list[Path]:
    """Write a mesh beside its .mtl and pages; return all files, the .obj first.

    The .obj comes last onto the disk, so that who finds one finds all that it names.
    """
    names = page_names(path.stem, len(textured.pages))
    pages = [path.with_name(name) for name in names]
    for page, picture in zip(textured.pages, pages, strict=True):
        with replacing(picture) as temporary:
            Image.fromarray(page).save(temporary, compress_level=_PNG_LEVEL)
    materials = path.with_suffix(".mtl")
    write_text(materials, "\n".join(_material(number, name) for number, name in enumerate(names)))
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.writelines(_lines(textured, materials.name))
    return [path, materials, *pages]


def page_names(stem: str, count: int) -> list[str]:
    """File names of pages: `textured.png`, or `textured_1.png` and so on."""
    if count == 1:
        return [f"{stem}.png"]
    return [f"{stem}_{number + 1}.png" for number in range(count)]


def _material(number: int, picture: str) -> str:
    return f"newmtl page_{number + 1}\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {picture}\n"


def _lines(textured: TexturedMesh, materials: str) -> Iterator[str]:
    mesh = textured.mesh
    yield f"# maquette; COLMAP world units\nmtllib {materials}\n"
    yield from _rows("v %.7g %.7g %.7g\n", mesh.vertices)
    upwards = textured.coordinates.astype(np.float64) * [1, -1] + [0, 1]
    yield from _rows("vt %.7f %.7f\n", upwards)
    if mesh.normals is not None:
        yield from _rows("vn %.4f %.4f %.4f\n", mesh.normals)
    for number in range(len(textured.pages)):
        chosen = textured.page_of_face == number
        yield f"usemtl page_{number + 1}\n"
        faces, corners = mesh.faces[chosen] + 1, textured.corners[chosen] + 1
        with_normals = mesh.normals is not None
        parts = (faces, corners, faces) if with_normals else (faces, corners)
        corner = "/".join(["%d"] * len(parts))
        numbers = np.stack(parts, axis=2).reshape(len(faces), -1)
        yield from _rows(f"f {corner} {corner} {corner}\n", numbers)


def _rows(form: str, rows: NDArray[Any]) -> Iterator[str]:
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[first : first + _ROWS_AT_ONCE]
        yield (form * len(part)) % tuple(part.ravel().tolist())
