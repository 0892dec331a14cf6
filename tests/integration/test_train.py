"""Training on the analytic scene finds its surface and its colours."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from maquette.pipelines.neuralangelo.options import ProcessOptions
from maquette.recon.stages.surface.train import STAGE
from maquette.recon.surface import engine
from maquette.recon.surface.options import TrainingOptions
from maquette.scene import checkpoints
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.running import run_stages
from synthetic_places import Place, room, trace, write_place, yard
from synthetic_scene import (
    GROUND_Z,
    pixel_directions,
    signed_distance,
    truth_mesh,
    write_landmarks,
    write_posed_scene,
)

# A run this short has no iterations to spare for colours alone.
FAST = {
    "model.render.rand_rays": 256, "model.render.cache_resolution": 48,
    "optim.sched.shape_share": 1.0, "data.val.image_size": [30, 40], "data.val.subset": 2,
}  # fmt: skip
CAREFUL = FAST | {"model.render.rand_rays": 384, "model.render.cache_resolution": 64}


def surface_error(scene: Scene) -> float:
    """Mean |f| over the object's visible true surface, share of the sphere's radius."""
    surface = engine.load(checkpoints.chosen(scene.run("experiments")).path)
    points = truth_mesh(40).vertices
    outer = (points[:, 2] > GROUND_Z + 0.05) & (np.abs(signed_distance(points)) < 0.02)
    values = surface.signed_distance(surface.region.unit_from_world(points[outer]))
    return float(np.abs(values).mean())


def test_photographs_with_landmarks_give_surface_and_colours(tmp_path: Path) -> None:
    scene = write_posed_scene(tmp_path / "ball")
    write_landmarks(scene)
    options = ProcessOptions(iterations=80, preset="preview", overrides=CAREFUL)
    (record,) = run_stages([STAGE], "process", scene, options, Progress())
    assert record.numbers["iterations"] == 80
    assert 16.5 < record.numbers["held_out_psnr"] < 40
    assert surface_error(scene) < 0.02
    lines = (scene.run("experiments") / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["render"] for line in lines]
    assert losses[-1] < 0.8 * losses[0]
    (again,) = run_stages([STAGE], "process", scene, options, Progress())
    assert again.started_at == record.started_at  # the key stands: nothing is done twice


def test_photographs_alone_move_the_surface_towards_the_truth(tmp_path: Path) -> None:
    scene = write_posed_scene(tmp_path / "ball")
    options = TrainingOptions(iterations=60, preset="preview", overrides=FAST)
    engine.train(scene, scene.run("experiments"), options, Progress())
    # The initial sphere is 0.25 away on average; 60 iterations only get it moving (to 0.13).
    assert surface_error(scene) < 0.18


@pytest.mark.parametrize(
    ("place", "iterations"), [(room(), 120), (yard(), 80)], ids=["indoor", "outdoor"]
)
def test_places_are_found_from_inside_and_from_outside(
    tmp_path: Path, place: Place, iterations: int
) -> None:
    scene = write_place(tmp_path / "place", place)
    options = TrainingOptions(iterations=iterations, overrides=CAREFUL)
    engine.train(scene, scene.run("experiments"), options, Progress())
    surface = engine.load(checkpoints.chosen(scene.run("experiments")).path)
    region = surface.region
    # Every point that a camera sees lies on the model's surface …
    seen = []
    for frame in place.frames[::4]:
        eye, directions = frame.world_from_cam[:3, 3], pixel_directions(frame)[::7]
        hit = eye + trace(place.distance, eye, directions)[:, None] * directions
        seen.append(hit[np.linalg.norm(region.unit_from_world(hit), axis=1) < 0.95])
    missing = np.abs(surface.signed_distance(region.unit_from_world(np.concatenate(seen))))
    assert float(missing.mean()) < 0.025 and float(np.quantile(missing, 0.95)) < 0.09
    # … and every point of the model's surface that a camera sees lies on the true one.
    extra = []
    for frame in place.frames[::4]:
        view = surface.render(frame, 40, 30)
        small = replace(frame, intrinsics=frame.intrinsics.scaled(40, 30))
        directions = pixel_directions(small)
        depth = view.depth.reshape(-1) / (directions @ frame.world_from_cam[:3, 2])
        found = depth > 0
        points = frame.world_from_cam[:3, 3] + depth[found, None] * directions[found]
        extra.append(np.abs(place.distance(points)) / region.radius)
    distances = np.concatenate(extra)
    assert float(distances.mean()) < 0.025 and float(np.quantile(distances, 0.95)) < 0.09
