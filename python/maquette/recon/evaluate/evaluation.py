"""Evaluate a scene and write `evaluation.json`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from maquette.recon.evaluate.cameras import CameraErrors, compare_cameras
from maquette.recon.evaluate.similarity import Similarity
from maquette.recon.evaluate.surfaces import (
    SAMPLES,
    THRESHOLD_SHARE,
    SurfaceErrors,
    compare_surfaces,
)
from maquette.recon.evaluate.truth import GroundTruth, read_truth, source_keys
from maquette.recon.evaluate.views import Pair, draw_pairs, held_out, render_pairs
from maquette.recon.mesh.reading import read_mesh
from maquette.recon.mesh.surface_protocol import Surface
from maquette.scene import checkpoints, stage_records, transforms
from maquette.scene.atomic import replacing, write_json
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.transforms import Frame, Transforms

Load = Callable[[Path], Surface]
KEYS = (
    "registered_ratio",
    "camera_error_relative",
    "chamfer_relative",
    "accuracy_relative",
    "completeness_relative",
    "f_score",
    "psnr_db",
    "ssim",
)


def run(
    scene: Scene,
    group: str,
    progress: Progress,
    truth_folder: Path | None = None,
    load: Load | None = None,
    samples: int = SAMPLES,
) -> dict[str, Any]:
    """Measure what can be measured; the rest is null.

    Args:
        truth_folder: Where ground_truth.json lies; by default the scene's own.
        load: Opens a checkpoint; by default the native engine.
        samples: Points spread over each surface.
    Returns:
        What was written: one value for each of KEYS, and `details`. Camera errors are divided
        by the orbit's radius (mean distance of the true cameras from the object's middle),
        surface errors by the radius of the region's sphere.
    Raises:
        NotFound: the scene has no cameras yet.
        BadInput: the truth or a picture is unusable.
    """
    cameras = transforms.read(scene.transforms)
    truth = read_truth(truth_folder or scene.ground_truth)
    details: dict[str, Any] = {"ground_truth": truth is not None}
    result: dict[str, Any] = dict.fromkeys(KEYS)
    result["registered_ratio"] = _registered_ratio(scene, cameras, details)
    if truth is not None:
        errors = _cameras(scene, cameras, truth, result, details)
        if errors is not None:
            progress.step("surface", 0, 1)
            _surfaces(
                scene, cameras.region, truth, errors.truth_from_world, samples, result, details
            )
            progress.step("surface", 1, 1)
    _views(scene, group, cameras, result, details, progress, load)
    result["details"] = details
    write_json(scene.evaluation, result)
    return result


def _registered_ratio(scene: Scene, cameras: Transforms, details: dict[str, Any]) -> float | None:
    keys = source_keys(scene)
    pictures = len(keys) or sum(path.is_file() for path in scene.images_raw.glob("*"))
    details |= {"registered": len(cameras.frames), "images": pictures or None}
    return round(len(cameras.frames) / pictures, 4) if pictures else None


def _cameras(
    scene: Scene,
    cameras: Transforms,
    truth: GroundTruth,
    result: dict[str, Any],
    details: dict[str, Any],
) -> CameraErrors | None:
    pairs = _matched(scene, cameras.frames, truth)
    details["cameras_compared"] = len(pairs)
    if len(pairs) < 3:
        return None
    estimated, true = (np.stack(poses) for poses in zip(*pairs, strict=True))
    errors = compare_cameras(estimated, true)
    relative = errors.position / truth.orbit_radius
    result["camera_error_relative"] = _round(relative.mean())
    details |= {
        "orbit_radius": _round(truth.orbit_radius),
        "camera_error_relative_median": _round(np.median(relative)),
        "camera_error_relative_max": _round(relative.max()),
        "camera_rotation_error_deg": _round(errors.rotation_deg.mean()),
        "truth_from_world_scale": _round(errors.truth_from_world.scale),
    }
    return errors


def _matched(scene: Scene, frames: tuple[Frame, ...], truth: GroundTruth) -> list[tuple[Any, Any]]:
    """Estimated and true world_from_cam of every frame whose truth is known."""
    keys = source_keys(scene)
    named = [(frame, keys.get(Path(frame.file_path).name)) for frame in frames]
    return [
        (frame.world_from_cam, truth.poses[key])
        for frame, key in named
        if key is not None and key in truth.poses
    ]


def _surfaces(
    scene: Scene,
    region: Region,
    truth: GroundTruth,
    truth_from_world: Similarity,
    samples: int,
    result: dict[str, Any],
    details: dict[str, Any],
) -> None:
    path = scene.results / f"{scene.name}.ply"
    if truth.mesh is None or not path.is_file():
        return
    mesh = read_mesh(path)
    moved = replace(mesh, vertices=truth_from_world.apply(mesh.vertices))
    radius = region.radius * truth_from_world.scale
    threshold = THRESHOLD_SHARE * radius
    errors = compare_surfaces(moved, truth.mesh, truth.box, threshold, samples)
    details |= {"sphere_radius": _round(radius), "f_score_threshold_relative": THRESHOLD_SHARE}
    if errors is None:
        details["remark"] = "no part of the mesh lies in the evaluation box of the ground truth"
        result["f_score"] = 0.0
        return
    _note_surfaces(errors, radius, result, details)


def _note_surfaces(
    errors: SurfaceErrors, radius: float, result: dict[str, Any], details: dict[str, Any]
) -> None:
    result |= {
        "chamfer_relative": _round(errors.chamfer / radius),
        "accuracy_relative": _round(errors.accuracy / radius),
        "completeness_relative": _round(errors.completeness / radius),
        "f_score": _round(errors.f_score),
    }
    details |= {
        "precision": _round(errors.precision),
        "recall": _round(errors.recall),
        "result_points": errors.result_points,
        "truth_points": errors.truth_points,
    }


def _views(
    scene: Scene,
    group: str,
    cameras: Transforms,
    result: dict[str, Any],
    details: dict[str, Any],
    progress: Progress,
    load: Load | None,
) -> None:
    choice = checkpoints.newest(scene.run(group))
    frames = held_out(cameras.frames)
    if choice is None or not frames:
        return
    surface = (load or _load)(choice.path)
    pairs = render_pairs(
        scene, surface, frames, lambda done, total: progress.step("views", done, total)
    )
    _note_views(pairs, result, details)
    mesh_record = stage_records.read(scene, "mesh")
    extracted = mesh_record.numbers.get("iteration") if mesh_record else None
    details |= {"iteration": surface.iteration, "mesh_iteration": extracted}
    if extracted not in (None, surface.iteration):
        progress.warn(
            f"the mesh is of iteration {extracted}, the pictures of {surface.iteration}; "
            "run `make extract` again"
        )
    path = scene.results / f"{scene.name}_held_out.png"
    with replacing(path) as temporary:
        draw_pairs(pairs).save(temporary)


def _note_views(pairs: list[Pair], result: dict[str, Any], details: dict[str, Any]) -> None:
    result["psnr_db"] = _round(np.mean([pair.psnr_db for pair in pairs]))
    result["ssim"] = _round(np.mean([pair.ssim for pair in pairs]))
    details["held_out_views"] = {
        pair.file_path: {"psnr_db": _round(pair.psnr_db), "ssim": _round(pair.ssim)}
        for pair in pairs
    }


def _round(value: Any) -> float:
    return float(f"{float(value):.6g}")


def _load(checkpoint: Path) -> Surface:
    from maquette.recon.surface import engine

    return engine.load(checkpoint)
