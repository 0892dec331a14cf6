"""Textured meshes that fit: faces joined, and pages made smaller.

The pages stay those of the whole mesh: each face that is left keeps the texture that lies there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image

from maquette.errors import BadInput
from maquette.recon.mesh.decimation import decimated
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.smaller_copies.carrying import with_texture_of
from maquette.recon.texture.publishing import fidelity
from maquette.recon.texture.textured_mesh import Page, TexturedMesh
from maquette.recon.views.views import Views
from maquette.scene import transforms
from maquette.scene.paths import Scene

QUALITY = 85  # of JPEG
_FILLED = 0.96  # of the limit, that is aimed at
_PAGES_SHARE = 0.4  # of the limit, that pages get at least where they need it
_LEAST_PAGE = 64  # pixels
_LEAST_FACES = 500
_JUDGED_PX = 1000  # long side of the photographs that tell what is lost
_TRIES = 6
Size = Callable[[TexturedMesh], int]


def smaller_textured(
    scene: Scene, whole: TexturedMesh, limit_bytes: int, size: Size
) -> tuple[TexturedMesh, float | None]:
    """A mesh whose file fits, and by how many dB it shows the photographs worse than the whole.

    Args:
        whole: World units.
        size: Writes a mesh and returns the bytes of the file; the last one written is returned.

    Raises:
        BadInput: it does not fit even with few faces and a coarse texture.
    """
    light = _with_fewer_faces(whole, limit_bytes, size)
    made = _with_smaller_pages(light, limit_bytes, size)
    views = Views(scene, transforms.read(scene.transforms).frames, _JUDGED_PX)
    before, after = (fidelity(one, views, _nobody)["psnr_inside_db"] for one in (whole, made))
    return made, None if before is None or after is None else round(before - after, 3)


def _with_fewer_faces(whole: TexturedMesh, limit_bytes: int, size: Size) -> TexturedMesh:
    """The mesh with so few faces that they leave room for the pages."""
    made, faces = whole, len(whole.corners)
    for _ in range(_TRIES):
        bare, all_ = size(_bare(made)), size(made)
        room = _FILLED * limit_bytes - min(all_ - bare, _PAGES_SHARE * limit_bytes)
        if all_ <= limit_bytes or bare <= room:
            return made
        faces = int(min(faces, len(made.corners)) * _FILLED * room / bare)
        if faces < _LEAST_FACES:
            break
        made = with_texture_of(whole, decimated(_joined(whole.mesh), faces))
    raise _too_large(whole, limit_bytes)


def _joined(mesh: TriangleMesh) -> TriangleMesh:
    """Vertices of one place as one, which a texture splits where its parts meet."""
    places, place = np.unique(mesh.vertices, axis=0, return_inverse=True)
    return TriangleMesh(places, place.astype(np.int32).ravel()[mesh.faces])


def _with_smaller_pages(made: TexturedMesh, limit_bytes: int, size: Size) -> TexturedMesh:
    """The mesh with pages so small that its file fits; written last."""
    bare, pages, scale = size(_bare(made)), made.pages, 1.0
    for _ in range(_TRIES):
        fitted = replace(made, pages=pages)
        all_ = size(fitted)
        if all_ <= limit_bytes:
            return fitted
        room = max(_FILLED * limit_bytes - bare, 0.0)
        scale *= float(np.sqrt(room / (all_ - bare)))
        if scale * max(max(page.shape[:2]) for page in made.pages) < _LEAST_PAGE:
            break
        pages = [_scaled(page, scale) for page in made.pages]
    raise _too_large(made, limit_bytes)


def _bare(textured: TexturedMesh) -> TexturedMesh:
    """The same with pages of one pixel: what its file takes without them."""
    return replace(textured, pages=[np.zeros((1, 1, 3), np.uint8) for _ in textured.pages])


def _scaled(page: Page, scale: float) -> Page:
    height, width = (max(1, round(scale * side)) for side in page.shape[:2])
    picture = Image.fromarray(page).resize((width, height), Image.Resampling.BOX)
    return np.asarray(picture)


def _too_large(whole: TexturedMesh, limit_bytes: int) -> BadInput:
    return BadInput(
        f"a textured mesh of {len(whole.corners):,} faces does not fit into {limit_bytes:,} bytes"
    )


def _nobody(done: int, total: int) -> None:
    """Progress that nobody reads."""
