"""Textured meshes read back from Wavefront OBJ, as other programs write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh

from maquette.errors import BadInput, NotFound
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.texture.textured_mesh import Page, TexturedMesh


def read_textured_obj(path: Path) -> TexturedMesh:
    """Read a mesh with its .mtl and pictures, in the file's own units and axes.

    A place beyond its page is taken back by whole pages, all corners of a face alike: some number
    pages so (UDIM).

    Raises:
        NotFound: there is no such file.
        BadInput: it is damaged, or a part of it has no picture.
    """
    if not path.is_file():
        raise NotFound(f"no mesh: `{path}`")
    try:
        parts = [
            part for part in trimesh.load_scene(path, process=False).geometry.values()
            if isinstance(part, trimesh.Trimesh) and len(part.faces)
        ]  # fmt: skip
        pages = [_page(part) for part in parts]
        places = [np.asarray(part.visual.uv, dtype=np.float64) for part in parts]
    except Exception as error:  # trimesh's readers raise whatever they stumble over
        raise BadInput(f"`{path.name}` is no textured mesh: {error!r}") from error
    if not parts:
        raise BadInput(f"`{path.name}` holds no triangles")
    starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    faces = [part.faces + start for part, start in zip(parts, starts, strict=False)]
    mesh = TriangleMesh(
        np.concatenate([part.vertices for part in parts]), np.concatenate(faces).astype(np.int32)
    )
    corners = np.concatenate(places)[mesh.faces]  # [F, 3, 2]
    corners -= np.floor(corners.mean(axis=1, keepdims=True))
    corners[..., 1] = 1.0 - corners[..., 1]
    numbers = np.arange(corners.shape[0] * 3, dtype=np.int32).reshape(-1, 3)
    page = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part.faces) for part in parts])
    return TexturedMesh(mesh, corners.reshape(-1, 2).astype(np.float32), numbers, page, pages)


def _page(part: trimesh.Trimesh) -> Page:
    """The picture of a part's material.

    Raises:
        ValueError: it has none.
    """
    image = getattr(part.visual.material, "image", None)
    if image is None:
        raise ValueError("a material without a picture")
    page: Page = np.asarray(image.convert("RGB"))
    return page
