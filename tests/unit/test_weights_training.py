"""The script that trains the weights of the package: a course goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from maquette.recon.mvsnet import weights, weights_training
from maquette.recon.mvsnet.generated.prefetching import samples
from maquette.recon.mvsnet.generated.source import GeneratedScenes
from maquette.recon.mvsnet.samples import Batch
from maquette.recon.mvsnet.weights_training import Course, Training, rate_factor, stage_losses

CPU = torch.device("cpu")
SMALL = (32, 32)


def test_a_stopped_course_goes_on_and_equals_the_uninterrupted_one(tmp_path: Path) -> None:
    course = Course(steps=2, size=SMALL, views=2)
    Training(course, tmp_path / "parts", CPU).run(60, until=1)
    parts, whole = (Training(course, tmp_path / name, CPU) for name in ("parts", "whole"))
    assert parts.step == 1
    parts.run(60)
    whole.run(60)
    assert [run["until"] for run in parts.runs] == [1, 2]
    assert [run["until"] for run in whole.runs] == [2]
    for name, value in whole.average.items():
        assert torch.equal(value, parts.average[name])


def test_weights_are_exported_with_how_they_came_about(tmp_path: Path) -> None:
    words = ["--out", str(tmp_path), "--minutes", "0", "--size", "32", "32", "--gpus", "0"]
    target = tmp_path / "cascade.pt"
    assert weights_training.main([*words, "--export", str(target)]) == 0
    assert target.stat().st_size < 2e6
    assert not weights.load(target).training
    told = json.loads(target.with_suffix(".json").read_text())
    assert told["licence"] == "Apache-2.0" and told["steps"] == 0
    assert str(tmp_path) not in json.dumps(told)


def test_the_loss_is_zero_at_the_true_depth_and_counts_the_last_stage_most() -> None:
    source = GeneratedScenes(SMALL, views=2)
    batch = Batch.stacked([source[0, 0]], CPU)
    true = batch.depth.clamp(min=1e-3)
    stages = [true[:, ::4, ::4], true[:, ::2, ::2], true]
    assert float(stage_losses(stages, batch)) == pytest.approx(0, abs=1e-6)
    first, last = ([s * (1.05 if n == place else 1) for n, s in enumerate(stages)]
                   for place in (0, 2))  # fmt: skip
    assert 0 < float(stage_losses(first, batch)) < float(stage_losses(last, batch))


def test_the_rate_rises_then_falls_to_a_hundredth() -> None:
    rates = [rate_factor(step, 1000) for step in range(1001)]
    assert rates[0] < 0.05 and max(rates) == pytest.approx(1, abs=0.01)
    assert rates.index(max(rates)) <= 51 and rates[-1] == pytest.approx(0.01)


def test_samples_are_the_same_whoever_lays_them_out() -> None:
    source = GeneratedScenes(SMALL, views=2)
    coming = samples(source, seed=4, first=3)
    assert torch.equal(next(coming).images, source[3, 4].images)
    assert torch.equal(next(coming).images, source[4, 4].images)
