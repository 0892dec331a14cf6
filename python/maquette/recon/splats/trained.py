"""What training leaves for the steps after it: the Gaussians as one PLY file in the run."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from maquette.recon.splats.files.ply import read_comments, read_ply, write_ply
from maquette.recon.splats.gaussians import Gaussians

FILE = "point_cloud.ply"
_ITERATION = "iteration"


@dataclass(frozen=True)
class Trained:
    """Gaussians, and how long they were trained; None where the file does not tell."""

    gaussians: Gaussians
    iteration: int | None


def write_trained(path: Path, trained: Trained) -> None:
    """Write a PLY file whose comments tell where it comes from."""
    comments = [f"maquette {metadata.version('maquette')}", "world: COLMAP", "antialiased"]
    if trained.iteration is not None:
        comments.append(f"{_ITERATION} {trained.iteration}")
    write_ply(path, trained.gaussians, comments)


def read_trained(path: Path) -> Trained:
    """Read a PLY file of splats, ours or another program's.

    Raises:
        NotFound, BadInput: see `read_ply`.
    """
    gaussians = read_ply(path)
    words = [comment.split() for comment in read_comments(path)]
    told = [word[1] for word in words if len(word) == 2 and word[0] == _ITERATION]
    return Trained(gaussians, int(told[-1]) if told and told[-1].isdigit() else None)
