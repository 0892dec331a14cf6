"""The script that trains the weights of the package: a course goes on where it was."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from maquette.recon.mvsnet import weights, weights_training
from maquette.recon.mvsnet.generated.prefetching import samples
from maquette.recon.mvsnet.generated.source import GeneratedScenes
from maquette.recon.mvsnet.prediction import Prediction, Sweep
from maquette.recon.mvsnet.samples import Batch
from maquette.recon.mvsnet.weights_losses import loss, stage_losses, unlikelihood
from maquette.recon.mvsnet.weights_training import Course, Training, rate_factor

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


def test_the_unlikelihood_is_least_where_the_mean_of_the_hypotheses_is_the_truth() -> None:
    batch = planes_of(torch.tensor([2.0, 3.0, 50.0]))  # the last one's depth is not searched
    inverse = torch.linspace(0.1, 1.0, 10).view(1, 10, 1, 1)
    logits = torch.zeros(1, 10, 3, 1, requires_grad=True)
    optimiser = torch.optim.Adam([logits], 0.3)
    for _ in range(200):
        optimiser.zero_grad()
        found = unlikelihood(Sweep(logits, inverse), batch)
        found.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert not logits[:, :, 2].any()
    mean = (logits.softmax(1) * inverse).sum(1)[0, :2, 0]
    assert mean.tolist() == pytest.approx([1 / 2, 1 / 3], abs=2e-3)


def test_the_loss_counts_all_sweeps() -> None:
    batch = planes_of(torch.full((4,), 2.0))
    depth = batch.depth.clone()
    sweep = Sweep(torch.zeros(1, 4, 4, 1), torch.linspace(0.1, 1.0, 4).view(1, 4, 1, 1))
    found = [
        float(loss(Prediction(depth, depth, (depth,) * 3, 1.0, True, sweeps), batch))
        for sweeps in ((), (sweep,), (sweep, sweep))
    ]
    assert found[0] == pytest.approx(0, abs=1e-6)
    assert found[2] == pytest.approx(2 * found[1]) and found[1] == pytest.approx(math.log(4))


def planes_of(depths: torch.Tensor) -> Batch:
    """A batch of one picture whose rows have these depths, all known."""
    depth = depths[None, :, None]
    return Batch(
        torch.zeros(1, 1, 3, len(depths), 1), torch.eye(4)[None, None], depth,
        torch.ones_like(depth, dtype=torch.bool), torch.tensor([[1.0, 10.0]]), torch.ones(1), ("",),
    )  # fmt: skip


def test_a_course_with_a_pool_goes_on_where_it_was(tmp_path: Path) -> None:
    course = Course(steps=2, size=SMALL, views=2, has_bfloat16=True)
    pool = tmp_path / "pool"
    Training(course, tmp_path / "parts", CPU, pool=pool).run(60, until=1)
    parts, whole = (
        Training(course, tmp_path / name, CPU, pool=pool) for name in ("parts", "whole")
    )
    parts.run(60)
    whole.run(60)
    assert len(list(pool.rglob("*.npz"))) == 2
    for name, value in whole.average.items():
        assert torch.equal(value, parts.average[name])


def test_workers_do_not_lay_out_what_a_pool_keeps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--out", str(tmp_path), "--pool", str(tmp_path / "pool"), "--workers", "2"]
    with pytest.raises(SystemExit):
        weights_training.main(words)
    assert "--workers" in capsys.readouterr().err


def test_the_rate_rises_then_falls_to_a_hundredth() -> None:
    rates = [rate_factor(step, 1000) for step in range(1001)]
    assert rates[0] < 0.05 and max(rates) == pytest.approx(1, abs=0.01)
    assert rates.index(max(rates)) <= 51 and rates[-1] == pytest.approx(0.01)


def test_samples_are_the_same_whoever_lays_them_out() -> None:
    source = GeneratedScenes(SMALL, views=2)
    coming = samples(source, seed=4, first=3)
    assert torch.equal(next(coming).images, source[3, 4].images)
    assert torch.equal(next(coming).images, source[4, 4].images)
