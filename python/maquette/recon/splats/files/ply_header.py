"""The header of a PLY file of splats: what may be asked without reading any."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from maquette.errors import BadInput

_MOST_HEADER_LINES = 1000
_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "<i2", "int16": "<i2",
    "ushort": "<u2", "uint16": "<u2", "int": "<i4", "int32": "<i4", "uint": "<u4",
    "uint32": "<u4", "float": "<f4", "float32": "<f4", "double": "<f8", "float64": "<f8",
}  # fmt: skip


@dataclass
class Header:
    """Of a file: comments, and number and form of the rows of `vertex`."""

    comments: list[str]
    count: int
    row: np.dtype[np.void]

    @property
    def rest(self) -> int:
        """How many `f_rest` a row has."""
        return sum(name.startswith("f_rest_") for name in self.row.names or ())


def read_comments(path: Path) -> list[str]:
    """The comments of a file's header.

    Raises:
        BadInput: it is no PLY file.
    """
    with open(path, "rb") as file:
        return read_header(path, file).comments


def read_header(path: Path, file: BinaryIO) -> Header:
    """Read a header, and no more of the file.

    Raises:
        BadInput: it is no PLY file, or not of splats.
    """
    if file.readline(8).strip() != b"ply":
        raise BadInput(f"`{path}` is no PLY file: it does not begin with `ply`")
    comments: list[str] = []
    elements: list[tuple[str, int, list[tuple[str, str]]]] = []
    try:
        for _ in range(_MOST_HEADER_LINES):
            words = file.readline(4096).decode("ascii", "replace").split()
            if words == ["end_header"]:
                break
            if words[0] == "format" and words[1] != "binary_little_endian":
                raise BadInput(f"`{path}` is `{words[1]}`; splats are `binary_little_endian`")
            if words[0] == "comment":
                comments.append(" ".join(words[1:]))
            elif words[0] == "element":
                elements.append((words[1], int(words[2]), []))
            elif words[0] == "property" and elements[0][0] == "vertex":
                kind = "list" if words[1] == "list" and len(elements) == 1 else words[1]
                if len(elements) == 1:
                    elements[0][2].append((words[2], _TYPES[kind]))
        else:
            raise ValueError("no end_header")
        name, count, row = elements[0]
        if name != "vertex" or count < 0:
            raise ValueError(f"its first element is `{name}`")
        return Header(comments, count, np.dtype(row))
    except (IndexError, KeyError, ValueError) as error:
        raise BadInput(f"the header of `{path}` is damaged or not of splats: {error}") from error
