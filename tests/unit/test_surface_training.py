"""Runs of the surface: resumed exactly and never silently mixed (all runs: test_training_runs)."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh

from maquette.errors import BadInput, ConfigError, Interrupted, JobFailed
from maquette.recon.surface import engine, states, trainer
from maquette.recon.surface.options import TrainingOptions
from maquette.recon.surface.trainer import Trainer
from maquette.recon.training import loop
from maquette.scene import checkpoints, transforms
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from synthetic_scene import write_posed_scene
from training_comparison import same

TINY: dict[str, Any] = {
    "model.object.sdf.encoding.levels": 3, "model.object.sdf.encoding.hashgrid.max_logres": 5,
    "model.object.sdf.encoding.hashgrid.dict_size": 9, "model.object.sdf.mlp.hidden_dim": 8,
    "model.object.sdf.encoding.coarse2fine.init_active_level": 1,
    "model.object.rgb.mlp.hidden_dim": 8, "model.background.encoding.levels": 2,
    "model.background.encoding.hashgrid.dict_size": 8, "model.background.mlp.hidden_dim": 8,
    "model.appear_embed.enabled": True, "model.render.rand_rays": 16,
    "model.render.cache_resolution": 12, "data.val.image_size": [9, 12], "data.val.subset": 1,
    "logging_iter": 2,
}  # fmt: skip


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return write_posed_scene(tmp_path / "ball", 12, 16, 12)


class Listener(Progress):
    """Keeps what was said."""

    def __init__(self) -> None:
        super().__init__(log=io.StringIO())
        self.said: list[str] = []

    def _emit(self, kind: str, **fields: Any) -> None:
        self.said.append(str(fields.get("text", "")))


def options(iterations: int, **changes: Any) -> TrainingOptions:
    told = {"iterations": iterations, "preset": "preview", "overrides": TINY}
    return TrainingOptions(**{**told, **changes})


def train(
    scene: Scene, chosen: TrainingOptions, listener: Progress | None = None,
    group: str = "experiments",
) -> dict[str, float | int]:  # fmt: skip
    return engine.train(scene, scene.run(group), chosen, listener or Listener())


def stop_after(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    asked = iter(range(10_000))
    monkeypatch.setattr(loop, "stop_requested", lambda: next(asked) + 1 >= count)


def state(scene: Scene, group: str = "experiments") -> dict[str, Any]:
    return states.read(checkpoints.chosen(scene.run(group)).path)


def test_stopped_and_resumed_run_equals_the_uninterrupted_one(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(scene, options(12), group="whole")
    with monkeypatch.context() as patch:
        stop_after(patch, 5)
        with pytest.raises(Interrupted, match="stopped at iteration 5 and was saved"):
            train(scene, options(12))
    assert state(scene)["iteration"] == 5
    torch.manual_seed(99)  # whatever happened in between must not matter
    train(scene, options(12))
    whole, resumed = state(scene, "whole"), state(scene)
    for part in ("model", "optim", "sched", "phase", "iteration", "epoch", "settings"):
        assert same(whole[part], resumed[part]), part
    assert same(whole["random"]["sampler"], resumed["random"]["sampler"])


def test_a_run_that_holds_a_part_of_the_photographs_resumes_exactly(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = options(12, cache_bytes=5 * 16 * 12 * 3)  # three at a time, and two that are coming
    train(scene, some, group="whole")
    with monkeypatch.context() as patch:
        stop_after(patch, 5)
        with pytest.raises(Interrupted):
            train(scene, some)
    interrupted = state(scene)["views"]
    assert interrupted["size"] == 3 and interrupted["position"] > 0
    train(scene, some)
    whole, resumed = state(scene, "whole"), state(scene)
    for part in ("model", "optim", "views"):
        assert same(whole[part], resumed[part]), part
    assert whole["views"]["position"] > len(whole["views"]["order"])  # all had their turn


def test_a_shape_that_stands_is_left_alone_while_colours_go_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, 6)  # of 12, half of which change the shape
        with pytest.raises(Interrupted):
            train(scene, options(12))
    before = state(scene)["model"]
    train(scene, options(12))
    after = state(scene)["model"]
    still = {key for key in before if same(before[key], after[key])}
    shape = {key for key in before if key.startswith("sdf.")} | {"variance"}
    assert shape <= still and shape
    assert not {"color.head.weight", "color.grid.table", "background.grid.table"} & still


def test_run_folder_holds_what_the_design_says(scene: Scene) -> None:
    listener = Listener()
    numbers = train(scene, options(8), listener)
    run = scene.run("experiments")
    name = "epoch_00001_iteration_000000008_checkpoint.pt"
    assert checkpoints.read_pointer(run) == name and (run / name).is_file()
    assert (run / "config.yaml").is_file()
    assert len(list((run / "previews").glob("iteration_*.png"))) == 3
    entries = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [entry["iteration"] for entry in entries] == [2, 4, 6, 8]
    assert {"loss", "eikonal", "psnr", "s", "it_per_s", "active_levels", "lr"} <= entries[0].keys()
    assert numbers["iterations"] == 8 and numbers["held_out_psnr"] > 3


def test_more_iterations_continue_and_the_schedule_follows(scene: Scene) -> None:
    train(scene, options(6))
    listener = Listener()
    numbers = train(scene, options(10), listener)
    assert numbers["iterations"] == 10
    assert any("continuing at iteration 6 of 10" in text for text in listener.said)
    assert any("made for 6 iterations and now follows 10" in text for text in listener.said)
    again = Listener()
    assert train(scene, options(10), again)["iterations"] == 10
    assert any("nothing to do" in text for text in again.said)


def test_changed_region_and_network_are_refused(scene: Scene) -> None:
    train(scene, options(2))
    wider = replace(options(3), overrides=TINY | {"model.object.sdf.mlp.hidden_dim": 12})
    with pytest.raises(BadInput, match="network's settings differ") as caught:
        train(scene, wider)
    assert "hidden_dim: 8 -> 12" in caught.value.detail and "FRESH=1" in caught.value.hint
    cameras = transforms.read(scene.transforms)
    moved = Region.around(cameras.region.center, cameras.region.radius * 0.99, cameras.region.box)
    transforms.write(scene.transforms, transforms.Transforms(cameras.frames, moved))
    with pytest.raises(BadInput, match="sphere was changed after training") as caught:
        train(scene, options(3))
    assert "FRESH=1" in caught.value.hint


def test_fresh_with_settings_that_can_not_be_leaves_the_earlier_run_where_it_is(
    scene: Scene,
) -> None:
    run = scene.run("experiments")
    checkpoints.write_pointer(run, "a checkpoint of before")
    wrong = options(3, fresh=True, overrides={"model.object.sdf.mlp.hiden_dim": 12})
    with pytest.raises(ConfigError):
        train(scene, wrong)
    assert [path.name for path in run.parent.iterdir()] == [run.name]


def test_nan_ends_the_run_and_keeps_the_last_good_checkpoint(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(scene, options(3))
    original: Callable[..., Any] = Trainer.step

    def poisoned(self: Trainer) -> dict[str, float]:
        if self.iteration == 4:
            with torch.no_grad():
                self.model.sdf.head.weight.fill_(float("nan"))
        result: dict[str, float] = original(self)
        return result

    monkeypatch.setattr(Trainer, "step", poisoned)
    with pytest.raises(JobFailed, match="not a number at iteration 4"):
        train(scene, options(12))
    assert state(scene)["iteration"] == 3


def test_loaded_surface_answers_in_the_promised_shapes(scene: Scene) -> None:
    train(scene, options(2))
    surface = engine.load(checkpoints.chosen(scene.run("experiments")).path)
    cameras = transforms.read(scene.transforms)
    assert surface.region == cameras.region and surface.iteration == 2
    points = torch.rand(70, 3).numpy()
    assert surface.signed_distance(points).shape == (70,)
    assert surface.colors(points, points).shape == (70, 3)
    view = surface.render(cameras.frames[0], 10, 8, chunk=33)
    assert view.rgb.shape == (8, 10, 3) and view.depth.shape == (8, 10)
    assert view.normal.shape == (8, 10, 3) and view.rgb.dtype == "float32"
    solid = view.depth[view.depth > 0]
    assert len(solid) and 0.2 < solid.mean() / cameras.region.radius < 1.0


def test_out_of_memory_halves_the_rays_once_and_then_names_a_preset(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    original: Callable[..., Any] = Trainer.step
    limit = 8

    def greedy(self: Trainer) -> dict[str, float]:
        if self.rays > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        result: dict[str, float] = original(self)
        return result

    monkeypatch.setattr(Trainer, "step", greedy)
    listener = Listener()
    assert train(scene, options(4), listener)["iterations"] == 4
    assert any("going on with 8 rays an iteration, not 16" in text for text in listener.said)
    assert state(scene)["rays"] == 8
    assert train(scene, options(6))["iterations"] == 6  # still with 8
    limit = 2
    with pytest.raises(JobFailed, match="out of memory, also with 4 rays") as caught:
        train(scene, options(9))
    assert "PRESET=full-8gb" in caught.value.hint
    assert state(scene)["iteration"] == 6


def test_mixed_precision_trains_like_full_precision(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = []
    for mixed in (False, True):
        monkeypatch.setattr(trainer, "has_bfloat16", lambda device, mixed=mixed: mixed)
        train(scene, options(20), group=f"mixed-{mixed}")
        lines = (scene.run(f"mixed-{mixed}") / "metrics.jsonl").read_text().splitlines()
        losses.append(json.loads(lines[-1])["render"])
    assert losses[0] != losses[1]
    assert abs(losses[0] - losses[1]) < 0.1 * losses[0]


def test_metrics_go_to_tensorboard_too(scene: Scene) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(scene, options(4))
    train(scene, options(8))
    board = EventAccumulator(str(scene.run("experiments") / "tensorboard")).Reload()
    assert [event.step for event in board.Scalars("psnr")] == [2, 4, 6, 8]
    assert {"loss", "render", "eikonal", "curvature", "s", "it_per_s"} <= set(
        board.Tags()["scalars"]
    )


def test_a_coarse_mesh_lies_beside_each_preview(scene: Scene) -> None:
    train(scene, options(4))
    found = sorted((scene.run("experiments") / "previews").glob("*.ply"))
    assert [path.stem for path in found] == [f"iteration_{n:09}" for n in (1, 2, 4)]
    mesh = trimesh.load(found[-1])
    region = transforms.read(scene.transforms).region
    away = np.linalg.norm(region.unit_from_world(mesh.vertices), axis=1)
    assert len(mesh.faces) > 100 and 0.3 < away.mean() < 0.7  # about the sphere it starts from
