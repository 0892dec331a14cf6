"""Pinhole pictures, masks and cameras out of a model with lens distortion."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maquette.recon.sfm import colmap
from maquette.recon.sfm.colmap import pycolmap

_AGAIN = "run `make prepare` with FORCE_STAGE=poses"
_JPEG_QUALITY = 96
_TRACE = 1e-7  # of distortion: far less than a pixel, yet COLMAP warps pictures for it
_FISHEYE = "FISHEYE"


def undistort(model: Path, pictures: Path, workspace: Path) -> None:
    """Write `images/` and `sparse/0` of a COLMAP workspace with PINHOLE cameras.

    The frame of the world, the poses and the points stay as they are. Several cameras keep
    their own intrinsics.
    """
    clear = workspace / "clear"
    clear.mkdir()
    _clear(colmap.read_model(model, _AGAIN)).write_binary(clear)
    pycolmap.undistort_images(
        workspace, clear, pictures, jpeg_quality=_JPEG_QUALITY, num_threads=colmap.threads()
    )
    shutil.rmtree(clear)
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
    reconstruction = _clear(colmap.read_model(model, _AGAIN))
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


def _clear(model: Any) -> Any:
    """Name cameras without any distortion so that COLMAP's undistortion does the right thing.

    It copies pictures and camera where all distortion is 0: right for a lens that is a pinhole
    under another name, wrong for a fisheye, whose projection bends without a coefficient.
    """
    for camera in model.cameras.values():
        distortion = camera.params[list(camera.extra_params_idxs())]
        if camera.model == pycolmap.CameraModelId.PINHOLE or any(distortion):
            continue
        if _FISHEYE in camera.model.name:
            params = camera.params.copy()
            params[next(iter(camera.extra_params_idxs()))] = _TRACE
            camera.params = params
            continue
        matrix = camera.calibration_matrix()
        camera.model = pycolmap.CameraModelId.PINHOLE
        camera.params = [matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]]
    return model
