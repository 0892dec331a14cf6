"""Where the fused points of a dense workspace lie."""

from __future__ import annotations

from pathlib import Path

from maquette.scene.paths import Scene


def found_points(scene: Scene, group: str) -> Path | None:
    """The points that dense stereo of any pipeline left in a scene, by the pipelines' names."""
    files = [fused_file(folder) for folder in scene.dense_of_any(group)]
    return next((path for path in files if path.is_file()), None)


def fused_file(workspace: Path, is_for_training: bool = False) -> Path:
    """Where the fused points of a dense workspace lie; beside it, `.vis`, the views of each.

    Args:
        is_for_training: Those that only their own pipeline's training begins with.
    """
    return workspace / ("training_points.ply" if is_for_training else "fused.ply")


def visibility_file(fused: Path) -> Path:
    """Where it is said which views see each of the fused points."""
    return fused.with_name(f"{fused.name}.vis")


def free_space_file(fused: Path) -> Path:
    """Beside points that a training begins with: places that are free, [N, 3] world frame."""
    return fused.with_name("free_space.npy")


def sky_file(fused: Path) -> Path:
    """Beside points that a training begins with: which pixels of the photos show sky."""
    return fused.with_name("sky.npz")
