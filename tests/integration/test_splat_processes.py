"""Splats that several processes train together are those of one process with the same batch."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from maquette.errors import ConfigError, JobFailed
from maquette.recon.splats.options import SplatOptions
from maquette.recon.splats.trainer import SplatTrainer
from maquette.recon.splats.training import METHOD, train
from maquette.recon.training import checkpoint_files
from maquette.recon.training.options import RunOptions
from maquette.recon.training.trainable import Metrics
from maquette.scene import checkpoints
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.transforms import Transforms
from maquette.scene.transforms import write as write_transforms
from sparse_models import around, ball, write_workspace
from splat_ring import frames_around

OPTIONS = SplatOptions(iterations=40, batch=0, cap=400, exposure=True)
GROWS_AT = 10  # the step that ends with 20 photographs
STRATEGIES = ["mcmc", "classic"]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    made = Scene(tmp_path_factory.mktemp("ring"), "splat")
    frames = frames_around(made, 8, 40)
    middle = np.zeros(3)
    points = ball(100, middle, 0.6)
    write_workspace(made.root, around(middle, 3.0, 8, points), photos=False)
    write_transforms(made.transforms, Transforms(tuple(frames), Region.around([0, 0, 0], 1.0)))
    return made


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def run(scene: Scene, group: str, gpus: int, options: SplatOptions, checkpoint: str = "") -> None:
    """Train, and keep the checkpoints before and after the set grew."""
    ways = RunOptions(gpus=gpus, checkpoint=checkpoint, save_iterations=GROWS_AT - 1, keep=9)
    train(scene, group, options, ways, Progress(None))


def state(scene: Scene, group: str, iteration: str = "") -> dict[str, Any]:
    found = checkpoints.chosen(scene.run(group), iteration).path
    return checkpoint_files.read(found, METHOD.form)


def assert_equal(one: Any, other: Any, name: str = "") -> None:
    """Two states are the same to the last bit, but for the names of other checkpoints."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), name
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one.keys() - {"finals"}:
            assert_equal(one[key], other[key], f"{name}.{key}")
    elif isinstance(one, list):
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_equal(*pair, f"{name}[{number}]")
    else:
        assert one == other, name


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_processes_train_what_one_does_with_a_batch_of_two_and_so_it_goes_on(
    scene: Scene, strategy: str
) -> None:
    options = replace(OPTIONS, strategy=strategy)
    two, one = f"{strategy} two", f"{strategy} one"
    run(scene, two, 2, options)
    before, after = state(scene, two, str(GROWS_AT - 1)), state(scene, two)
    assert len(after["splats"]["means"]) > len(before["splats"]["means"])
    assert after["iteration"] == 20 and after["photos"] == 40
    run(scene, one, 1, replace(options, batch=2))
    assert_equal(after, state(scene, one))
    went_on = scene.run(f"{strategy} went on")
    shutil.copytree(scene.run(two), went_on)
    run(scene, went_on.name, 1, options, checkpoint=str(GROWS_AT - 1))
    assert_equal(after, state(scene, went_on.name))


def test_a_run_of_one_photograph_a_step_goes_on_with_two(scene: Scene) -> None:
    run(scene, "begun by one", 1, replace(OPTIONS, iterations=5))
    assert state(scene, "begun by one")["iteration"] == 5
    run(scene, "begun by one", 2, replace(OPTIONS, iterations=12))
    found = state(scene, "begun by one")
    assert (found["iteration"], found["photos"]) == (5 + 4, 5 + 4 * 2)


def test_a_killed_process_ends_the_run_with_a_sentence(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = SplatTrainer.step

    def then_kill(self: SplatTrainer) -> Metrics:
        if self.iteration == 2:
            for child in psutil.Process().children():
                if "training.worker" in " ".join(child.cmdline()):
                    child.kill()
        return step(self)

    monkeypatch.setattr(SplatTrainer, "step", then_kill)
    with pytest.raises(JobFailed, match="one of the training processes ended early"):
        run(scene, "killed", 2, OPTIONS)


def test_a_batch_that_processes_can_not_share_is_refused(scene: Scene) -> None:
    with pytest.raises(ConfigError, match="BATCH is 3 and can not be shared by GPU=2") as caught:
        run(scene, "refused", 2, replace(OPTIONS, batch=3))
    assert caught.value.hint == "try BATCH=4, or leave BATCH out"
    assert not scene.run("refused").exists()
