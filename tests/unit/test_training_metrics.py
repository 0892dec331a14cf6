"""Metrics reach the file, TensorBoard and, when asked for, Weights & Biases; once each."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from maquette.errors import ConfigError, CredentialsError, Interrupted, JobFailed
from maquette.recon.training import checkpoint_files, loop, runs
from maquette.recon.training.options import RunOptions
from maquette.scene import checkpoints
from maquette.scene.events import Progress
from tiny_trainable import METHOD, Line
from wandb_stand_in import WandbStandIn


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "experiments"


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> WandbStandIn:
    made = WandbStandIn()
    monkeypatch.setitem(sys.modules, "wandb", made)
    for name in ("WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    return made


def train(run: Path, total: int, *, wandb: bool = False, fresh: bool = False) -> runs.Trained:
    options = RunOptions(log_iterations=2, wandb=wandb, fresh=fresh, name="owl experiments")
    return runs.train(METHOD, {"total": total}, run, options, Progress(None))


def stop_after(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    asked = iter(range(100))
    monkeypatch.setattr(loop, "stop_requested", lambda: next(asked) + 1 >= count)


def iterations(run: Path) -> list[int]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["iteration"] for line in lines]


def test_what_will_be_done_again_is_dropped_from_the_file(run: Path) -> None:
    train(run, 4)
    train(run, 8)
    for path in checkpoints.listed(run)[:1]:
        path.unlink()
    (run / checkpoints.POINTER).unlink()
    with open(run / "metrics.jsonl", "a") as file:
        file.write('{"iteration": 10, "lo')  # as a kill leaves it
    train(run, 6)
    assert iterations(run) == [2, 4, 6]


def test_tensorboard_has_the_same_numbers(run: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(run, 4)
    second = int(time.time())
    while int(time.time()) == second:  # names of TensorBoard's files are in order by seconds
        time.sleep(0.02)
    train(run, 8)
    board = EventAccumulator(str(run / "tensorboard")).Reload()
    assert [event.step for event in board.Scalars("psnr")] == [2, 4, 6, 8]
    assert {"loss", "lr", "it_per_s"} <= set(board.Tags()["scalars"])


def test_weights_and_biases_goes_on_with_the_run_that_it_knows(
    run: Path, wandb: WandbStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(Interrupted):
            train(run, 8, wandb=True)
    train(run, 8, wandb=True)
    first, second = wandb.runs
    assert first.told["id"] == second.told["id"] and second.told["resume"] == "allow"
    assert first.told["project"] == "maquette" and first.told["name"] == "owl experiments"
    assert first.told["config"] == {"max_iter": 8, "optim": {"rate": 0.05}}
    assert first.told["dir"] == str(run)
    assert (first.exit_code, second.exit_code) == (0, 0)
    steps = [step for step, values in first.logged + second.logged if "loss" in values]
    assert steps == [2, 4, 6, 8] == iterations(run)
    assert {"loss", "psnr", "lr", "it_per_s"} <= first.logged[-1][1].keys()


def test_a_run_that_starts_afresh_is_another_one_there(run: Path, wandb: WandbStandIn) -> None:
    train(run, 2, wandb=True)
    train(run, 2, wandb=True, fresh=True)
    first, second = wandb.runs
    assert first.told["id"] != second.told["id"]


def test_previews_are_sent_as_pictures(
    run: Path, wandb: WandbStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def preview(self: Line, folder: Path) -> list[Path]:
        return [folder / "a.png", folder / "a.ply"]

    monkeypatch.setattr(Line, "preview", preview)
    train(run, 2, wandb=True)
    shown = [
        (step, values["previews"]) for step, values in wandb.runs[0].logged if "loss" not in values
    ]
    assert shown[-1] == (2, [f"image {run / 'previews' / 'a.png'}"])


def test_a_run_that_fails_has_failed_there_too(
    run: Path, wandb: WandbStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Line, "is_finite", lambda self: False)
    with pytest.raises(JobFailed):
        train(run, 4, wandb=True)
    assert wandb.runs[0].exit_code == 1


def test_nothing_is_sent_unless_asked_for(run: Path, wandb: WandbStandIn) -> None:
    train(run, 2)
    assert not wandb.runs and not (run / "wandb_id.txt").exists()


def test_what_is_missing_is_told_before_an_earlier_run_is_moved(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(run, 2)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setitem(sys.modules, "wandb", None)  # importing it fails
    with pytest.raises(ConfigError, match="wandb is not installed") as caught:
        train(run, 2, wandb=True, fresh=True)
    assert "pip install wandb" in caught.value.hint
    refusing = WandbStandIn("No API key configured. Use `wandb login` to log in.")
    monkeypatch.setitem(sys.modules, "wandb", refusing)
    with pytest.raises(CredentialsError, match="can not be used") as refused:
        train(run, 2, wandb=True, fresh=True)
    assert "No API key" in refused.value.detail
    assert all(way in refused.value.hint for way in ("WANDB_API_KEY", "offline", "WANDB=0"))
    path = checkpoints.chosen(run).path
    assert checkpoint_files.read(path, METHOD.form)["iteration"] == 2
    monkeypatch.setenv("WANDB_MODE", "offline")  # needs no key
    train(run, 3, wandb=True)
