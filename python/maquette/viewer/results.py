"""What a scene has to show: meshes, and the previews and figures of its training runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from maquette.errors import NotFound
from maquette.scene import transforms
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.viewer.scenery import Camera

_TAIL_BYTES = 4096
_LARGEST_MESH_BYTES = 200_000_000  # a browser and this process take many times that in memory
_SHOWN = ("iteration", "psnr", "loss", "it_per_s")


@dataclass(frozen=True)
class Preview:
    """A picture that training left: photo, rendering and normals side by side."""

    iteration: int
    path: Path


def meshes(scene: Scene) -> list[Path]:
    """The scene's meshes in world units, newest first."""
    files = scene.mesh.glob("*.ply") if scene.mesh.is_dir() else iter(())
    return sorted(files, key=lambda path: path.stat().st_mtime, reverse=True)


def why_not_shown(mesh: Path) -> str:
    """Why a browser can not show a mesh, and what can; empty when it can."""
    size = mesh.stat().st_size
    if size <= _LARGEST_MESH_BYTES:
        return ""
    return (
        f"`{mesh.name}` has {size / 1e6:,.0f} MB, too much for a browser: open it in Blender, "
        "or run `make extract RESOLUTION=512` for a smaller one."
    )


def groups(scene: Scene) -> list[str]:
    """The training runs, newest first."""
    runs = scene.root / "runs"
    folders = [path for path in runs.iterdir() if path.is_dir()] if runs.is_dir() else []
    newest_first = sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)
    return [path.name for path in newest_first]


def previews(scene: Scene, group: str) -> list[Preview]:
    """The previews of a run, first iteration first; grows while training goes on."""
    files = (scene.run(group) / "previews").glob("iteration_*.png")
    found = [Preview(int(path.stem.rpartition("_")[2]), path) for path in files]
    return sorted(found, key=lambda preview: preview.iteration)


def figures(scene: Scene, group: str) -> str:
    """The newest figures of a run in one line, or "" before there are any."""
    path = scene.run(group) / "metrics.jsonl"
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    for line in reversed(lines):
        try:
            values = json.loads(line)
        except ValueError:
            continue  # half a line, while training writes it
        if isinstance(values, dict):
            return " · ".join(f"{key} {values[key]:g}" for key in _SHOWN if key in values)
    return ""


def cameras_and_region(scene: Scene) -> tuple[list[Camera], Region]:
    """The cameras and the region that training uses.

    Raises:
        NotFound: the scene does not exist or has no cameras yet.
    """
    if not scene.root.is_dir():
        raise NotFound(f"there is no scene `{scene.name}`", hint="`make prepare` makes it")
    read = transforms.read(scene.transforms)
    cameras = [
        Camera(
            Path(frame.file_path).name,
            scene.root / frame.file_path,
            frame.world_from_cam,
            frame.intrinsics,
        )
        for frame in read.frames
    ]
    return cameras, read.region
