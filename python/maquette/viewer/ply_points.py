"""Points of a PLY file, a part of them where there are many, without reading the rest."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from maquette.errors import BadInput

_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4",
    "float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2",
    "int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8",
}  # fmt: skip
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">"}
_MOST_LINES = 200  # of a header
_GREY = 160


def read_points(path: Path, most: int) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Read every n-th point of a binary PLY file, so that there are at most `most`.

    Returns:
        Points [P, 3] in the file's frame and colours [P, 3], sRGB; grey where it has none.

    Raises:
        BadInput: the file is damaged, or no binary PLY with points.
    """
    try:
        with open(path, "rb") as file:
            count, row = _header(file)
            start = file.tell()
        rows = (
            np.memmap(path, row, "r", offset=start, shape=(count,)) if count else np.empty(0, row)
        )
        taken = rows[:: max(1, -(-count // most))]
        places = np.stack([taken[axis] for axis in "xyz"], axis=1).astype(np.float64)
        if "red" not in (row.names or ()):
            return places, np.full((len(places), 3), _GREY, np.uint8)
        shades = [taken[name] for name in ("red", "green", "blue")]
        return places, np.stack(shades, axis=1).astype(np.uint8)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise BadInput(
            f"`{path.name}` holds no points that can be shown: {error}",
            hint="a binary PLY file has them; the step that wrote it makes it again",
        ) from error


def _header(file: BinaryIO) -> tuple[int, np.dtype[np.void]]:
    """How many points there are, and how one is written; the file stands at the first.

    Raises:
        ValueError: it does not begin as a binary PLY file with points does.
    """
    if file.readline().strip() != b"ply":
        raise ValueError("no PLY file")
    order, count, fields, element = "", 0, [], ""
    for _ in range(_MOST_LINES):
        words = file.readline().decode("ascii").split()
        match words:
            case ["format", name, _]:
                order = _ORDERS[name]
            case ["element", name, number]:
                if not element and name != "vertex":
                    raise ValueError("points do not come first")
                element = name
                count = int(number) if name == "vertex" else count
            case ["property", kind, name] if element == "vertex":
                fields.append((name, order + _TYPES[kind]))
            case ["end_header"]:
                return count, np.dtype(fields)
    raise ValueError("its header does not end")
