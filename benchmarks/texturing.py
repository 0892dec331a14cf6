"""How near to held-out photographs does a textured mesh come, and what does it cost?

    .venv/bin/python benchmarks/texturing.py --scene scenes/owl --mesh mesh.ply [--json]

Every 8th photograph is left out of texturing and judges it, inside the mesh. Vertex colours are
means over the views of the faces around, on the same mesh. The small size is `make evaluate`'s.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maquette.recon.evaluate.views import LONG_SIDE_PX, Pair, render_pairs
from maquette.recon.mesh.ray_casting import Hits
from maquette.recon.mesh.reading import read_mesh
from maquette.recon.texture.candidates import gather
from maquette.recon.texture.options import TexturingOptions
from maquette.recon.texture.renderer import TexturedRenderer
from maquette.recon.texture.textured_mesh import TexturedMesh
from maquette.recon.texture.texturing import texture_mesh
from maquette.recon.texture.vertex_colors import colored_vertices
from maquette.recon.views.split import split
from maquette.recon.views.views import Views
from maquette.scene import transforms
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame
from rows import Row, print_rows

VARIANTS = {
    "texture": TexturingOptions(),
    "mean of ten": TexturingOptions(sigma_px=0.01),
    "one photo": TexturingOptions(mixed_views=1),
    "one photo, no levelling": TexturingOptions(mixed_views=1, level=False),
    "one photo, no blending": TexturingOptions(mixed_views=1, blend=False),
    "no compensation": TexturingOptions(compensate=False),
    "outliers kept": TexturingOptions(drop_outliers=False),
}


class VertexColorRenderer(TexturedRenderer):
    """The same mesh with a colour for each vertex."""

    def __init__(self, textured: TexturedMesh, colors: NDArray[np.float32]) -> None:
        super().__init__(textured)
        self._vertex_colors, self._faces = colors, textured.mesh.faces

    def _colors(self, hits: Hits) -> NDArray[np.float32]:
        corners = self._vertex_colors[self._faces[hits.face]]
        return np.einsum("nk,nkc->nc", hits.weights, corners)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scene", type=Path, required=True)
    parser.add_argument("--mesh", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--variants", action="store_true", help="also without each of its parts")
    arguments = parser.parse_args()
    scene = Scene(arguments.scene.resolve())
    kept, held_out = split(transforms.read(scene.transforms).frames)
    views, mesh = Views(scene, kept), read_mesh(arguments.mesh)
    rows = []
    for name, options in VARIANTS.items():
        start = time.process_time()
        made = texture_mesh(mesh, views, options)
        rows.append(Row(name, "maquette", "cpu", time.process_time() - start, "s"))
        rows += judged(name, scene, TexturedRenderer(made.textured), held_out)
        if name == "texture":
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            rows.append(Row(name, "maquette", "peak memory", peak, "GB"))
            colors = colored_vertices(mesh, gather(mesh, views, lambda done, total: None))
            renderer = VertexColorRenderer(made.textured, colors)
            rows += judged("vertex colours", scene, renderer, held_out)
        if not arguments.variants:
            break
    print_rows(rows, arguments.json)


def judged(name: str, scene: Scene, renderer: TexturedRenderer, frames: list[Frame]) -> list[Row]:
    """PSNR and SSIM at the photographs' own size and at that of `make evaluate`."""
    views = Views(scene, frames)
    own = [
        Pair(frame.file_path, views.image(n) / 255.0, renderer.render(frame).astype(np.float64))
        for n, frame in enumerate(views.frames)
    ]
    rows = []
    small = render_pairs(scene, renderer, frames)
    for size, pairs in (("own size", own), (f"{LONG_SIDE_PX} px", small)):
        psnr, ssim = (np.nanmean([getattr(p, k) for p in pairs]) for k in ("psnr_db", "ssim"))
        rows.append(Row(name, "maquette", f"PSNR, {size}", float(psnr), "dB"))
        rows.append(Row(name, "maquette", f"SSIM, {size}", float(ssim), ""))
    return rows


if __name__ == "__main__":
    main()
