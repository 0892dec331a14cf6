"""Evaluate a scene and write `evaluation.json`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from maquette.recon.evaluate.cameras import compare_cameras
from maquette.recon.evaluate.findings import KEYS, SURFACE, VIEWS, Findings, rounded
from maquette.recon.evaluate.protocols import NotMeasured, OpenRenderer
from maquette.recon.evaluate.results import find_surface
from maquette.recon.evaluate.similarity import Similarity
from maquette.recon.evaluate.surfaces import (
    FINE_SHARE,
    SAMPLES,
    THRESHOLD_SHARE,
    Shape,
    SurfaceErrors,
    compare_surfaces,
)
from maquette.recon.evaluate.truth import GroundTruth, read_truth, source_keys
from maquette.recon.evaluate.views import Pair, draw_pairs, held_out, render_pairs
from maquette.recon.geometry.points import PointCloud
from maquette.scene import transforms
from maquette.scene.atomic import replacing, write_json
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.transforms import Frame, Transforms

__all__ = ["KEYS", "run"]

_NO_TRUTH = "the scene has no ground truth: GROUND_TRUTH=folder names one"
_NOTHING_IN_BOX = "no part of the result lies in the evaluation box of the ground truth"
_LEAST_CAMERAS = 3


def run(
    scene: Scene,
    group: str,
    progress: Progress,
    truth_folder: Path | None = None,
    open_renderer: OpenRenderer | None = None,
    samples: int = SAMPLES,
) -> dict[str, Any]:
    """Measure what can be measured; the rest is null, and `reasons` says why.

    Args:
        truth_folder: Where ground_truth.json lies; by default the scene's own.
        open_renderer: Opens what shows held-out views; None for a pipeline that shows none.
        samples: Points spread over each surface.
    Returns:
        What was written: one value for each of KEYS, `reasons` and `details`. Camera errors are
        divided by the orbit's radius (mean distance of the true cameras from the object's
        middle), surface errors by the radius of the region's sphere.
    Raises:
        NotFound: the scene has no cameras yet.
        BadInput: the truth, a result or a picture is unusable.
    """
    cameras = transforms.read(scene.transforms)
    truth = read_truth(truth_folder or scene.ground_truth)
    found = Findings()
    found.details["ground_truth"] = truth is not None
    _registered_ratio(scene, cameras, found)
    with found.measuring("camera_error_relative", *SURFACE):
        if truth is None:
            raise NotMeasured(_NO_TRUTH)
        truth_from_world = _cameras(scene, cameras, truth, found)
        progress.step("surface", 0, 1)
        _surface(scene, cameras.region, truth, truth_from_world, samples, found)
        progress.step("surface", 1, 1)
    with found.measuring(*VIEWS):
        _views(scene, group, cameras, found, progress, open_renderer)
    document = found.document()
    write_json(scene.evaluation, document)
    return document


def _registered_ratio(scene: Scene, cameras: Transforms, found: Findings) -> None:
    pictures = len(source_keys(scene)) or sum(p.is_file() for p in scene.images_raw.glob("*"))
    found.details |= {"registered": len(cameras.frames), "images": pictures or None}
    if pictures:
        found.values["registered_ratio"] = round(len(cameras.frames) / pictures, 4)
    else:
        found.lacks("the pictures that were to be registered are not in the scene",
                    "registered_ratio")  # fmt: skip


def _cameras(scene: Scene, cameras: Transforms, truth: GroundTruth, found: Findings) -> Similarity:
    pairs = _matched(scene, cameras.frames, truth)
    found.details["cameras_compared"] = len(pairs)
    if len(pairs) < _LEAST_CAMERAS:
        raise NotMeasured(
            f"the ground truth knows {len(pairs)} of the scene's cameras, "
            f"{_LEAST_CAMERAS} are needed to compare"
        )
    estimated, true = (np.stack(poses) for poses in zip(*pairs, strict=True))
    errors = compare_cameras(estimated, true)
    relative = errors.position / truth.orbit_radius
    found.note(camera_error_relative=relative.mean())
    found.details |= {
        "orbit_radius": rounded(truth.orbit_radius),
        "camera_error_relative_median": rounded(np.median(relative)),
        "camera_error_relative_max": rounded(relative.max()),
        "camera_rotation_error_deg": rounded(errors.rotation_deg.mean()),
        "truth_from_world_scale": rounded(errors.truth_from_world.scale),
    }
    return errors.truth_from_world


def _matched(scene: Scene, frames: tuple[Frame, ...], truth: GroundTruth) -> list[tuple[Any, Any]]:
    """Estimated and true world_from_cam of every frame whose truth is known."""
    keys = source_keys(scene)
    named = [(frame, keys.get(Path(frame.file_path).name)) for frame in frames]
    return [
        (frame.world_from_cam, truth.poses[key])
        for frame, key in named
        if key is not None and key in truth.poses
    ]


def _surface(
    scene: Scene, region: Region, truth: GroundTruth, truth_from_world: Similarity, samples: int,
    found: Findings,
) -> None:  # fmt: skip
    if truth.mesh is None:
        raise NotMeasured("the ground truth has no mesh: object_mesh in ground_truth.json")
    result = find_surface(scene)
    shape = moved(result.read(), truth_from_world)
    radius = region.radius * truth_from_world.scale
    errors = compare_surfaces(shape, truth.mesh, truth.box, THRESHOLD_SHARE * radius, samples)
    found.details |= {
        "surface": scene.relative(result.path),
        "sphere_radius": rounded(radius),
        "f_score_threshold_relative": THRESHOLD_SHARE,
        "f_score_fine_threshold_relative": FINE_SHARE * THRESHOLD_SHARE,
    }
    if errors is None:
        found.note(f_score=0.0, f_score_fine=0.0)
        raise NotMeasured(_NOTHING_IN_BOX)
    _note_surface(errors, radius, found)


def moved(shape: Shape, similarity: Similarity) -> Shape:
    """A shape in another frame."""
    if isinstance(shape, PointCloud):
        turned = None if shape.normals is None else shape.normals @ similarity.rotation.T
        return PointCloud(similarity.apply(shape.points), turned)
    return replace(shape, vertices=similarity.apply(shape.vertices))


def _note_surface(errors: SurfaceErrors, radius: float, found: Findings) -> None:
    found.note(
        chamfer_relative=errors.chamfer / radius,
        accuracy_relative=errors.accuracy / radius,
        completeness_relative=errors.completeness / radius,
        f_score=errors.f_score,
        f_score_fine=errors.f_score_fine,
    )
    found.details |= {
        "precision": rounded(errors.precision),
        "recall": rounded(errors.recall),
        "result_points": errors.result_points,
        "truth_points": errors.truth_points,
    }
    if errors.normal_consistency is None:
        found.lacks("the points have no normals", "normal_consistency")
    else:
        found.note(normal_consistency=errors.normal_consistency)


def _views(
    scene: Scene, group: str, cameras: Transforms, found: Findings, progress: Progress,
    open_renderer: OpenRenderer | None,
) -> None:  # fmt: skip
    if open_renderer is None:
        raise NotMeasured("this pipeline renders no views")
    frames = held_out(cameras.frames)
    if not frames:
        raise NotMeasured(f"no view is held out of {len(cameras.frames)}: 12 images are needed")
    renderer = open_renderer(scene, group)
    pairs = render_pairs(
        scene, renderer, frames, lambda done, total: progress.step("views", done, total)
    )
    _note_views(pairs, found)
    _note_iterations(scene, renderer.iteration, found, progress)
    path = scene.results / f"{scene.name}_held_out.png"
    with replacing(path) as temporary:
        draw_pairs(pairs).save(temporary)


def _note_iterations(
    scene: Scene, iteration: int | None, found: Findings, progress: Progress
) -> None:
    """Note which training views and surface show, and warn when they differ."""
    extracted = None
    with found.measuring():
        extracted = find_surface(scene).iteration(scene)
    found.details |= {"iteration": iteration, "mesh_iteration": extracted}
    if extracted not in (None, iteration):
        progress.warn(
            f"the mesh is of iteration {extracted}, the pictures of {iteration}; "
            "run `make extract` again"
        )


def _note_views(pairs: list[Pair], found: Findings) -> None:
    pairs = [pair for pair in pairs if pair.shown.any()]
    if not pairs:
        raise NotMeasured("none of the held-out views shows any of the result")
    found.details["held_out_shown_share"] = rounded(np.mean([p.shown.mean() for p in pairs]))
    found.note(
        psnr_db=np.mean([pair.psnr_db for pair in pairs]),
        ssim=np.mean([pair.ssim for pair in pairs]),
    )
    found.details["held_out_views"] = {
        pair.file_path: {"psnr_db": rounded(pair.psnr_db), "ssim": rounded(pair.ssim)}
        for pair in pairs
    }
