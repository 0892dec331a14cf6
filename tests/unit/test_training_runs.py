"""What every method that trains gets: exact resume, pruning, a polite stop, sentences."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from maquette.errors import BadInput, ConfigError, Interrupted, JobFailed, NotFound
from maquette.recon import stopping
from maquette.recon.training import checkpoint_files, loop, runs
from maquette.recon.training.options import RunOptions
from maquette.recon.training.trainable import Metrics, read
from maquette.scene import checkpoints
from maquette.scene.events import Progress
from tiny_trainable import METHOD, Line
from training_comparison import same


class Listener(Progress):
    """Keeps what was said."""

    def __init__(self) -> None:
        super().__init__(log=io.StringIO())
        self.said: list[str] = []

    def _emit(self, kind: str, **fields: Any) -> None:
        self.said.append(str(fields.get("text", "")))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "line" / "experiments"


def train(
    run: Path, total: int, listener: Progress | None = None, *, batch: int = 8, **options: Any
) -> runs.Trained:
    chosen = RunOptions(**{"log_iterations": 2, **options})
    arguments = {"total": total, "batch": batch}
    return runs.train(METHOD, arguments, run, chosen, listener or Listener())


def state(run: Path) -> dict[str, Any]:
    return checkpoint_files.read(checkpoints.chosen(run).path, METHOD.form)


def kept(run: Path) -> list[int | None]:
    return [checkpoints.iteration_of(path.name) for path in checkpoints.listed(run)]


def stop_after(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    asked = iter(range(10_000))
    monkeypatch.setattr(loop, "stop_requested", lambda: next(asked) + 1 >= count)


def test_a_run_learns_and_tells_what_it_found(run: Path) -> None:
    done = train(run, 200, log_iterations=50)
    assert done.trainable.iteration == done.numbers["iterations"] == 200
    assert done.numbers["held_out_error"] < 0.2 and done.numbers["psnr"] > 15
    assert {"it_per_s", "seconds"} <= done.numbers.keys()
    assert isinstance(done.trainable, Line) and done.trainable.prepared


def test_a_signal_to_stop_is_heard_between_iterations(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Line.step

    def then_signal(self: Line) -> Metrics:
        if self.iteration == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self)

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    monkeypatch.setattr(stopping, "_state", stopping._State())
    monkeypatch.setattr(Line, "step", then_signal)
    stopping.install()
    try:
        with pytest.raises(Interrupted, match="stopped at iteration 5 and was saved") as caught:
            train(run, 12)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert state(run)["iteration"] == 5 and "make process" in caught.value.hint


@pytest.mark.parametrize("stop", [1, 5, 11])
def test_a_stopped_and_resumed_run_equals_the_uninterrupted_one(
    run: Path, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run.with_name("whole")
    train(whole, 12)
    with monkeypatch.context() as patch:
        stop_after(patch, stop)
        with pytest.raises(Interrupted, match=f"stopped at iteration {stop} and was saved"):
            train(run, 12)
    assert state(run)["iteration"] == stop
    torch.manual_seed(99)  # whatever happened in between must not matter
    resumed = train(run, 12).trainable
    assert isinstance(resumed, Line) and not resumed.prepared
    for part in ("model", "optim", "sched", "iteration", "batch", "finals"):
        assert same(state(whole)[part], state(run)[part]), part
    assert same(state(whole)["random"]["sampler"], state(run)["random"]["sampler"])


def test_the_folder_of_a_run(run: Path) -> None:
    listener = Listener()
    train(run, 8, listener)
    name = "epoch_00000_iteration_000000008_checkpoint.pt"
    assert checkpoints.read_pointer(run) == name and (run / name).is_file()
    assert yaml.safe_load((run / "config.yaml").read_text()) == {
        "max_iter": 8, "optim": {"rate": 0.05},
    }  # fmt: skip
    assert [path.stem[-1] for path in sorted((run / "previews").iterdir())] == ["2", "4", "8"]
    entries = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [entry["iteration"] for entry in entries] == [2, 4, 6, 8]
    assert {"loss", "psnr", "lr", "it_per_s"} <= entries[0].keys()
    assert "a line by 8 points an iteration" in listener.said


def test_held_out_views_are_measured_on_the_way_where_that_is_wanted(run: Path) -> None:
    done = train(run, 8, measures_often=True)
    entries = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found = {e["iteration"]: e["held_out_error"] for e in entries if "held_out_error" in e}
    assert found.keys() == {2, 4, 8}
    assert found[2] > found[4] > found[8]
    assert found[8] == pytest.approx(done.numbers["held_out_error"], abs=1e-6)


def test_more_iterations_continue_and_the_changed_schedule_is_told(run: Path) -> None:
    train(run, 6)
    listener = Listener()
    assert train(run, 10, listener).numbers["iterations"] == 10
    assert "continuing at iteration 6 of 10" in listener.said
    assert "the schedule was made for 6 iterations and now follows 10" in listener.said
    again = Listener()
    assert train(run, 10, again).numbers["iterations"] == 10
    assert "trained to iteration 10 already; nothing to do" in again.said


def test_a_damaged_newest_checkpoint_is_passed_over_and_said(run: Path) -> None:
    train(run, 4)
    train(run, 6)
    newest = checkpoints.chosen(run).path
    newest.write_bytes(newest.read_bytes()[:-500])
    listener = Listener()
    train(run, 6, listener)
    assert any("damaged" in text and "iteration_000000004" in text for text in listener.said)
    assert state(run)["iteration"] == 6


def test_a_checkpoint_that_was_asked_for_is_continued(run: Path) -> None:
    train(run, 4, save_iterations=1, keep=4)
    listener = Listener()
    train(run, 6, listener, checkpoint="2")
    assert "continuing at iteration 2 of 6" in listener.said
    with pytest.raises(NotFound, match="no checkpoint `77`"):
        train(run, 6, checkpoint="77")


def test_a_checkpoint_of_another_method_or_none_is_refused(run: Path) -> None:
    train(run, 2)
    path = checkpoints.chosen(run).path
    with pytest.raises(BadInput, match="not a checkpoint of") as caught:
        checkpoint_files.read(path, "circle 1")
    assert "FRESH=1" in caught.value.hint
    path.write_bytes(b"a text")
    with pytest.raises(BadInput, match="is damaged"):
        checkpoint_files.read(path, METHOD.form)


def test_fresh_keeps_the_old_run_under_another_name(run: Path) -> None:
    train(run, 3)
    before = state(run)
    listener = Listener()
    train(run, 4, listener, fresh=True)
    assert "the earlier run is kept beside it as experiments.1" in listener.said
    train(run, 2, fresh=True)
    assert state(run)["iteration"] == 2
    assert same(state(run.with_name("experiments.1"))["model"], before["model"])
    assert state(run.with_name("experiments.2"))["iteration"] == 4


def test_more_processes_than_gpus_are_refused_before_the_old_run_moves(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(run, 3)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match="GPU=3, but this machine has 2"):
        train(run, 4, fresh=True, gpus=3)
    assert state(run)["iteration"] == 3
    assert not run.with_name("experiments.1").exists()


def test_pruning_keeps_the_newest_and_those_that_ended_a_run(run: Path) -> None:
    train(run, 2)
    train(run, 12, save_iterations=1, keep=3)
    assert kept(run) == [12, 11, 10, 2]
    train(run, 15, save_iterations=1, keep=1)
    assert kept(run) == [15, 12, 2]


def test_the_clock_saves_too(run: Path) -> None:
    train(run, 3, save_minutes=1e-9, keep=9)
    assert kept(run) == [3, 2, 1]


def test_parameters_that_are_no_numbers_are_never_saved(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(run, 3)
    monkeypatch.setattr(Line, "is_finite", lambda self: False)
    with pytest.raises(JobFailed, match="parameters are not numbers at iteration 6") as caught:
        train(run, 6)
    assert "OVERRIDES='rate=0.01'" in caught.value.hint and kept(run) == [3]


def test_a_loss_that_is_no_number_ends_the_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where only the numbers tell it, read later from a GPU."""
    train(run, 3)
    original: Callable[[Line], Metrics] = Line.step

    def poisoned(self: Line) -> Metrics:
        found = original(self)
        return Metrics(found.iteration, found.values * torch.nan) if self.iteration > 4 else found

    monkeypatch.setattr(Line, "step", poisoned)
    with pytest.raises(JobFailed, match="loss is not a number at iteration 4") as caught:
        train(run, 12)
    assert "OVERRIDES='rate=0.01'" in caught.value.hint and kept(run) == [3]


