"""The PLY file of 3D Gaussian splatting: every parameter as it is, before activation.

One element `vertex` of float32 properties: position, normals (unused, and 0; most readers expect
them), the constant colour `f_dc`, the other coefficients `f_rest` by channel (all of red, then
green, then blue), the logit of the opacity, the logarithms of the scales, and the quaternion
(w, x, y, z).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from maquette.errors import BadInput, NotFound
from maquette.recon.splats.gaussians import Gaussians
from maquette.scene.atomic import replacing

_ROWS_AT_ONCE = 1 << 16
_MOST_HEADER_LINES = 1000
_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "<i2", "int16": "<i2",
    "ushort": "<u2", "uint16": "<u2", "int": "<i4", "int32": "<i4", "uint": "<u4",
    "uint32": "<u4", "float": "<f4", "float32": "<f4", "double": "<f8", "float64": "<f8",
}  # fmt: skip
_POSITION, _NORMAL = ("x", "y", "z"), ("nx", "ny", "nz")
_COLOR = ("f_dc_0", "f_dc_1", "f_dc_2")
_SCALES = ("scale_0", "scale_1", "scale_2")
_ROTATION = ("rot_0", "rot_1", "rot_2", "rot_3")
_NEEDED = (*_POSITION, *_COLOR, "opacity", *_SCALES, *_ROTATION)


def write_ply(path: Path, gaussians: Gaussians, comments: Sequence[str] = ()) -> None:
    """Write Gaussians, whole or not at all; each comment is one line of the header."""
    rest = 3 * (gaussians.sh.shape[1] - 1)
    names = _names(rest)
    header = [
        "ply",
        "format binary_little_endian 1.0",
        *(f"comment {comment}" for comment in comments),
        f"element vertex {len(gaussians)}",
        *(f"property float {name}" for name in names),
        "end_header",
    ]
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(("\n".join(header) + "\n").encode("ascii", "replace"))
        for first in range(0, len(gaussians), _ROWS_AT_ONCE):
            rows = torch.arange(first, min(first + _ROWS_AT_ONCE, len(gaussians)))
            file.write(_table(gaussians.chosen(rows)).data)


def read_ply(path: Path) -> Gaussians:
    """Read Gaussians, written by us or by another program.

    Raises:
        NotFound: there is no such file.
        BadInput: it is no PLY file, is cut off, or is not of splats.
    """
    if not path.is_file():
        raise NotFound(f"no splats: `{path}`", hint="run `make process PIPELINE=splat` first")
    with open(path, "rb") as file:
        header = _read_header(path, file)
        _check_names(path, header)
        size = header.count * header.row.itemsize
        content = file.read(size)
    if len(content) != size:
        raise BadInput(
            f"`{path}` is cut off: {header.count:,} Gaussians take {size:,} bytes, "
            f"{len(content):,} are there",
            hint="copy or make the file again",
        )
    return _from_table(np.frombuffer(content, header.row), header.rest)


def read_comments(path: Path) -> list[str]:
    """The comments of a file's header.

    Raises:
        BadInput: it is no PLY file.
    """
    with open(path, "rb") as file:
        return _read_header(path, file).comments


@dataclass
class _Header:
    """Of a file: comments, and number and form of the rows of `vertex`."""

    comments: list[str]
    count: int
    row: np.dtype[np.void]

    @property
    def rest(self) -> int:
        """How many `f_rest` a row has."""
        return sum(name.startswith("f_rest_") for name in self.row.names or ())


def _names(rest: int) -> list[str]:
    rests = [f"f_rest_{index}" for index in range(rest)]
    return [*_POSITION, *_NORMAL, *_COLOR, *rests, "opacity", *_SCALES, *_ROTATION]


def _table(part: Gaussians) -> np.ndarray:
    """Rows as in the file, [N, 17 + rest] float32."""
    rest = part.sh[:, 1:].transpose(1, 2).flatten(1)  # [N, 3·(K − 1)], by channel
    columns = [
        part.means, torch.zeros_like(part.means), part.sh[:, 0], rest,
        part.opacity_logits[:, None], part.log_scales, part.quaternions,
    ]  # fmt: skip
    table: np.ndarray = torch.cat(columns, dim=1).detach().cpu().numpy().astype("<f4", order="C")
    return table


def _from_table(rows: np.ndarray, rest: int) -> Gaussians:
    def columns(*names: str) -> torch.Tensor:
        values = np.empty((len(rows), len(names)), np.float32)
        for index, name in enumerate(names):
            values[:, index] = rows[name]
        return torch.from_numpy(values)

    others = columns(*(f"f_rest_{index}" for index in range(rest)))
    others = others.reshape(len(rows), 3, rest // 3).transpose(1, 2)  # [N, K − 1, 3]
    return Gaussians(
        means=columns(*_POSITION),
        log_scales=columns(*_SCALES),
        quaternions=columns(*_ROTATION),
        opacity_logits=columns("opacity")[:, 0].contiguous(),
        sh=torch.cat([columns(*_COLOR)[:, None], others], dim=1),
    )


def _read_header(path: Path, file: BinaryIO) -> _Header:
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
        return _Header(comments, count, np.dtype(row))
    except (IndexError, KeyError, ValueError) as error:
        raise BadInput(f"the header of `{path}` is damaged or not of splats: {error}") from error


def _check_names(path: Path, header: _Header) -> None:
    names = header.row.names or ()
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise BadInput(
            f"`{path}` is not of splats: its points have no {', '.join(missing)}",
            hint="a file of 3D Gaussian splatting has x, f_dc_0, opacity, scale_0, rot_0 …",
        )
    rest = {name for name in names if name.startswith("f_rest_")}
    if len(rest) not in (0, 9, 24, 45) or rest != {f"f_rest_{i}" for i in range(len(rest))}:
        raise BadInput(
            f"`{path}` has {len(rest)} `f_rest`; of degree 0, 1, 2, 3 there are 0, 9, 24 or 45"
        )
