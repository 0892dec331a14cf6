"""Splats in every format that is asked for, each within a limit where there is one."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from maquette.recon.splats.files.glb import write_glb
from maquette.recon.splats.files.sog import write_sog
from maquette.recon.splats.files.sog_reading import read_sog
from maquette.recon.splats.files.splat import read_splat, write_splat
from maquette.recon.splats.files.spz import read_spz, write_spz
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.sensitivity import Sensitivity
from maquette.recon.splats.size_limit import Fitted, fit
from maquette.recon.splats.turning import FloatArray, scaled

Write = Callable[[Path, Gaussians, Sensitivity | None], None]
Loss = Callable[[Gaussians], float]
ROUNDED = {"sog"}  # formats whose writers heed how much each number matters


@dataclass(frozen=True)
class Format:
    """How a format is written and read, and the highest degree of colour that it holds.

    Without a reader nothing is lost in writing.
    """

    write: Write
    read: Callable[[Path], Gaussians] | None
    degree: int = 3


@dataclass(frozen=True)
class Exported:
    """A file.

    Attributes:
        splats: In it.
        degree: Of their colours.
        lost_db: By which it shows photographs worse than all Gaussians as they are; NaN where
            that could not be measured.
        is_reduced: Splats, or degrees that the format holds, were left out to meet a limit.
    """

    path: Path
    size_bytes: int
    splats: int
    degree: int
    lost_db: float
    is_reduced: bool


def formats(up: FloatArray, name: str, seed: int) -> dict[str, Format]:
    """All formats by their suffix; `up` and `name` are for .glb, `seed` is of the palettes."""
    return {
        "splat": Format(lambda path, part, shown: write_splat(path, part), read_splat, degree=0),
        "sog": Format(
            lambda path, part, shown: write_sog(path, part, seed=seed, shown=shown), read_sog
        ),
        "spz": Format(lambda path, part, shown: write_spz(path, part), read_spz),
        "glb": Format(lambda path, part, shown: write_glb(path, part, up, name), None),
    }


def export(
    path: Path,
    whole: Gaussians,
    form: Format,
    lost_db: Loss,
    *,
    limit_bytes: int = 0,
    worth: Tensor | None = None,
    shown: Sensitivity | None = None,
    scale: float = 1.0,
) -> Exported:
    """Write a file, whole or not at all.

    Args:
        whole: All Gaussians, in the world in which `lost_db` looks at them.
        limit_bytes: The most that the file may take; 0: any.
        worth: How important each Gaussian is, [N], where some have to be left out.
        shown: How much each of its numbers matters, where that is known.
        scale: The file's units in a unit of that world.

    Raises:
        BadInput: nothing fits into the limit.
    """
    start = whole.with_degree(min(whole.degree, form.degree))
    fitted = start
    if limit_bytes:
        found = _fit(start, form, lost_db, limit_bytes, path.suffix, worth, shown)
        fitted, shown = found.gaussians, _of(shown, found.rows)
    form.write(path, scaled(fitted, scale), shown and shown.scaled(scale))
    lost = lost_db(fitted if form.read is None else scaled(form.read(path), 1 / scale))
    reduced = (len(fitted), fitted.degree) != (len(start), start.degree)
    return Exported(path, path.stat().st_size, len(fitted), fitted.degree, lost, reduced)


def least_lost(exported: dict[str, Exported]) -> str:
    """The format that shows the scene best; the smaller file of equal ones."""

    def rank(name: str) -> tuple[float, int]:
        lost = exported[name].lost_db
        return (math.inf if math.isnan(lost) else round(lost, 2)), exported[name].size_bytes

    return min(exported, key=rank)


def _of(shown: Sensitivity | None, rows: Tensor) -> Sensitivity | None:
    return None if shown is None else shown.chosen(rows)


def _fit(
    start: Gaussians, form: Format, lost_db: Loss, limit: int, suffix: str,
    worth: Tensor | None, shown: Sensitivity | None,
) -> Fitted:  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / f"trial{suffix}"

        def size(part: Gaussians, rows: Tensor) -> int:
            form.write(trial, part, _of(shown, rows))
            return trial.stat().st_size

        return fit(start, limit, size, lost_db, worth)