def test_the_numbers_of_several_iterations_are_read_at_once() -> None:
    found = [Metrics(n, torch.tensor([n / 2, 3.0]), {"lr": 0.5}) for n in (1, 2)]
    assert read(found, ("loss", "psnr")) == [
        {"loss": 0.5, "psnr": 3.0, "lr": 0.5}, {"loss": 1.0, "psnr": 3.0, "lr": 0.5},
    ]  # fmt: skip


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] can't allocate memory"),
        RuntimeError("Failed to allocate 4096 bytes on device 'cuda:0'"),  # as Warp tells it
    ],
)
def test_out_of_memory_halves_the_work_once(
    run: Path, error: RuntimeError, monkeypatch: pytest.MonkeyPatch
) -> None:
    original: Callable[[Line], Metrics] = Line.step
    limit = 4

    def greedy(self: Line) -> Metrics:
        if self.batch > limit:
            raise error
        return original(self)

    monkeypatch.setattr(Line, "step", greedy)
    listener = Listener()
    assert train(run, 4, listener).numbers["iterations"] == 4
    assert "out of memory: going on with 4 points an iteration, not 8" in listener.said
    assert state(run)["batch"] == 4
    limit = 1
    with pytest.raises(JobFailed, match="memory, also with 2 points an iteration") as caught:
        train(run, 6)
    assert caught.value.hint == "try BATCH=1" and state(run)["iteration"] == 4
    limit = 0
    with pytest.raises(JobFailed, match=r"training ran out of memory$"):
        train(run, 6, fresh=True, batch=1)


@pytest.mark.parametrize("part", ["prepare", "preview", "held_out"])
def test_want_of_memory_between_iterations_is_told_too(
    run: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(self: Line, *given: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Line, part, greedy)
    with pytest.raises(JobFailed, match="training ran out of memory") as caught:
        train(run, 4)
    assert caught.value.hint == "try BATCH=1"


def test_another_error_is_not_taken_for_want_of_memory(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Line) -> Metrics:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(Line, "step", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        train(run, 4)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full: only Linux has it")
def test_a_full_disk_is_no_bug_of_torch() -> None:
    """Torch tells a RuntimeError of its own and hides what the system said."""
    with pytest.raises(OSError, match="No space left"):
        checkpoint_files._write({"big": torch.zeros(1 << 20)}, Path("/dev/full"))
