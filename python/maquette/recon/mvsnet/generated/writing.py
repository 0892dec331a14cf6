"""Generated scenes as folders that programs of learned stereo read, in BlendedMVS's names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from maquette.recon.mvs.neighbours import write_pairs
from maquette.recon.mvsnet import pfm
from maquette.recon.mvsnet.folder_form import CAMERAS, PAIRS, view_file, write_camera
from maquette.recon.mvsnet.generated.pairs import choose_pairs
from maquette.recon.mvsnet.generated.scenes import GeneratedScene
from maquette.recon.pictures.depth_maps import sheet
from maquette.scene.atomic import replacing

IMAGES, DEPTHS = "blended_images", "rendered_depth_maps"
_QUALITY = 98  # of JPEG: the scene's own noise and compression are in the pixels already
_SHOWN = 4


def write_scene(folder: Path, scene: GeneratedScene) -> None:
    """Write pictures, depth maps, cameras and `cams/pair.txt`, and a picture of some views."""
    pictures = (scene.images.permute(0, 2, 3, 1).cpu().numpy() * 255).round().astype(np.uint8)
    depths = scene.depths.cpu().numpy()
    for number, frame in enumerate(scene.frames):
        with replacing(view_file(folder / IMAGES, number, ".jpg")) as temporary:
            Image.fromarray(pictures[number]).save(temporary, quality=_QUALITY, subsampling=0)
        pfm.write(view_file(folder / DEPTHS, number, ".pfm"), depths[number])
        low, high = scene.ranges[number]
        write_camera(folder / CAMERAS, number, frame, (float(low), float(high)))
    write_pairs(folder / CAMERAS / PAIRS, choose_pairs(scene))
    with replacing(folder / "views.png") as temporary:
        shown = slice(0, _SHOWN)
        sheet(list(pictures[shown]), list(depths[shown])).save(temporary, format="PNG")
