"""Which pixels of photos show sky, in one file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maquette.errors import BadInput
from maquette.recon.mvs.colmap_files import made_again
from maquette.scene.array_files import NOT_READABLE
from maquette.scene.atomic import replacing

Bools = NDArray[np.bool_]


def write_sky(path: Path, shown: Mapping[str, Bools]) -> None:
    """Write the pixels [H, W], by the photos' names, of those that show some."""
    arrays: dict[str, Any] = dict(shown)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)


def read_sky(path: Path) -> dict[str, Bools]:
    """Read what `write_sky` wrote; nothing when there is no file.

    Raises:
        BadInput: it is damaged.
    """
    if not path.is_file():
        return {}
    try:
        with np.load(path) as stored:
            return {name: stored[name].astype(np.bool_) for name in stored.files}
    except NOT_READABLE as error:
        raise BadInput(f"`{path}` is damaged: {error}", hint=made_again(path)) from error
