"""Read COLMAP's binary model files with numpy alone.

Every count that a file states is checked against the file's size before anything is allocated,
so that a damaged file ends in a sentence.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maquette.errors import BadInput
from maquette.scene.lens_models import BY_ID, Lens, check_undistorted
from maquette.scene.transforms import Frame

Floats = NDArray[np.float64]
FILES = ("cameras.bin", "images.bin", "points3D.bin")
_LONGEST_NAME = 4096
_MOST_PIXELS = 1 << 20  # along a side
_POINT = np.dtype(
    [("id", "<u8"), ("xyz", "<f8", 3), ("rgb", "u1", 3), ("error", "<f8"), ("track", "<u8")]
)
_OBSERVATION = 8  # bytes of an entry of a track: image, then the number of its keypoint
_CHUNK = 100_000  # points gathered at once
MOST_OBSERVED = 20_000  # points whose observations a model carries


@dataclass(frozen=True)
class Observations:
    """Which image sees which point, [O] each: rows of points, in order, and of images."""

    point: NDArray[np.int64]
    image: NDArray[np.int64]


@dataclass(frozen=True)
class SparseModel:
    """Cameras and points, world frame, images sorted by name.

    Attributes:
        lenses: The camera of each image.
        world_from_cam: [N, 4, 4], COLMAP's camera axes (z forward).
        points: [P, 3]; `colors` [P, 3] are their 8-bit RGB.
        views: [P] how many images see each point.
        observations: Those of every n-th point, of at most `MOST_OBSERVED` points.
    """

    names: tuple[str, ...]
    lenses: tuple[Lens, ...]
    world_from_cam: Floats
    points: Floats
    colors: NDArray[np.uint8]
    views: NDArray[np.int64]
    observations: Observations

    @property
    def centers(self) -> Floats:
        """Where the cameras stand, [N, 3]."""
        return self.world_from_cam[:, :3, 3]

    @property
    def axes(self) -> Floats:
        """Where the cameras look, unit vectors, [N, 3]."""
        return self.world_from_cam[:, :3, 2]

    def frames(self) -> tuple[Frame, ...]:
        """The cameras as `transforms.json` lists them.

        Raises:
            BadInput: a camera has distortion.
        """
        check_undistorted(self.lenses)
        parts = zip(self.names, self.world_from_cam, self.lenses, strict=True)
        return tuple(Frame(f"images/{name}", pose, lens.pinhole()) for name, pose, lens in parts)


def read(folder: Path) -> SparseModel:
    """Read `cameras.bin`, `images.bin` and `points3D.bin`.

    Raises:
        BadInput: a file is missing or damaged, or they are not of one model.
    """
    lenses = _read_lenses(_File.open(folder / FILES[0]))
    images = sorted(_read_images(_File.open(folder / FILES[1])), key=lambda image: image.name)
    strangers = {image.lens for image in images} - lenses.keys()
    if strangers:
        raise BadInput(
            f"`{folder}` mixes models: images.bin names camera {min(strangers)}, "
            "which cameras.bin does not have",
            hint="copy all files of one COLMAP model together",
        )
    file = _File.open(folder / FILES[2])
    starts, entries = _read_entries(file)
    every = max(1, -(-len(entries) // MOST_OBSERVED))
    return SparseModel(
        names=tuple(image.name for image in images),
        lenses=tuple(lenses[image.lens] for image in images),
        world_from_cam=np.array([image.world_from_cam for image in images]).reshape(-1, 4, 4),
        points=entries["xyz"].copy(),
        colors=entries["rgb"].copy(),
        views=entries["track"].astype(np.int64),
        observations=_observations(file, starts, entries, images, every),
    )


@dataclass(frozen=True)
class Tracks:
    """Which images see which point.

    Attributes:
        names: [N] the images, sorted.
        points: [P, 3] world frame; `errors` [P] are their mean reprojection errors, pixels.
        point, image: [O] of each observation the row of its point, in order, and of its image.
    """

    names: tuple[str, ...]
    points: Floats
    errors: Floats
    point: NDArray[np.int64]
    image: NDArray[np.int64]


def read_tracks(folder: Path) -> Tracks:
    """Read the observations of `images.bin` and `points3D.bin`.

    Raises:
        BadInput: a file is missing or damaged, or they are not of one model.
    """
    images = sorted(_read_images(_File.open(folder / FILES[1])), key=lambda image: image.name)
    file = _File.open(folder / FILES[2])
    starts, entries = _read_entries(file)
    seen = _observations(file, starts, entries, images)
    names = tuple(image.name for image in images)
    return Tracks(names, entries["xyz"].copy(), entries["error"].copy(), seen.point, seen.image)


@dataclass(frozen=True)
class _Image:
    number: int
    name: str
    lens: int
    world_from_cam: Floats


@dataclass
class _File:
    """Bytes read from the front; whatever does not fit into them is damage."""

    path: Path
    data: bytes
    at: int = 0

    @classmethod
    def open(cls, path: Path) -> _File:
        try:
            return cls(path, path.read_bytes())
        except FileNotFoundError as error:
            raise BadInput(
                f"the COLMAP model lacks `{path.name}`: `{path.parent}`",
                hint=f"a model is {', '.join(FILES)}; text models: `colmap model_converter`",
            ) from error

    def take(self, layout: str) -> tuple[int | float, ...]:
        size = struct.calcsize(layout)
        self.skip(size)
        return struct.unpack_from(layout, self.data, self.at - size)

    def skip(self, size: int) -> None:
        self.at += size
        if self.at > len(self.data):
            raise self.damage("it ends too early")

    def count(self, smallest: int) -> int:
        """Read a count of entries that take at least `smallest` bytes each."""
        (count,) = self.take("<Q")
        if count * smallest > len(self.data) - self.at:
            raise self.damage(f"it states {count:,} entries, which do not fit into it")
        return int(count)

    def text(self) -> str:
        end = self.data.find(b"\0", self.at, self.at + _LONGEST_NAME)
        if end < 0:
            raise self.damage("a name has no end")
        start, self.at = self.at, end + 1
        try:
            return self.data[start:end].decode()
        except UnicodeDecodeError as error:
            raise self.damage("a name is no text") from error

    def check_end(self) -> None:
        if self.at != len(self.data):
            raise self.damage(f"{len(self.data) - self.at:,} bytes follow its end")

    def damage(self, what: str) -> BadInput:
        return BadInput(
            f"`{self.path}` is damaged: {what}",
            hint="copy the file again, or run `make prepare` again with FORCE_STAGE=undistort",
        )


def _read_lenses(file: _File) -> dict[int, Lens]:
    lenses = {}
    for _ in range(file.count(24)):
        number, model_id, width, height = map(int, file.take("<IiQQ"))
        if model_id not in BY_ID:
            raise file.damage(f"camera {number} has the unknown model {model_id}")
        model = BY_ID[model_id]
        parameters = file.take(f"<{model.parameters}d")
        if not (0 < width <= _MOST_PIXELS and 0 < height <= _MOST_PIXELS):
            raise file.damage(f"camera {number} has {width} × {height} pixels")
        if not np.isfinite(parameters).all() or any(f <= 0 for f in parameters[: model.focals]):
            raise file.damage(f"camera {number} has unusable parameters")
        lenses[number] = Lens(model, width, height, parameters)
    file.check_end()
    return lenses


def _read_images(file: _File) -> list[_Image]:
    images = []
    for _ in range(file.count(73)):
        number, *pose, lens = file.take("<I7dI")
        name = file.text()
        file.skip(24 * file.count(24))
        if not name:
            raise file.damage("an image has no name")
        images.append(_Image(int(number), name, int(lens), _world_from_cam(file, np.array(pose))))
    file.check_end()
    return images


def _world_from_cam(file: _File, pose: Floats) -> Floats:
    """Invert a quaternion (w x y z) and translation [7], camera from world, to [4, 4]."""
    length = float(np.linalg.norm(pose[:4]))
    if not np.isfinite(pose).all() or not 0.5 < length < 2:
        raise file.damage("an image has an unusable pose")
    w, x, y, z = pose[:4] / length
    cam_from_world = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = cam_from_world.T
    matrix[:3, 3] = -cam_from_world.T @ pose[4:]
    return matrix


def _observations(
    file: _File,
    starts: NDArray[np.int64],
    entries: NDArray[np.void],
    images: list[_Image],
    every: int = 1,
) -> Observations:
    """The tracks of every n-th point; `starts` and `entries` as `_read_entries` gives them."""
    chosen = np.arange(0, len(entries), every)
    counts = entries["track"][chosen].astype(np.int64)
    first = np.cumsum(counts) - counts
    row = np.repeat(np.arange(len(counts)), counts)
    point = chosen[row]
    within = np.arange(len(row)) - first[row]
    at = starts[point] + _POINT.itemsize + _OBSERVATION * within
    raw, numbers = np.frombuffer(file.data, np.uint8), np.empty(len(point), np.int64)
    for begin in range(0, len(point), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        numbers[part] = raw[at[part, None] + np.arange(4)].view("<u4")[:, 0]
    known = np.array([image.number for image in images], np.int64)
    order = np.argsort(known)
    place = np.searchsorted(known, numbers, sorter=order).clip(max=len(known) - 1)
    if len(numbers) and (not len(known) or (known[order[place]] != numbers).any()):
        raise file.damage("a point is seen by an image that images.bin does not have")
    return Observations(point, order[place])


def _read_entries(file: _File) -> tuple[NDArray[np.int64], NDArray[np.void]]:
    """Where each point's entry begins, and the entries without their tracks, both [P]."""
    starts = np.empty(file.count(_POINT.itemsize), dtype=np.int64)
    size = _POINT.itemsize
    data, at, end = file.data, file.at, len(file.data)
    track_length = struct.Struct("<Q").unpack_from
    for index in range(len(starts)):
        if at + size > end:
            raise file.damage("it ends too early")
        starts[index] = at
        at += size + _OBSERVATION * track_length(data, at + size - 8)[0]
    file.at = min(at, end + 1)
    file.check_end()
    raw = np.frombuffer(data, dtype=np.uint8)
    entries = np.empty(len(starts), dtype=_POINT)
    for first in range(0, len(starts), _CHUNK):
        part = slice(first, first + _CHUNK)
        entries[part] = raw[starts[part, None] + np.arange(size)].view(_POINT)[:, 0]
    if not np.isfinite(entries["xyz"]).all():
        raise file.damage("a point has no place")
    return starts, entries
