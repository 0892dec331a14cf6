"""Stage `export`: cleaned splats in the formats of viewers, and a manifest of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from maquette.recon import gpus
from maquette.recon.frames.folders import remove, replacing_folder
from maquette.recon.mesh.upright import up_direction
from maquette.recon.page_data.manifest import Facts, manifest
from maquette.recon.places.gravity import LARGEST_NADIR_DEG, nadir_angle_deg
from maquette.recon.splats.exporting import ROUNDED, Exported, export, formats, least_lost
from maquette.recon.splats.files.streamed_sog import INDEX, write_streamed_sog
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.importance import importance_in
from maquette.recon.splats.quality import Quality, judges
from maquette.recon.splats.sensitivity import Sensitivity, sensitivity_in
from maquette.recon.splats.trained import Trained, read_trained
from maquette.recon.splats.turning import scaled
from maquette.recon.stages.splat import STAGES, ground_file
from maquette.resources import version
from maquette.scene import georeference, outputs, transforms
from maquette.scene.atomic import write_json
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame, Transforms
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["export"]

MANIFEST = "manifest.json"
_MANY = 1_000_000  # splats that a page had better stream


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Write `<MODEL>.splat`, `.sog` … as FORMATS asks, `<MODEL>_lod/`, and `manifest.json`.

    Raises:
        BadInput: the master is damaged, or nothing fits into SIZE_LIMIT.
    """
    trained = read_trained(scene.results / f"{scene.name}.ply")
    cameras = transforms.read(scene.transforms)
    known = formats(up_direction(cameras.frames, cameras.up), scene.name, options.seed)
    wanted = [name for name in known if name in options.formats.split()]
    for name in known.keys() - set(wanted):
        (scene.results / f"{scene.name}.{name}").unlink(missing_ok=True)  # of an earlier run
    quality = Quality(scene, judges(cameras.frames), trained.gaussians)
    worth = importance_in(trained.gaussians, cameras.frames) if options.size_limit else None
    shown = (
        _sensitivity(trained.gaussians, cameras.frames, quality) if ROUNDED & {*wanted} else None
    )
    exported = {}
    for number, name in enumerate(wanted):
        progress.step("formats", number, len(wanted))
        exported[name] = export(
            scene.results / f"{scene.name}.{name}", trained.gaussians, known[name],
            quality.lost_db, limit_bytes=options.size_limit, worth=worth,
            shown=shown if name in ROUNDED else None, scale=options.scene_scale,
        )  # fmt: skip
    progress.step("formats", len(wanted), len(wanted))
    streamed = _streamed(scene, options, trained.gaussians)
    path = scene.results / MANIFEST
    write_json(path, _manifest(scene, options, trained, cameras, exported, streamed))
    files = [file.path for file in exported.values()]
    kinds = dict.fromkeys(files, outputs.SPLATS)
    kinds |= dict.fromkeys(filter(None, (path, streamed)), outputs.OTHER)
    numbers = {
        f"{name}_{key}": value
        for name, file in exported.items()
        for key, value in _numbers(file).items()
    }
    remarks = [_remark(name, file, trained.gaussians) for name, file in exported.items()]
    return Report(list(kinds), numbers=numbers, kinds=kinds, remarks=[*filter(None, remarks)])


def _streamed(scene: Scene, options: DeclaredOptions, gaussians: Gaussians) -> Path | None:
    """Write splats in parts and levels where that is wanted; returns the index."""
    folder = scene.results / f"{scene.name}_lod"
    if not options.streamed:
        remove(folder)
        return None
    with replacing_folder(folder) as work:
        write_streamed_sog(work, scaled(gaussians, options.scene_scale), seed=options.seed)
    return folder / INDEX


def _sensitivity(
    gaussians: Gaussians, frames: Sequence[Frame], quality: Quality
) -> Sensitivity | None:
    """How much each number of the Gaussians matters; None where no photo tells of errors."""
    if math.isnan(quality.psnr_db):
        return None
    error = 10 ** (-quality.psnr_db / 10)
    return sensitivity_in(gaussians.to(gpus.device_of(1)), frames, error)


def _manifest(
    scene: Scene,
    options: DeclaredOptions,
    trained: Trained,
    cameras: Transforms,
    exported: dict[str, Exported],
    streamed: Path | None,
) -> dict[str, Any]:
    scale, master = options.scene_scale, scene.results / f"{scene.name}.ply"
    files = {name: file.path.name for name, file in exported.items()}
    sizes = {name: file.size_bytes for name, file in exported.items()}
    best = least_lost(exported) if exported else "ply"
    if streamed is not None:
        files["lod"] = streamed.relative_to(scene.results).as_posix()
        sizes["lod"] = sum(file.stat().st_size for file in streamed.parent.rglob("*.*"))
        best = "lod" if len(trained.gaussians) >= _MANY else best
    if scale == 1.0:
        files, sizes = files | {"ply": master.name}, sizes | {"ply": master.stat().st_size}
    facts = Facts(
        files=files or {"ply": master.name},
        sizes=sizes or {"ply": master.stat().st_size},
        best=best,
        region=cameras.region,
        frames=cameras.frames,
        up=up_direction(cameras.frames, cameras.up),
        scale=scale,
        provenance={
            "generator": f"maquette {version()}",
            "pipeline": scene.pipeline,
            "iteration": trained.iteration,
            **_extrapolated(cameras),
        },
        license=options.content_license,
        mesh=_mesh_files(scene),
        ground=ground.name if scale == 1.0 and (ground := ground_file(scene)).is_file() else "",
    )
    made = manifest(scale * trained.gaussians.means.double().numpy(), facts)
    return made | georeference.read(scene.georeference).as_extras()


def _extrapolated(cameras: Transforms) -> dict[str, str]:
    """What is said of a scene that was seen from above alone."""
    up = up_direction(cameras.frames, cameras.up)
    poses = np.stack([frame.world_from_cam for frame in cameras.frames])
    if nadir_angle_deg(poses, up) >= LARGEST_NADIR_DEG:
        return {}
    return {"extrapolated": "all photos look straight down: views from the ground are extrapolated"}


def _mesh_files(scene: Scene) -> dict[str, str]:
    """Names of the files that stage `mesh` left, by format."""
    paths = (scene.results / f"{scene.name}_mesh.{suffix}" for suffix in ("glb", "ply"))
    return {path.suffix[1:]: path.name for path in paths if path.is_file()}


def _numbers(file: Exported) -> dict[str, Any]:
    lost = None if math.isnan(file.lost_db) else round(file.lost_db, 3)
    return {
        "size_bytes": file.size_bytes,
        "splats": file.splats,
        "degree": file.degree,
        "lost_db": lost,
    }


def _remark(name: str, file: Exported, whole: Gaussians) -> str:
    """What a limit cost; "" where it cost nothing."""
    if not file.is_reduced:
        return ""
    share = file.splats / len(whole)
    return (
        f"{name}: {share:.0%} of the splats at degree {file.degree} fit into "
        f"{file.size_bytes / 1e6:.3g} MB, which costs {file.lost_db:.2f} dB"
    )
