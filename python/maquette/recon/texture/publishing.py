"""The files of a textured mesh, and how near it comes to the photographs that it was made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from maquette.recon.mesh.triangles import vertex_normals
from maquette.recon.mesh.upright import up_direction
from maquette.recon.texture.gltf import write_textured_glb
from maquette.recon.texture.obj import write_textured_obj
from maquette.recon.texture.renderer import TexturedRenderer
from maquette.recon.texture.textured_mesh import TexturedMesh
from maquette.recon.views.views import Views
from maquette.scene.georeference import Place
from maquette.scene.transforms import Frame

_JUDGES = 6  # photographs
_LEAST_ERROR = 1e-10


def write_files(
    textured: TexturedMesh, frames: Sequence[Frame], obj: Path, glb: Path, name: str,
    place: Place | None = None,
) -> list[Path]:  # fmt: skip
    """Write `obj` with its .mtl and pages, and `glb`; return all of them.

    Pages of an earlier texture that had more of them go. `place` sets the .glb upright, and in
    metres where these are known.
    """
    if textured.mesh.normals is None:
        mesh = replace(textured.mesh, normals=vertex_normals(textured.mesh))
        textured = replace(textured, mesh=mesh)
    files = write_textured_obj(obj, textured)
    up = up_direction(frames, place.up if place else None)
    write_textured_glb(glb, textured, up, name, place)
    known = {path.name for path in files}
    for path in [obj.with_suffix(".png"), *obj.parent.glob(f"{obj.stem}_*.png")]:
        number = path.stem.removeprefix(obj.stem).removeprefix("_")
        if path.name not in known and (number.isdigit() or not number):
            path.unlink(missing_ok=True)
    return [*files, glb]


def shortfall(numbers: dict[str, Any]) -> str:
    """What to say of a texture that holds less than the photos give; "" where it holds all."""
    scale = numbers["texels_per_pixel"]
    if scale >= 1.0:
        return ""
    return (
        f"the texture holds {scale:.0%} of the photos' resolution; a larger TEXTURE_SIZE or "
        "more TEXTURE_PAGES keep more"
    )


def fidelity(
    textured: TexturedMesh, views: Views, told: Callable[[int, int], None]
) -> dict[str, Any]:
    """PSNR of some photographs inside the mesh, which also made it, and what the mesh covers."""
    renderer = TexturedRenderer(textured)
    errors, shares = [], []
    chosen = np.unique(np.linspace(0, len(views) - 1, min(_JUDGES, len(views))).round().astype(int))
    for done, number in enumerate(chosen):
        drawn, photo = renderer.render(views.frames[number]), views.image(number) / 255.0
        shown = np.isfinite(drawn).all(axis=2)
        shares.append(float(shown.mean()))
        if shown.any():
            errors.append(float(((drawn - photo)[shown] ** 2).mean()))
        told(done + 1, len(chosen))
    psnr = [-10 * np.log10(max(error, _LEAST_ERROR)) for error in errors]
    return {
        "psnr_inside_db": round(float(np.mean(psnr)), 2) if psnr else None,
        "covered_share": round(float(np.mean(shares)), 4),
    }
