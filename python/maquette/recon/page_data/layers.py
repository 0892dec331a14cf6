"""What of a pipeline's results a browser can show: splats, meshes and points, as files it reads."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from plyfile import PlyData, PlyElement

from maquette.errors import MaquetteError
from maquette.quantities import size
from maquette.recon.mesh.gltf import write_glb
from maquette.recon.mesh.reading import read_mesh
from maquette.recon.mesh.triangles import FloatArray
from maquette.recon.mesh.upright import up_direction
from maquette.scene import colmap_model, georeference, outputs, stage_records, transforms
from maquette.scene.atomic import replacing
from maquette.scene.paths import Scene

MOST_POINTS = 300_000
LARGEST_BYTES = 200_000_000  # a browser takes many times that in memory
_EXPORT = "export"  # the stage that tells what a format of splats lost
_FORMATS = ("sog", "splat", "ply")


@dataclass
class Layers:
    """What one pipeline, or several, have to show; addresses below the scene.

    Attributes:
        splats: Format → path.
        lost_db: Format → how much worse than the master it shows the photos.
        scale: Of the files of splats, against the world.
        framed: A mesh file in world units, by which the first view is chosen.
        sample: [N, 3] points of what is shown, world units.
        ground: A mesh to walk on, world units; "" where none was made.
        remarks: A sentence for each thing that is not shown.
    """

    splats: dict[str, Path] = field(default_factory=dict)
    splat_count: int = 0
    best: str = ""
    lost_db: dict[str, float] = field(default_factory=dict)
    scale: float = 1.0
    license: str = ""
    pipeline: str = ""
    meshes: list[dict[str, Any]] = field(default_factory=list)
    points: list[dict[str, Any]] = field(default_factory=list)
    framed: Path | None = None
    sample: FloatArray | None = None
    ground: str = ""
    remarks: list[str] = field(default_factory=list)


def collect(scene: Scene, pipelines: list[str], folder: Path) -> Layers:
    """Find what the pipelines made; files that no browser reads are written anew in `folder`."""
    layers = Layers()
    for name in pipelines:
        own = scene.of(name)
        found = outputs.read(own)
        if not layers.splats:
            _add_splats(own, found, layers)
        _add_meshes(own, found, layers, folder)
        _add_points(own, found, layers, folder)
        layers.ground = layers.ground or outputs.first_path(found, outputs.GROUND)
    _add_sparse(scene, layers, folder)
    layers.meshes.sort(key=lambda mesh: (mesh["reduced"], not mesh["textured"]))
    return layers


def _add_splats(scene: Scene, found: list[outputs.Output], layers: Layers) -> None:
    files = [scene.root / item.path for item in found if item.kind == outputs.SPLATS]
    by_format = {path.suffix[1:]: path for path in files}
    shown = {name: by_format[name] for name in _FORMATS if name in by_format}
    if not shown:
        return
    described = _described(scene)
    streamed = scene.results / str(described.get("formats", {}).get("lod") or "lod")
    shown |= {"lod": streamed} if streamed.is_file() else {}
    layers.splats, layers.pipeline = shown, scene.pipeline
    layers.scale = float(described.get("metadata", {}).get("scene_scale", 1.0))
    layers.license = str(described.get("license", ""))
    record = stage_records.read(scene, _EXPORT)
    numbers = record.numbers if record else {}
    layers.lost_db = {
        name: float(lost) for name in shown if (lost := numbers.get(f"{name}_lost_db")) is not None
    }
    best = str(described.get("best_format", ""))
    layers.best = best if best in shown else next(iter(shown))
    if "ply" in by_format:
        vertices = PlyData.read(str(by_format["ply"]), mmap=True)["vertex"]
        layers.splat_count = len(vertices.data)
        layers.sample = _places(vertices.data, 100_000)


def _described(scene: Scene) -> dict[str, Any]:
    try:
        read = json.loads((scene.results / "manifest.json").read_text(encoding="utf-8"))
        return read if isinstance(read, dict) else {}
    except (OSError, ValueError):
        return {}


def _add_meshes(
    scene: Scene, found: list[outputs.Output], layers: Layers, folder: Path
) -> None:  # fmt: skip
    for kind in (outputs.MESH, outputs.REDUCED_MESH):
        paths = [scene.root / item.path for item in found if item.kind == kind]
        plys = [path for path in paths if path.suffix == ".ply"]
        if plys and kind == outputs.MESH and layers.framed is None:
            layers.framed = plys[-1]
        glbs = [path for path in paths if path.suffix == ".glb"]
        if not glbs and plys:
            try:
                path = _converted(scene, plys[-1], folder)
            except MaquetteError as error:
                layers.remarks.append(error.what)
            else:
                _add_glb(scene, path, layers, kind == outputs.REDUCED_MESH, {})
        for path in glbs:
            _add_glb(scene, path, layers, kind == outputs.REDUCED_MESH, _frame_of_glb(scene))


def _frame_of_glb(scene: Scene) -> dict[str, Any]:
    """The matrix from a .glb's frame to the world where more than `up` lies between them."""
    place = georeference.read(scene.georeference)
    if place.georeference is None and not place.metres_per_unit:
        return {}
    up = up_direction(transforms.read(scene.transforms).frames, place.up)
    back = np.linalg.inv(georeference.gltf_from_world(up, place))
    return {"scene_from_gltf": [float(f"{value:.12g}") for value in back.ravel()]}


