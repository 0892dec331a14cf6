"""The PLY file of 3D Gaussian splatting: every parameter as it is, before activation.

One element `vertex` of float32 properties: position, normals (unused, and 0; most readers expect
them), the constant colour `f_dc`, the other coefficients `f_rest` by channel (all of red, then
green, then blue), the logit of the opacity, the logarithms of the scales, and the quaternion
(w, x, y, z).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from maquette.errors import BadInput, NotFound
from maquette.recon.splats.files.ply_header import Header, read_header
from maquette.recon.splats.gaussians import Gaussians
from maquette.scene.atomic import replacing

_ROWS_AT_ONCE = 1 << 16
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
        header = read_header(path, file)
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


def _check_names(path: Path, header: Header) -> None:
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
