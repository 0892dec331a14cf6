"""Pinhole pictures, masks and cameras out of a model with lens distortion."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from maquette.recon.sfm import colmap
from maquette.recon.sfm.colmap import pycolmap

_JPEG_QUALITY = 96


def undistort(model: Path, pictures: Path, workspace: Path) -> None:
    """Write `images/` and `sparse/0` of a COLMAP workspace with PINHOLE cameras.

    The frame of the world, the poses and the points stay as they are. Several cameras keep
    their own intrinsics.
    """
    pycolmap.undistort_images(
        workspace, model, pictures, jpeg_quality=_JPEG_QUALITY, num_threads=colmap.threads()
    )
    made, target = workspace / "sparse", workspace / "sparse-0"
    made.replace(target)
    made.mkdir()
    target.replace(made / "0")
    shutil.rmtree(workspace / "stereo", ignore_errors=True)
    for script in workspace.glob("run-colmap-*.sh"):
        script.unlink()


def undistort_masks(model: Path, masks: dict[str, Path], folder: Path) -> list[Path]:
    """Warp the masks of posed pictures as their pictures were, by nearest neighbour.

    Args:
        masks: Picture name → mask file, of the picture's shape.
        folder: Where `<picture's stem>.png` are written.
    """
    reconstruction = pycolmap.Reconstruction(model)
    options = pycolmap.UndistortCameraOptions()
    options.warp_options.interpolation = pycolmap.WarpImageOptions.Interpolation.NEAREST_NEIGHBOR
    written = []
    for image in reconstruction.images.values():
        if image.name not in masks:
            continue
        camera = image.camera
        with Image.open(masks[image.name]) as mask:
            sized = mask.convert("L").resize(
                (camera.width, camera.height), Image.Resampling.NEAREST
            )
        bitmap = pycolmap.Bitmap.from_array(np.asarray(sized))
        straight, _ = pycolmap.undistort_image(options, bitmap, camera)
        target = folder / f"{Path(image.name).stem}.png"
        Image.fromarray(np.asarray(straight.to_array()).squeeze()).save(target)
        written.append(target)
    return written