def _add_glb(
    scene: Scene, path: Path, layers: Layers, is_reduced: bool, frame: dict[str, Any]
) -> None:  # fmt: skip
    length = path.stat().st_size
    if length > LARGEST_BYTES:
        layers.remarks.append(f"`{path.name}` has {size(length)}, too much for a browser")
        return
    facts = glb_facts(path)
    if facts is None:
        layers.remarks.append(f"`{path.name}` is damaged")
        return
    name = "with fewer faces" if is_reduced else "textured" if facts["textured"] else "mesh"
    layers.meshes.append(
        {
            "name": f"{scene.pipeline}: {name}", "url": scene.relative(path), "size_bytes": length,
            "pipeline": scene.pipeline, "reduced": is_reduced, **facts, **frame,
        }
    )  # fmt: skip


def _converted(scene: Scene, ply: Path, folder: Path) -> Path:
    """The mesh of a PLY file as .glb, made anew only where the PLY is newer."""
    path = folder / f"{scene.pipeline}_{ply.stem}.glb"
    if not path.is_file() or path.stat().st_mtime < ply.stat().st_mtime:
        cameras = transforms.read(scene.transforms)
        write_glb(path, read_mesh(ply), up_direction(cameras.frames, cameras.up), scene.name)
    return path


def glb_facts(path: Path) -> dict[str, Any] | None:
    """Faces, and whether there are textures and colours of vertices; None: no binary glTF."""
    try:
        with open(path, "rb") as file:
            magic, _, _, length, _ = struct.unpack("<4sIIII", file.read(20))
            if magic != b"glTF":
                return None
            content = json.loads(file.read(length))
        primitives = [part for mesh in content["meshes"] for part in mesh["primitives"]]
        corners = sum(content["accessors"][part["indices"]]["count"] for part in primitives)
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return None
    return {
        "faces": corners // 3,
        "textured": bool(content.get("images")),
        "vertex_colors": any("COLOR_0" in part["attributes"] for part in primitives),
    }


def _add_points(
    scene: Scene, found: list[outputs.Output], layers: Layers, folder: Path
) -> None:  # fmt: skip
    paths = [scene.root / item.path for item in found if item.kind == outputs.POINTS]
    for path in [path for path in paths if path.suffix == ".ply"][-1:]:
        target = folder / f"{scene.pipeline}_points.ply"
        try:
            count, whole, sample = _thin(path, target)
        except (OSError, ValueError, KeyError) as error:
            layers.remarks.append(f"`{path.name}` holds no points: {error}")
            continue
        layers.points.append(
            {
                "name": f"{scene.pipeline}: points", "url": scene.relative(target),
                "size_bytes": target.stat().st_size, "count": count, "count_whole": whole,
                "pipeline": scene.pipeline,
            }
        )  # fmt: skip
        layers.sample = sample if layers.sample is None else layers.sample


def _add_sparse(scene: Scene, layers: Layers, folder: Path) -> None:
    """The points that prepare found."""
    if not scene.sparse.is_dir():
        return
    try:
        model = colmap_model.read(scene.sparse)
    except MaquetteError:
        layers.remarks.append("the points that prepare found are damaged")
        return
    if not len(model.points):
        return
    target = folder / "prepare_points.ply"
    rows = np.empty(len(model.points), [(axis, "<f4") for axis in "xyz"] + [
        (name, "u1") for name in ("red", "green", "blue")])  # fmt: skip
    for column, axis in enumerate("xyz"):
        rows[axis] = model.points[:, column]
    for column, name in enumerate(("red", "green", "blue")):
        rows[name] = model.colors[:, column]
    with replacing(target) as temporary:
        PlyData([PlyElement.describe(rows, "vertex")], byte_order="<").write(str(temporary))
    layers.points.append(
        {
            "name": "prepare: points", "url": scene.relative(target), "pipeline": "",
            "size_bytes": target.stat().st_size, "count": len(rows), "count_whole": len(rows),
        }
    )  # fmt: skip
    layers.sample = model.points if layers.sample is None else layers.sample


def _thin(path: Path, target: Path) -> tuple[int, int, FloatArray]:
    """Write some of the points with their colours: how many, of how many, and where they are."""
    rows = PlyData.read(str(path), mmap=True)["vertex"].data
    taken = rows[:: max(1, -(-len(rows) // MOST_POINTS))]
    names = [name for name in ("red", "green", "blue") if name in rows.dtype.names]
    kinds = [(axis, "<f4") for axis in "xyz"] + [(name, "u1") for name in names]
    thin = np.empty(len(taken), kinds)
    for name, _ in kinds:
        thin[name] = taken[name]
    with replacing(target) as temporary:
        PlyData([PlyElement.describe(thin, "vertex")], byte_order="<").write(str(temporary))
    return len(thin), len(rows), _places(thin, 100_000)


def _places(rows: Any, most: int) -> FloatArray:
    taken = rows[:: max(1, -(-len(rows) // most))]
    places: FloatArray = np.stack([taken[axis] for axis in "xyz"], axis=1).astype(np.float64)
    return places
