"""Which file of a run holds its splats; reads none of them."""

from __future__ import annotations

from pathlib import Path

from maquette.recon.splats.files.ply_header import read_comments
from maquette.scene import checkpoints

GIVEN = "point_cloud.ply"  # in a run without checkpoints: splats of another program
REFINED = "refined.ply"  # in a run: what a stage after training made of its newest checkpoint
REFINES = "refines"  # a comment of that file, before the checkpoint's name


def newest(run: Path) -> Path | None:
    """The newest checkpoint of a run, or what was made of it or put there; None without any."""
    choice = checkpoints.newest(run)
    if choice is not None:
        refined = run / REFINED
        return refined if _refines(refined, choice.path) else choice.path
    return run / GIVEN if (run / GIVEN).is_file() else None


def _refines(path: Path, checkpoint: Path) -> bool:
    return path.is_file() and f"{REFINES} {checkpoint.name}" in read_comments(path)
