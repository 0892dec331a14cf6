"""Manifests for the web page: of a scene, of one pipeline, and of a preview that training left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from maquette.errors import BadInput, NotFound
from maquette.resources import ROOT
from maquette.scene.atomic import replacing
from maquette.scene.color_space import linear_from_srgb
from maquette.scene.paths import Scene
from maquette.viewer import notes, page_data

SAMPLE = "owl"
_ABOUT = ("up", "scene_bounds", "region", "start_view", "camera_defaults", "walk_camera_defaults",
          "ground_height")  # fmt: skip
_Y_UP = np.array([0.0, 1.0, 0.0])


def manifest(scene: Scene, pipelines: list[str]) -> dict[str, Any]:
    """What the page shows of a scene; addresses are below the scene's folder.

    Raises:
        NotFound: there is nothing to show yet.
    """
    told = page_data.renewed(scene, pipelines)
    return {**told, "annotations": notes.read(scene), "annotations_url": notes.FILE}


def preview_manifest(scene: Scene, model: Path, about: dict[str, Any]) -> dict[str, Any]:
    """A manifest of a preview's model, seen as the finished scene is.

    Args:
        about: A manifest that tells how the scene stands; {} where there is none yet.

    Raises:
        NotFound: the preview is gone.
        BadInput: it is damaged.
    """
    if not model.is_file():
        raise NotFound(f"no preview: `{model.name}`")
    told = {key: about[key] for key in _ABOUT if key in about}
    told |= {"schema_version": 1, "title": f"{scene.name}, {model.stem.replace('_', ' ')}"}
    if _is_splats(model):
        return {**told, "formats": {"ply": scene.relative(model)}}
    shown = _as_glb(scene, model, np.asarray(about.get("up", (0.0, -1.0, 0.0)), float))
    return {**told, "meshes": [{"name": "preview", "url": scene.relative(shown)}]}


def _is_splats(path: Path) -> bool:
    with open(path, "rb") as file:
        return b"property float opacity" in file.read(4096)


def _as_glb(scene: Scene, model: Path, up: np.ndarray) -> Path:
    """The preview's mesh as a file that the page reads."""
    path = scene.root / page_data.FOLDER / "preview.glb"
    with replacing(path) as temporary:
        temporary.write_bytes(glb_of(model, up))
    return path


def glb_of(model: Path, up: np.ndarray) -> bytes:
    """A mesh as binary glTF, turned upright as the page expects, its colours linear.

    Raises:
        BadInput: the file is damaged.
    """
    try:
        mesh = trimesh.load_mesh(model, process=False)
        turn = trimesh.geometry.align_vectors(up / np.linalg.norm(up), _Y_UP)
        if mesh.visual.kind == "vertex":
            colors = mesh.visual.vertex_colors.copy()
            colors[:, :3] = np.round(255 * linear_from_srgb(colors[:, :3] / 255))
            mesh.visual.vertex_colors = colors
        mesh.apply_transform(turn)
        return bytes(mesh.export(file_type="glb"))
    except (OSError, ValueError, KeyError, AttributeError, IndexError) as error:
        raise BadInput(f"`{model.name}` is damaged: {error}") from error


def demo_manifest() -> dict[str, Any]:
    """What the page shows that is asked for no scene: the bundled sample's truth."""
    return {
        "schema_version": 1, "title": "The sample", "up": [0, 0, 1],
        "description": "The owl of `make demo` as it was modelled; make view shows your scenes.",
        "meshes": [{"name": "ground truth", "url": "sample.glb"}],
    }  # fmt: skip


def demo_mesh() -> bytes:
    """The bundled sample's true surface as binary glTF.

    Raises:
        NotFound: this installation has no sample.
    """
    path = ROOT / "samples" / SAMPLE / "ground_truth.ply"
    if not path.is_file():
        raise NotFound("this installation has no sample", hint="a checkout has one")
    return glb_of(path, np.array([0.0, 0.0, 1.0]))
