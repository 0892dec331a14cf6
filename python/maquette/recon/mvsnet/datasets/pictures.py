"""Pictures and masks of samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from maquette.errors import BadInput, NotFound


def read_picture(path: Path) -> Tensor:
    """A picture as [3, H, W] float32, sRGB 0..1.

    Raises:
        NotFound, BadInput: no such file, or a damaged one.
    """
    pixels = torch.from_numpy(_read(path, "RGB"))
    return pixels.permute(2, 0, 1).contiguous().float() / 255.0


def read_mask(path: Path) -> NDArray[np.bool_]:
    """[H, W]: where a picture is not black."""
    return _read(path, "L") > 0


def size_of(path: Path) -> tuple[int, int]:
    """Width and height, from the header alone."""
    try:
        with Image.open(path) as picture:
            return picture.size
    except OSError as error:
        raise _unreadable(path, error) from error


def _read(path: Path, mode: str) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as picture:
            return np.array(picture.convert(mode))
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> Exception:
    hint = "copy it again from where the data set came from"
    if not path.is_file():
        return NotFound(f"there is no picture `{path}`", hint=hint)
    return BadInput(f"the picture is damaged: `{path}`", detail=str(error)[:200], hint=hint)


def stacked(views: list[Tensor], name: str) -> Tensor:
    """Pictures of one sample as [V, 3, H, W].

    Raises:
        BadInput: they have not one size.
    """
    sizes = {tuple(view.shape[1:]) for view in views}
    if len(sizes) > 1:
        told = ", ".join(f"{width}×{height}" for height, width in sorted(sizes))
        raise BadInput(
            f"pictures of different sizes: {told}: the views of `{name}`",
            hint="all views of a data set have one size: scale them, and their cameras with them",
        )
    return torch.stack(views)
