"""What a scene has to show: meshes, and the previews and figures of its training runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import trimesh

from maquette.errors import NotFound
from maquette.scene import outputs, transforms
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.viewer.scenery import Camera

_TAIL_BYTES = 4096
_LARGEST_MESH_BYTES = 200_000_000  # a browser and this process take many times that in memory
_SHOWN = ("iteration", "psnr", "held_out_psnr", "loss", "it_per_s")


@dataclass(frozen=True)
class Preview:
    """A picture that training left: photo, rendering and normals side by side."""

    iteration: int
    path: Path


def meshes(scene: Scene) -> dict[str, Path]:
    """The meshes of all pipelines, newest first, each by a name that tells it.

    Coloured ones are PLY files, and textured ones glTF.
    """
    files = [
        scene.root / output.path
        for pipeline in outputs.pipelines_of(scene.root)
        for output in outputs.read(scene.of(pipeline))
        if output.kind == outputs.MESH
        and (output.path.endswith(".ply") or has_texture(scene.root / output.path))
    ]
    return _named(files)


def has_texture(path: Path) -> bool:
    """Whether a file is binary glTF with pictures inside."""
    if path.suffix != ".glb":
        return False
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(20)[12:16], "little")
            return "images" in json.loads(file.read(length))
    except (OSError, ValueError, TypeError):
        return False


def read_parts(path: Path) -> list[trimesh.Trimesh]:
    """The parts of a mesh in world units: one, or of a textured one a part for each page.

    The file's own turn, which sets the mesh upright in other programs, is left out.
    """
    if not has_texture(path):
        return [trimesh.load_mesh(path, process=False)]
    return list(trimesh.load_scene(path, process=False).geometry.values())


def why_not_shown(mesh: Path) -> str:
    """Why a browser can not show a mesh, and what can; empty when it can."""
    size = mesh.stat().st_size
    if size <= _LARGEST_MESH_BYTES:
        return ""
    return (
        f"`{mesh.name}` has {size / 1e6:,.0f} MB, too much for a browser: open it in Blender, "
        "or extract a smaller one."
    )


def runs(scene: Scene) -> dict[str, Path]:
    """The training runs of all pipelines, newest first, each by a name that tells it."""
    return _named([path for path in scene.root.glob("runs/*/*") if path.is_dir()])


def _named(paths: list[Path]) -> dict[str, Path]:
    """Newest first, by their names, with their pipeline's before where there are several."""
    newest_first = sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True)
    several = len({path.parent.name for path in paths}) > 1
    return {
        f"{path.parent.name}/{path.name}" if several else path.name: path for path in newest_first
    }


def previews(run: Path) -> list[Preview]:
    """The previews of a run, first iteration first; grows while training goes on."""
    files = (run / "previews").glob("iteration_*.png")
    found = [Preview(int(path.stem.rpartition("_")[2]), path) for path in files]
    return sorted(found, key=lambda preview: preview.iteration)


def figures(run: Path) -> str:
    """The newest of each figure of a run in one line, or "" before there are any."""
    path = run / "metrics.jsonl"
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    newest: dict[str, float] = {}
    for line in lines:
        try:
            values = json.loads(line)
        except ValueError:
            continue  # half a line: cut off here, or while training writes it
        newest |= values if isinstance(values, dict) else {}
    return " · ".join(f"{key} {newest[key]:g}" for key in _SHOWN if key in newest)


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
