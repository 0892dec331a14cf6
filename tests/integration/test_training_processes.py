"""Any method that can share a batch trains in several processes, of which none is left behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

import tiny_trainable
from maquette.errors import ConfigError, JobFailed
from maquette.recon.training import checkpoint_files, runs
from maquette.recon.training.options import RunOptions
from maquette.recon.training.process_group import ProcessGroup
from maquette.recon.training.starting import begin
from maquette.recon.training.trainable import Metrics
from maquette.scene import checkpoints
from maquette.scene.events import Progress
from tiny_trainable import METHOD, Line


@pytest.fixture(autouse=True)
def methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Helper processes find the method by its module's name."""
    places = [str(Path(tiny_trainable.__file__).parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, places)))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def train(run: Path, total: int, gpus: int, **arguments: Any) -> dict[str, Any]:
    given = {"total": total, "batch": 8 // gpus, **arguments}
    runs.train(METHOD, given, run, RunOptions(gpus=gpus), Progress(None))
    return checkpoint_files.read(checkpoints.chosen(run).path, METHOD.form)


def helpers() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE and "training.worker" in " ".join(child.cmdline())
    ]


def test_two_processes_go_on_with_the_path_of_one(tmp_path: Path) -> None:
    one = train(tmp_path / "one", 12, 1)
    checkpoint = train(tmp_path / "two", 6, 1) | {"batch": 4}  # a process' share of 8
    checkpoint_files.save(tmp_path / "two", checkpoint, 3)
    two = train(tmp_path / "two", 12, 2)
    assert torch.allclose(one["model"]["weights"], two["model"]["weights"], atol=1e-6)
    assert torch.equal(one["random"]["sampler"], two["random"]["sampler"])
    assert not helpers()


def test_a_dead_helper_ends_the_run_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Line.step

    def then_kill(self: Line) -> Metrics:
        if self.iteration == 3:
            for helper in helpers():
                os.kill(helper.pid, signal.SIGKILL)
        return step(self)

    monkeypatch.setattr(Line, "step", then_kill)
    with pytest.raises(JobFailed, match="one of the training processes ended early"):
        train(tmp_path / "run", 1000, 2)
    assert not helpers()


def test_a_helper_that_can_not_begin_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "")  # it does not find the method
    with pytest.raises(JobFailed, match="one of the training processes could not begin"):
        train(tmp_path / "run", 4, 2)
    assert not helpers()


class Alone:
    """A line that can not share its batches."""

    def __init__(self) -> None:
        self._line = Line(4, ProcessGroup())

    def __getattr__(self, name: str) -> Any:
        if name == "shared_tensors":
            raise AttributeError(name)
        return getattr(self._line, name)


def test_a_method_that_can_not_share_a_batch_says_so() -> None:
    alone: Any = Alone()
    begin(alone, None)
    with pytest.raises(ConfigError, match="GPU=2, but this method trains on one GPU"):
        begin(alone, None, ProcessGroup(0, 2))


def test_a_batch_that_can_not_be_shared_is_refused() -> None:
    assert ProcessGroup(2, 3).share_of(96, "model.rays") == 32
    with pytest.raises(ConfigError, match=r"model\.rays is 96 and can not be shared by GPU=5"):
        ProcessGroup(0, 5).share_of(96, "model.rays")
