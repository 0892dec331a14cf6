"""Several processes train as one: same batches, same gradients, nothing left behind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from maquette.recon.surface import engine, states, training
from maquette.recon.surface.options import TrainingOptions
from maquette.recon.training import workers
from maquette.recon.training.process_group import ProcessGroup
from maquette.recon.training.starting import begin
from maquette.scene import checkpoints
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from synthetic_scene import write_landmarks, write_posed_scene
from threads import threads

SMALL: dict[str, Any] = {
    "model.object.sdf.encoding.levels": 4, "model.object.sdf.encoding.hashgrid.max_logres": 6,
    "model.object.sdf.encoding.hashgrid.dict_size": 10, "model.object.sdf.mlp.hidden_dim": 16,
    "model.object.rgb.encoding.hashgrid.dict_size": 10, "model.appear_embed.enabled": True,
    "model.background.encoding.hashgrid.dict_size": 9, "model.render.rand_rays": 96,
    "model.render.cache_resolution": 24, "data.val.image_size": [12, 16], "data.val.subset": 1,
    "data.train.focus": 0.0,  # it prefers rays within a process' own share
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Sums of another number of threads round otherwise, and training makes much of little."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with threads(1):
        yield


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    made = write_posed_scene(tmp_path / "ball", 12, 40, 30)
    write_landmarks(made)
    return made


def options(iterations: int, gpus: int, **changes: Any) -> TrainingOptions:
    return TrainingOptions(
        iterations=iterations, preset="preview", overrides=SMALL, gpus=gpus, **changes
    )


def gradients_after_one_step(root: Path, rank: int, world: int) -> dict[str, torch.Tensor]:
    trainer = training.build(
        Scene(root, "neuralangelo"), options(10, world), ProcessGroup(rank, world)
    )
    begin(trainer, None, ProcessGroup(rank, world))
    trainer.step()
    return {name: p.grad for name, p in trainer.model.named_parameters() if p.grad is not None}


def _one_of_two(rank: int, meeting: Path, root: Path, result: Path) -> None:
    torch.set_num_threads(1)
    workers.join(torch.distributed.FileStore(str(meeting), 2), rank, 2)
    torch.save(gradients_after_one_step(root, rank, 2), result / f"{rank}.pt")
    assert "torch._dynamo" not in sys.modules  # see surface/optimizer.py


def test_two_processes_have_the_gradient_of_one_with_the_whole_batch(
    scene: Scene, tmp_path: Path
) -> None:
    arguments = (tmp_path / "meeting", scene.root, tmp_path)
    torch.multiprocessing.spawn(_one_of_two, arguments, nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    whole = gradients_after_one_step(scene.root, 0, 1)
    assert whole.keys() == first.keys()
    for name, gradient in whole.items():
        assert torch.equal(first[name], second[name]), name
        scale = float(gradient.abs().max())
        assert scale > 0 or name == "variance", name
        assert torch.allclose(first[name], gradient, atol=1e-4 * scale), name


def test_a_run_of_two_processes_equals_a_run_of_one(scene: Scene) -> None:
    for group, gpus in (("one", 1), ("two", 2)):
        engine.train(scene, scene.run(group), options(12, gpus), Progress())
    one, two = (
        states.read(checkpoints.chosen(scene.run(group)).path)["model"] for group in ("one", "two")
    )
    moved = [float((one[key] - two[key]).abs().mean()) for key in one if "weight" in key]
    assert max(moved) < 1e-3
    assert not _workers()


def _workers() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE and "training.worker" in " ".join(child.cmdline())
    ]
