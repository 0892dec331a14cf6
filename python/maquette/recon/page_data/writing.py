"""`manifest.json` of a scene for the web page, with what it names, in a folder of the scene."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from maquette.errors import NotFound
from maquette.recon.mesh.coarsening import coarsened
from maquette.recon.mesh.reading import read_mesh
from maquette.recon.mesh.triangles import FloatArray, TriangleMesh
from maquette.recon.mesh.upright import up_direction
from maquette.recon.page_data import start_view
from maquette.recon.page_data.collision import write_collision
from maquette.recon.page_data.layers import Layers, collect
from maquette.recon.page_data.manifest import Facts, manifest
from maquette.recon.page_data.small_pictures import write_emblems, write_thumbnails
from maquette.resources import version
from maquette.scene import originals, outputs, transforms
from maquette.scene.atomic import write_json
from maquette.scene.paths import OWN_FOLDER, Scene
from maquette.scene.transforms import Transforms

FOLDER = f"{OWN_FOLDER}/page"
_MOST_FACES = 3_000_000  # of a mesh by which the first view is chosen
_CELLS = 512  # along a larger one


def write(scene: Scene, pipelines: Sequence[str]) -> Path:
    """Write `.maquette/page/<pipelines>.json`; addresses in it are relative to the scene's folder.

    Args:
        pipelines: Whose results are shown, the first ones first.

    Raises:
        NotFound: there are no cameras, or nothing to show yet.
    """
    folder = scene.root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    cameras = transforms.read(scene.transforms)
    layers = collect(scene, list(pipelines), folder)
    if not (layers.splats or layers.meshes or layers.points):
        raise NotFound(
            f"`{scene.name}` has nothing to show yet",
            detail="\n".join(layers.remarks),
            hint=f"`make prepare MODEL={scene.name}` finds points, `make extract` makes more",
        )
    path = folder / f"{'+'.join(pipelines) or 'prepare'}.json"
    write_json(path, _document(scene, pipelines, cameras, layers, folder))
    return path


def _document(
    scene: Scene, pipelines: Sequence[str], cameras: Transforms, layers: Layers, folder: Path
) -> dict[str, Any]:
    mesh = _framing_mesh(layers)
    scale = _scale(layers)
    sample = _sample(layers, mesh, cameras)
    facts = Facts(
        files={name: scene.relative(path) for name, path in layers.splats.items()},
        sizes={name: path.stat().st_size for name, path in layers.splats.items()},
        best=layers.best,
        region=cameras.region,
        frames=cameras.frames,
        up=up_direction(cameras.frames, cameras.up),
        scale=scale,
        provenance={"generator": f"maquette {version()}", "pipelines": list(pipelines)},
        license=layers.license,
        ground=_ground(scene, layers, mesh, cameras, folder) if scale == 1.0 else "",
    )
    described = manifest(scale * sample, facts)
    view = start_view.of_mesh(mesh, cameras) if mesh is not None else start_view.of_photos(cameras)
    if layers.splats:
        described["splats"] = layers.splat_count
    return {
        **described,
        "title": scene.name,
        "description": _sentence(layers, len(cameras.frames)),
        "start_view": view.as_json(scale),
        "meshes": layers.meshes,
        "points": layers.points,
        "cameras": _with_photos(scene, cameras, described["cameras"], folder),
        "lost_db": layers.lost_db,
        "splat_pipeline": layers.pipeline,
        "remarks": layers.remarks,
        "numbers": {name: found for name in pipelines if (found := _numbers(scene.of(name)))},
        **_emblems(scene, pipelines, cameras, folder),
    }


def _scale(layers: Layers) -> float:
    """Of the manifest against the world; files of one frame only, so the master stands for all."""
    if layers.scale == 1.0 or not (layers.meshes or layers.points):
        return layers.scale
    layers.splats = {name: path for name, path in layers.splats.items() if name == "ply"}
    layers.lost_db, layers.best = {}, "ply"
    return 1.0


def _framing_mesh(layers: Layers) -> TriangleMesh | None:
    if layers.framed is None:
        return None
    mesh = read_mesh(layers.framed)
    return coarsened(mesh, _CELLS) if len(mesh.faces) > _MOST_FACES else mesh


def _ground(
    scene: Scene, layers: Layers, mesh: TriangleMesh | None, cameras: Transforms, folder: Path
) -> str:
    """Address of a mesh to walk on: the one that a stage made, else a light copy of what is shown.

    The copy is made anew only where the mesh or the cameras are newer; "" where there is no mesh.
    """
    if layers.ground or mesh is None or layers.framed is None:
        return layers.ground
    path = folder / f"{layers.framed.parent.name}_{layers.framed.stem}_collision.glb"
    newest = max(one.stat().st_mtime for one in (layers.framed, scene.transforms))
    if not path.is_file() or path.stat().st_mtime < newest:
        write_collision(path, mesh, up_direction(cameras.frames, cameras.up), scene.name)
    return scene.relative(path)


def _sample(layers: Layers, mesh: TriangleMesh | None, cameras: Transforms) -> FloatArray:
    if mesh is not None:
        return mesh.vertices[:: max(1, len(mesh.vertices) // 100_000)].astype(np.float64)
    if layers.sample is not None:
        return layers.sample
    corners = np.array(np.meshgrid(*cameras.region.box)).reshape(3, -1).T
    return corners.astype(np.float64)


def _with_photos(
    scene: Scene, cameras: Transforms, described: list[dict[str, Any]], folder: Path
) -> list[dict[str, Any]]:
    """The cameras with a person's own names of the photos, small pictures and whole ones."""
    small = write_thumbnails(scene.root, cameras.frames, folder / "thumbnails")
    names = originals.names(scene, [Path(frame.file_path).name for frame in cameras.frames])
    found = []
    for camera, name, thumbnail in zip(described, names, small, strict=True):
        pictures = {"photo": camera["name"]}
        if thumbnail is not None:
            pictures["thumbnail"] = scene.relative(thumbnail)
        found.append({**camera, "title": name, **pictures})
    return found


def _emblems(
    scene: Scene, pipelines: Sequence[str], cameras: Transforms, folder: Path
) -> dict[str, str]:
    sheets = [
        scene.root / item.path
        for name in pipelines
        for item in outputs.read(scene.of(name))
        if item.kind == outputs.PICTURE and item.path.endswith("_views.png")
    ]
    middle = cameras.frames[len(cameras.frames) // 2].file_path
    picture, link = write_emblems(next(iter(sheets), None), scene.root / middle, folder)
    if not picture:
        return {}
    return {"picture": f"{FOLDER}/{picture}", "link_picture": f"{FOLDER}/{link}"}


def _sentence(layers: Layers, photos: int) -> str:
    parts = [f"{layers.splat_count:,} splats"] if layers.splats else []
    parts += [f"a mesh of {mesh['faces']:,} faces" for mesh in layers.meshes[:1]]
    parts += [f"{cloud['count_whole']:,} points" for cloud in layers.points[:1] if not parts]
    return f"{' and '.join(parts)}, from {photos} photos"


def _numbers(scene: Scene) -> dict[str, float]:
    """What `make evaluate` measured; empty where it was not asked."""
    try:
        read = json.loads(scene.evaluation.read_text(encoding="utf-8"))
        return {name: value for name, value in read.items() if isinstance(value, (int, float))}
    except (OSError, ValueError, AttributeError):
        return {}
