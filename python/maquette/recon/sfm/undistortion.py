"""Pinhole pictures, masks and cameras out of a model with lens distortion.

A picture keeps its width and height: its focal length is scaled so that the straight picture
shows as much as it can without blank borders. Pixel centres are at +0.5.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maquette.recon.sfm import colmap
from maquette.recon.sfm.colmap import pycolmap

Floats = NDArray[np.float64]
Cell = tuple[tuple[int, int, int, int], tuple[float, ...]]

_JPEG_QUALITY = 96
_CELL_PX = 16  # within one, the mapping is bilinear
_ZOOM = (0.5, 5.0)  # of very wide lenses, the middle is kept
_SAMPLES = 200  # along each border


@dataclass(frozen=True)
class Straightening:
    """How pictures of one camera become pinhole pictures of the same size.

    Attributes:
        source: The camera with distortion.
        target: The pinhole camera.
    """

    source: Any
    target: Any

    @classmethod
    def of(cls, camera: Any) -> Straightening:
        """Choose the pinhole camera: same size and principal point, focal lengths scaled alike."""
        size = camera.width, camera.height
        focal = np.array([camera.focal_length_x, camera.focal_length_y])
        center = np.array([camera.principal_point_x, camera.principal_point_y])
        zoom = 1.0 if _is_pinhole(camera) else _zoom(camera, focal, center)
        target = pycolmap.Camera(
            camera_id=camera.camera_id,
            model="PINHOLE",
            width=size[0],
            height=size[1],
            params=[*(zoom * focal), *center],
        )
        return cls(camera, target)

    @property
    def changes(self) -> bool:
        """Whether pictures change at all."""
        return not _is_pinhole(self.source)

    def points(self, points: Floats) -> Floats:
        """Where image points [N, 2] of the source, pixels, are in the target, [N, 2]."""
        rays = self.source.cam_from_img(points)
        homogeneous = np.column_stack([rays, np.ones(len(rays))])
        return np.asarray(self.target.img_from_cam(homogeneous))

    def cells(self) -> list[Cell]:
        """The target in cells: box (left, upper, right, lower), and its corners in the source.

        Corners are upper left, lower left, lower right, upper right, as Pillow wants them.
        """
        across = _edges(self.target.width)
        down = _edges(self.target.height)
        grid = np.stack(np.meshgrid(across, down), axis=-1).astype(np.float64)  # [R, C, 2]
        rays = self.target.cam_from_img(grid.reshape(-1, 2))
        homogeneous = np.column_stack([rays, np.ones(len(rays))])
        found = np.asarray(self.source.img_from_cam(homogeneous)).reshape(grid.shape)
        corners = np.concatenate(
            [found[:-1, :-1], found[1:, :-1], found[1:, 1:], found[:-1, 1:]], axis=-1
        )  # [R - 1, C - 1, 8]
        return [
            ((across[j], down[i], across[j + 1], down[i + 1]), tuple(corners[i, j].tolist()))
            for i in range(len(down) - 1)
            for j in range(len(across) - 1)
        ]


def undistort(model: Path, pictures: Path, workspace: Path) -> None:
    """Write `images/` and `sparse/0` of a COLMAP workspace with PINHOLE cameras.

    The frame of the world, the poses and the points stay as they are. Several cameras keep
    their own intrinsics. Pictures without distortion are copied byte for byte.
    """
    reconstruction = pycolmap.Reconstruction(model)
    (workspace / "images").mkdir()
    (workspace / "sparse" / "0").mkdir(parents=True)
    _each_picture(
        reconstruction,
        lambda name: pictures / name,
        lambda name: workspace / "images" / name,
        _write_picture,
    )
    _straighten(reconstruction)
    reconstruction.write_binary(workspace / "sparse" / "0")


def undistort_masks(model: Path, masks: dict[str, Path], folder: Path) -> list[Path]:
    """Warp the masks of posed pictures as their pictures were, by nearest neighbour.

    Args:
        masks: Picture name → mask file, of the picture's shape.
        folder: Where `<picture's stem>.png` are written.
    """
    return _each_picture(
        pycolmap.Reconstruction(model),
        masks.get,
        lambda name: folder / f"{Path(name).stem}.png",
        _write_mask,
    )


Write = Callable[[Straightening, "list[Cell]", Path, Path], None]


def _each_picture(
    reconstruction: Any,
    source: Callable[[str], Path | None],
    target: Callable[[str], Path],
    write: Write,
) -> list[Path]:
    """Write `target` of the name of each picture that has a pose and a `source`."""
    written = []
    for camera_id, camera in reconstruction.cameras.items():
        straightening = Straightening.of(camera)
        cells = straightening.cells() if straightening.changes else []
        tasks = [
            partial(write, straightening, cells, path, target(image.name))
            for image in reconstruction.images.values()
            if image.camera_id == camera_id and image.has_pose and (path := source(image.name))
        ]
        with ThreadPoolExecutor(colmap.threads()) as pool:
            for task in [pool.submit(task) for task in tasks]:
                task.result()
        written += [task.args[3] for task in tasks]
    return sorted(written)


def _write_picture(straightening: Straightening, cells: list[Cell], path: Path, to: Path) -> None:
    if not straightening.changes:
        shutil.copyfile(path, to)
        return
    with Image.open(path) as image:
        made = _warp(image.convert("RGB"), cells, Image.Resampling.BICUBIC)
        made.save(to, "JPEG", quality=_JPEG_QUALITY, exif=image.info.get("exif", b""))


def _write_mask(straightening: Straightening, cells: list[Cell], path: Path, to: Path) -> None:
    size = straightening.source.width, straightening.source.height
    with Image.open(path) as image:
        mask = image.convert("L").resize(size, Image.Resampling.NEAREST)
    _warp(mask, cells, Image.Resampling.NEAREST).save(to)


def _warp(image: Image.Image, cells: list[Cell], resampling: Image.Resampling) -> Image.Image:
    if not cells:
        return image
    return image.transform(image.size, Image.Transform.MESH, cells, resampling)


def _straighten(reconstruction: Any) -> None:
    """Give a model the pinhole cameras, and its image points their places in their pictures."""
    chosen = {number: Straightening.of(camera) for number, camera in reconstruction.cameras.items()}
    for image in reconstruction.images.values():
        if not image.num_points2D():
            continue
        points = np.array([point.xy for point in image.points2D])  # [N, 2]
        places = chosen[image.camera_id].points(points)
        for point, place in zip(image.points2D, places, strict=True):
            if np.isfinite(place).all():  # a wide lens has points that no pinhole camera sees
                point.xy = place
    for number, straightening in chosen.items():
        camera = reconstruction.cameras[number]
        camera.model, camera.params = straightening.target.model, straightening.target.params


def _is_pinhole(camera: Any) -> bool:
    return camera.model.name in ("PINHOLE", "SIMPLE_PINHOLE")


def _edges(size: int) -> list[int]:
    return [*range(0, size, _CELL_PX), size]


def _zoom(camera: Any, focal: Floats, center: Floats) -> float:
    """By how much focal lengths grow so that the source covers all of the target."""
    size = np.array([camera.width, camera.height], dtype=np.float64)
    steps = np.linspace(0.0, 1.0, _SAMPLES)
    limits = []
    for axis in (0, 1):
        for end, keep in ((0.0, np.nanmax), (1.0, np.nanmin)):
            border = np.empty((_SAMPLES, 2))
            border[:, axis], border[:, 1 - axis] = end * size[axis], steps * size[1 - axis]
            seen = camera.cam_from_img(border)[:, axis]
            seen = seen[np.isfinite(seen)]
            if len(seen):
                wanted = end * size[axis] - center[axis]
                limits.append(wanted / (focal[axis] * keep(seen)))
    return float(np.clip(max(limits, default=1.0), *_ZOOM))
