"""What training leaves for the steps after it, and the master file that they make of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maquette.recon.splats.files.ply import read_ply, write_ply
from maquette.recon.splats.files.ply_header import read_comments
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.run_files import REFINED, REFINES
from maquette.recon.training import checkpoint_files
from maquette.resources import version

FORMAT = "splats-1"  # of checkpoints
_ITERATION = "iteration"
_PLY_SUFFIX = ".ply"
_SKY = "background"


@dataclass(frozen=True)
class Trained:
    """Gaussians as they were trained.

    Attributes:
        iteration: How long; None where that is not known.
        background: sRGB behind everything, 0..1.
    """

    gaussians: Gaussians
    iteration: int | None
    background: Sequence[float] = (0.0, 0.0, 0.0)


def read_trained(path: Path) -> Trained:
    """Read a checkpoint of ours, or a PLY file of splats, ours or another program's.

    Raises:
        NotFound, BadInput: there is none, or it is damaged.
    """
    if path.suffix == _PLY_SUFFIX:
        comments = read_comments(path)
        return Trained(read_ply(path), _told_iteration(comments), _told_sky(comments))
    state = checkpoint_files.read(path, FORMAT)
    sky = state["corrections"]["values"]["sky"].clamp(0, 1).tolist()
    return Trained(Gaussians(**state["splats"]), int(state["iteration"]), sky)


def write_refined(run: Path, trained: Trained, checkpoint: str) -> Path:
    """Write what was made of a checkpoint of a run; it counts as long as that is the newest."""
    sky = " ".join(f"{value:.6f}" for value in trained.background)
    write_master(run / REFINED, trained, (f"{REFINES} {checkpoint}", f"{_SKY} {sky}"))
    return run / REFINED


def _told_sky(comments: Sequence[str]) -> Sequence[float]:
    words = [comment.split() for comment in comments]
    told = [tuple(map(float, word[1:])) for word in words if word[:1] == [_SKY] and len(word) == 4]
    return told[-1] if told else Trained.background


def write_master(path: Path, trained: Trained, more: Sequence[str] = ()) -> None:
    """Write a PLY file whose comments tell where it comes from."""
    comments = [f"maquette {version()}", "world: COLMAP", "antialiased"]
    if trained.iteration is not None:
        comments.append(f"{_ITERATION} {trained.iteration}")
    comments += more
    write_ply(path, trained.gaussians, comments)


def _told_iteration(comments: Sequence[str]) -> int | None:
    words = [comment.split() for comment in comments]
    told = [word[1] for word in words if len(word) == 2 and word[0] == _ITERATION]
    return int(told[-1]) if told and told[-1].isdigit() else None
