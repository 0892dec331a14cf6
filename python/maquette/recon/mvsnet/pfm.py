"""Depth maps as PFM, the form of DTU, BlendedMVS and MVSNet."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maquette.errors import BadInput, NotFound
from maquette.scene.atomic import replacing

_HEADER = re.compile(rb"(P[Ff])\s+(\d+)\s+(\d+)\s+(-?[0-9.]+(?:[eE][-+]?\d+)?)\s")


def write(path: Path, values: NDArray[np.float32]) -> None:
    """Write [H, W] or [H, W, 3] float32, row 0 on top; in the file rows are bottom-up."""
    kind = "Pf" if values.ndim == 2 else "PF"
    header = f"{kind}\n{values.shape[1]} {values.shape[0]}\n-1.0\n".encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(header + np.ascontiguousarray(values[::-1], "<f4").tobytes())


def read(path: Path) -> NDArray[np.float32]:
    """Read what `write` or another program wrote, of either byte order: [H, W] or [H, W, 3].

    Raises:
        NotFound: there is no such file.
        BadInput: it is no PFM, or shorter than its header says.
    """
    if not path.is_file():
        raise NotFound(f"there is no depth map `{path}`", hint=_HINT)
    data = path.read_bytes()
    header = _HEADER.match(data)
    if header is None:
        raise BadInput(f"`{path}` is no PFM file", detail=f"it begins {data[:12]!r}", hint=_HINT)
    width, height, channels = int(header[2]), int(header[3]), 3 if header[1] == b"PF" else 1
    order = "<f4" if float(header[4]) < 0 else ">f4"
    needed, body = 4 * width * height * channels, data[header.end() :]
    if len(body) < needed:
        raise BadInput(
            f"`{path}` is cut off: {len(body)} bytes of {needed} after its header", hint=_HINT
        )
    values = np.frombuffer(body[:needed], order).reshape(height, width, channels)[::-1]
    found = np.array(values, np.float32, order="C")
    return found[..., 0] if channels == 1 else found


_HINT = "copy it again from where the data came from"
