"""Finding the poses that came with an input, by the files that programs write."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from scipy.linalg import rq

from maquette.errors import BadInput
from maquette.recon.sfm.colmap import pycolmap
from maquette.recon.sfm.given.cameras import (
    Given,
    GivenCamera,
    Lens,
    from_world_from_cam,
    lens_of,
    not_a_pose,
)
from maquette.scene import colmap_sizes
from maquette.scene.array_files import NOT_READABLE
from maquette.scene.pose_files import COLMAP, is_polycam

Sizes = Callable[[int], tuple[int, int]]
_TANKS_FOCAL = 0.7  # of the width: what Tanks and Temples recommends for its videos


def read(files: Sequence[Path], pictures: Sequence[str], size: Sizes) -> Given | None:
    """The poses that came with the photos; COLMAP's model first, for it is the most exact.

    Args:
        files: The input's files.
        pictures: The photos' names in their order, for files that only count them.
        size: Width and height of a photo by its position.

    Raises:
        BadInput: a file of poses is damaged.
    """
    by_name = {path.name: path for path in reversed(files)}
    for suffix in (".bin", ".txt"):
        if all(f"{name}{suffix}" in by_name for name in COLMAP):
            return _colmap(by_name, suffix)
    if "transforms.json" in by_name:
        return _transforms(by_name["transforms.json"], size)
    for name in ("cameras_sphere.npz", "cameras.npz"):
        if name in by_name:
            return _neus(by_name[name], pictures, size)
    if polycam := [path for path in files if is_polycam(path)]:
        return _polycam(polycam)
    logs = [path for path in files if path.suffix == ".log"]
    return _tanks(logs[0], pictures, size) if logs else None


def _colmap(by_name: dict[str, Path], suffix: str) -> Given:
    again = "write it again, or leave it out with POSES=find"
    for path in (by_name[f"{name}{suffix}"] for name in COLMAP if suffix == ".bin"):
        if wrong := colmap_sizes.damage_of(path):
            raise BadInput(wrong, hint=again)
    with TemporaryDirectory(prefix="maquette-poses-") as place:
        folder = Path(place)
        for name in COLMAP:
            shutil.copyfile(by_name[f"{name}{suffix}"], folder / f"{name}{suffix}")
        (folder / f"points3D{suffix}").write_bytes(bytes(8) if suffix == ".bin" else b"")
        try:
            model = _without_tracks(folder, suffix)
        except (ValueError, RuntimeError, IndexError) as error:
            raise BadInput(
                f"COLMAP's model can not be read: `{by_name[f'images{suffix}'].name}`: {error}",
                hint=again,
            ) from error
    cameras = []
    for image in sorted(model.images.values(), key=lambda image: image.name):
        camera = image.camera
        pose = np.eye(4)
        pose[:3] = image.cam_from_world().matrix()
        params = tuple(float(value) for value in camera.params)
        lens = Lens(camera.model.name, params, camera.width, camera.height)
        cameras.append(GivenCamera(image.name, lens, pose))
    return Given("COLMAP", f"images{suffix}", cameras)


def _without_tracks(folder: Path, suffix: str) -> Any:
    """A model of cameras and poses alone: its points would name features that are not here."""
    if suffix == ".txt":
        path = folder / "images.txt"
        lines = [
            line for line in path.read_text(encoding="utf-8").splitlines()
            if not line.startswith("#")
        ]  # fmt: skip
        path.write_text("".join(f"{line}\n\n" for line in lines[::2] if line.strip()))
        return pycolmap.Reconstruction(folder)
    return _of_binary(folder)


def _of_binary(folder: Path) -> Any:
    data = (folder / "images.bin").read_bytes()
    count = int.from_bytes(data[:8], "little")
    place, kept = 8, [data[:8]]
    for _ in range(count):
        end = data.index(b"\0", place + 64) + 1
        points = int.from_bytes(data[end : end + 8], "little")
        kept += [data[place:end], bytes(8)]
        place = end + 8 + 24 * points
    (folder / "images.bin").write_bytes(b"".join(kept))
    return pycolmap.Reconstruction(folder)


def _transforms(path: Path, size: Sizes) -> Given:
    document = _document(path)
    frames = document.get("frames")
    if not isinstance(frames, list) or not frames:
        raise BadInput(f"there are no frames in `{path.name}`", hint="or leave it out: POSES=find")
    cameras = []
    for number, frame in enumerate(frames):
        if not isinstance(frame, dict) or "file_path" not in frame:
            raise not_a_pose(path.name)
        told = {**document, **frame}
        if "w" not in told or "h" not in told:
            told["w"], told["h"] = size(number)
        pose = from_world_from_cam(frame.get("transform_matrix"), True, path.name)
        cameras.append(GivenCamera(str(frame["file_path"]), lens_of(told, path.name), pose))
    return Given("nerfstudio or instant-ngp", path.name, cameras)


def _polycam(paths: Sequence[Path]) -> Given:
    cameras = []
    for path in sorted(paths):
        told = _document(path)
        pose = [[told[f"t_{row}{column}"] for column in range(4)] for row in range(3)]
        numbers = {"w": told["width"], "h": told["height"], "fl_x": told["fx"], "fl_y": told["fy"],
                   "cx": told["cx"], "cy": told["cy"]}  # fmt: skip
        cameras.append(
            GivenCamera(
                path.stem, lens_of(numbers, path.name), from_world_from_cam(pose, True, path.name)
            )
        )
    return Given("Polycam", paths[0].name, cameras)


def _neus(path: Path, pictures: Sequence[str], size: Sizes) -> Given:
    """`world_mat_i`: K [R | t] of picture i, [4, 4] (NeuS' form of DTU's cameras)."""
    try:
        with np.load(path) as arrays:
            projections = [arrays[f"world_mat_{number}"] for number in range(len(pictures))]
    except NOT_READABLE as error:
        raise BadInput(
            f"`{path.name}` does not tell a camera for each of {len(pictures)} pictures: {error}",
            hint="give all pictures that belong to it, or leave it out with POSES=find",
        ) from error
    cameras = []
    for number, (picture, projection) in enumerate(zip(pictures, projections, strict=True)):
        upper, rotation = rq(np.asarray(projection, np.float64)[:3, :3])
        signs = np.diag(np.sign(np.diag(upper)))
        upper, rotation = upper @ signs, signs @ rotation
        shift = np.linalg.solve(upper, np.asarray(projection, np.float64)[:3, 3])
        if np.linalg.det(rotation) < 0:
            rotation, shift = -rotation, -shift
        upper /= upper[2, 2]
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, shift
        params = (upper[0, 0], upper[1, 1], upper[0, 2], upper[1, 2])
        lens = Lens("PINHOLE", tuple(float(value) for value in params), *size(number))
        cameras.append(GivenCamera(picture, lens, pose))
    return Given("NeuS", path.name, cameras)


def _tanks(path: Path, pictures: Sequence[str], size: Sizes) -> Given:
    """A line of numbers and four of world-from-cam, for each picture (Tanks and Temples)."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    cameras = []
    for start in range(0, len(lines) - 4, 5):
        try:
            number = int(lines[start].split()[0])
            pose = [[float(word) for word in line.split()] for line in lines[start + 1 : start + 5]]
        except (ValueError, IndexError) as error:
            raise not_a_pose(path.name) from error
        if number < len(pictures):
            width, height = size(number)
            focal = _TANKS_FOCAL * width
            lens = Lens("PINHOLE", (focal, focal, width / 2, height / 2), width, height, False)
            found = from_world_from_cam(pose, False, path.name)
            cameras.append(GivenCamera(pictures[number], lens, found))
    return Given("Tanks and Temples", path.name, cameras)


def _document(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(
            f"`{path.name}` is no JSON: {error}", hint="write it again, or POSES=find"
        ) from error
    if not isinstance(found, dict):
        raise not_a_pose(path.name)
    return found
