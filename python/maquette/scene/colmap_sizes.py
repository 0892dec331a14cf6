"""Whether the binary files of a COLMAP model hold all the entries that they state.

COLMAP itself does not look: of a `points3D.bin` that was cut short it may read for ever, and of a
`cameras.bin` it makes cameras that nobody gave. The files are walked through, not read: of a large
one the counts alone.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from pathlib import Path

from maquette.scene.lens_models import BY_ID

_COUNT = struct.Struct("<Q").unpack_from
_FEW = struct.Struct("<I").unpack_from
_LENS = struct.Struct("<i").unpack_from
_LONGEST_NAME = 4096
_POSE = 56  # bytes: a quaternion and a translation
_SENSOR = 8
Data = mmap.mmap
Walk = Callable[[Data, int], int]


def damage(folder: Path) -> str:
    """What is wrong with the files of a model, as a sentence that names one; "" where nothing is.

    Files that are not there are not looked at: a model may be of text, or an older one.
    """
    files = [folder / name for name in _WALKS]
    return next(filter(None, (damage_of(path) for path in files if path.is_file())), "")


def damage_of(path: Path) -> str:
    """The same of one file, which has the name that COLMAP gives it."""
    wrong = _wrong(path, _WALKS[path.name])
    return f"`{path}` is damaged: {wrong}" if wrong else ""


def _wrong(path: Path, walk: Walk) -> str:
    size = path.stat().st_size
    if size < 8:
        return f"it has {size} bytes"
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        (count,), at = _COUNT(data, 0), 8
        for done in range(count):
            try:
                at = walk(data, at)
            except (struct.error, ValueError, KeyError):
                at = size + 1
            if at > size:
                return f"it states {count:,} entries, and {done:,} are whole"
    return "" if at == size else f"{size - at:,} bytes follow its end"


def _camera(data: Data, at: int) -> int:
    (model,) = _LENS(data, at + 4)
    return at + 24 + 8 * BY_ID[model].parameters


def _image(data: Data, at: int) -> int:
    end = data.find(b"\0", at + 8 + _POSE, at + 8 + _POSE + _LONGEST_NAME)
    if end < 0:
        raise ValueError("a name has no end")
    (points,) = _COUNT(data, end + 1)
    return int(end + 9 + 24 * points)


def _point(data: Data, at: int) -> int:
    (observations,) = _COUNT(data, at + 43)
    return int(at + 51 + 8 * observations)


def _rig(data: Data, at: int) -> int:
    (sensors,) = _FEW(data, at + 4)
    at += 8 + _SENSOR * min(sensors, 1)
    for _ in range(sensors - 1):
        at += _SENSOR + 1 + _POSE * data[at + _SENSOR : at + _SENSOR + 1][0]
    return at


def _frame(data: Data, at: int) -> int:
    (pictures,) = _FEW(data, at + 8 + _POSE)
    return int(at + 12 + _POSE + (_SENSOR + 8) * pictures)


_WALKS = {
    "cameras.bin": _camera,
    "images.bin": _image,
    "points3D.bin": _point,
    "rigs.bin": _rig,
    "frames.bin": _frame,
}
