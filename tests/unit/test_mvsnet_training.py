"""A network learns from a data set; every flag of MVSNet_pl does what it says."""

from __future__ import annotations

import io
import json
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, RAdam
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, MultiStepLR

from dtu_folder import SIZE, write_dtu
from maquette.errors import BadInput, ConfigError, Interrupted, NotFound
from maquette.pipelines.mvsnet.options import ProcessOptions
from maquette.pipelines.options import options_of
from maquette.recon.mvsnet import losses, networks, optimizers, pretrained, trained, training
from maquette.recon.mvsnet.datasets import opening
from maquette.recon.mvsnet.datasets.ranges import PlaneOptions
from maquette.recon.mvsnet.judging import strip
from maquette.recon.mvsnet.optimizers import Rates
from maquette.recon.mvsnet.options import NetworkOptions
from maquette.recon.mvsnet.prediction import Prediction
from maquette.recon.mvsnet.samples import Batch
from maquette.recon.mvsnet.trainer import DepthTrainer
from maquette.recon.mvsnet.training_options import TrainingOptions
from maquette.recon.stages.mvsnet import train as stage
from maquette.recon.training import loop
from maquette.recon.training.options import RunOptions
from maquette.recon.training.process_group import ProcessGroup
from maquette.scene.events import Progress
from maquette.stages.stage import DeclaredOptions
from training_comparison import same

CPU = torch.device("cpu")
SMALL = NetworkOptions(n_depths=16, hypotheses=(16, 6, 4))
QUICK = TrainingOptions(
    variant="mvsnet", network=SMALL, rates=Rates("adam", 2e-3), iterations=4, seed=1
)
MVSNET_PL = {
    "n_views": 3, "n_depths": 256, "interval_scale": 0.8, "loss_type": "sl1", "batch_size": 1,
    "num_epochs": 6, "optimizer": "sgd", "lr": 1e-3, "momentum": 0.9, "weight_decay": 1e-5,
    "lr_scheduler": "steplr", "warmup_multiplier": 1.0, "warmup_epochs": 0, "decay_step": "20",
    "decay_gamma": 0.1, "poly_exp": 0.9, "use_amp": False, "use_syncbn": False, "ckpt_path": "",
    "prefixes_to_ignore": "loss", "exp_name": "exp",
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dtu(tmp_path_factory.mktemp("data") / "dtu")


def data(root: Path, has_validation: bool = True) -> dict[str, Any]:
    planes = PlaneOptions(n_views=3, n_depths=16, interval_scale=12.8)
    found = opening.index(root)
    parts = {part: opening.describe(root, found, part, planes) for part in
             ("training", "validation")}  # fmt: skip
    return parts if has_validation else {**parts, "validation": None}


def run(
    folder: Path, root: Path, options: TrainingOptions = QUICK, has_validation: bool = True,
    **chassis: Any,
) -> dict[str, Any]:  # fmt: skip
    told = RunOptions(**{"gpus": 0, "log_iterations": 1, **chassis})
    progress = Progress(None, io.StringIO())
    return training.train(data(root, has_validation), options, folder, told, progress)


def trainer(
    root: Path, folder: Path, options: TrainingOptions, processes: ProcessGroup | None = None
) -> DepthTrainer:
    opened = {part: opening.open_source(told) for part, told in data(root).items()}
    return DepthTrainer(options, opened["training"], opened["validation"], CPU,
                        processes or ProcessGroup(), folder)  # fmt: skip


def state(folder: Path) -> dict[str, Any]:
    return torch.load(sorted(folder.glob("*_checkpoint.pt"))[-1], weights_only=True)


def logged(folder: Path, name: str) -> list[float]:
    """What each iteration of a run measured."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)[name] for line in lines]


def test_the_published_network_learns_planes_to_some_millimetres(
    tmp_path: Path, root: Path
) -> None:
    """The range is 410 mm long; an untrained network is some 90 mm wrong."""
    rates = Rates("adam", 4e-3, lr_scheduler="cosine")
    run(tmp_path, root, replace(QUICK, rates=rates, iterations=20), has_validation=False)
    errors = logged(tmp_path, "abs_err")
    assert sum(errors[:3]) / 3 > 40.0
    assert sum(errors[-3:]) / 3 < 20.0


def test_the_cascade_learns(tmp_path: Path, root: Path) -> None:
    options = replace(QUICK, variant="cascade", rates=Rates("adam", 4e-3), iterations=12)
    run(tmp_path, root, options, has_validation=False)
    losses_told = logged(tmp_path, "loss")
    assert sum(losses_told[-5:]) / 5 < 0.85 * sum(losses_told[:2]) / 2


def test_a_stopped_and_resumed_run_equals_the_uninterrupted_one(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(QUICK, rates=Rates("ranger", 1e-3), iterations=4)
    run(tmp_path / "whole", root, options)
    asked = iter(range(100))
    with monkeypatch.context() as patch:
        patch.setattr(loop, "stop_requested", lambda: next(asked) >= 1)
        with pytest.raises(Interrupted, match="stopped at iteration 2"):
            run(tmp_path / "parts", root, options)
    torch.manual_seed(99)
    run(tmp_path / "parts", root, options)
    whole, parts = state(tmp_path / "whole"), state(tmp_path / "parts")
    for part in ("network", "optimiser", "iteration", "epoch", "validated", "best"):
        assert same(whole[part], parts[part]), part


def test_the_best_network_on_validation_data_is_kept(tmp_path: Path, root: Path) -> None:
    numbers = run(tmp_path, root)
    best = trained.read(tmp_path)
    assert best.source == "best.pt" and best.iteration == numbers["best_iteration"]
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    told = {line["iteration"]: line["held_out_loss"] for line in lines if "held_out_loss" in line}
    assert list(told) == [3, 4] and min(told, key=lambda i: told[i]) == best.iteration
    newest = trained.read(tmp_path, "4")
    assert newest.iteration == 4 and newest.options.variant == "mvsnet"


def test_pictures_of_a_run_are_in_tensorboard(tmp_path: Path, root: Path) -> None:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard"
    )
    run(tmp_path, root)
    found = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    found.Reload()
    assert {"loss", "abs_err", "acc_1mm", "acc_2mm", "acc_4mm", "lr"} <= set(
        found.Tags()["scalars"]
    )
    assert found.Images("preview")[-1].width == 5 * SIZE[0] // 4


def test_a_strip_shows_picture_truth_depth_confidence_and_error(root: Path) -> None:
    sample = opening.open_source(data(root)["training"])[0, 0]
    batch = Batch.stacked([sample], CPU)
    depth = batch.depth + 100.0
    found = strip(batch, Prediction(depth, torch.full_like(depth, 0.5), (depth,), 0.25))
    assert found.shape == (12, 80, 3)
    assert (found[1:, 48:64] == 128).all()  # confidence
    assert (found[1:, 64:] == 255).all() and (found[0, 64:] == 0).all()  # error, where truth is


def test_options_have_mvsnet_pls_names_and_defaults() -> None:
    defaults = {one.field: one.default for one in options_of(ProcessOptions)}
    assert {name: defaults[name] for name in MVSNET_PL} == MVSNET_PL


def training_of(**flags: Any) -> TrainingOptions:
    """What the stage makes of a person's flags."""
    return stage._training(DeclaredOptions(stage.STAGE, ProcessOptions(**flags)))


@pytest.mark.parametrize(
    ("flags", "companions"),
    [
        ({"lr": 0.1}, {}),
        ({"lr_scheduler": "cosine"}, {}),
        ({"lr_scheduler": "poly"}, {}),
        ({"warmup_epochs": 2}, {}),
        ({"warmup_multiplier": 4.0}, {"warmup_epochs": 2}),
        ({"decay_step": "2 4"}, {}),
        ({"decay_gamma": 0.5}, {"decay_step": "2 4"}),
        ({"poly_exp": 2.0}, {"lr_scheduler": "poly"}),
        ({"optimizer": "radam"}, {"warmup_epochs": 2}),
    ],
)
def test_a_flag_of_the_rate_changes_the_rate(
    flags: dict[str, Any], companions: dict[str, Any]
) -> None:
    with_it, without = training_of(**companions, **flags), training_of(**companions)
    rates = [[one.rates.rate(epoch, 6) for epoch in range(6)] for one in (with_it, without)]
    assert rates[0] != rates[1]


@pytest.mark.parametrize(
    "flags", [{"optimizer": "adam"}, {"optimizer": "radam"}, {"optimizer": "ranger"},
              {"momentum": 0.0}, {"weight_decay": 0.5}],
)  # fmt: skip
def test_a_flag_of_the_optimiser_changes_the_weights(flags: dict[str, Any]) -> None:
    def weights(options: TrainingOptions) -> Tensor:
        parameter = nn.Parameter(torch.ones(3))
        optimizer = optimizers.make(replace(options.rates, lr=0.1), [parameter])
        for _ in range(7):
            optimizer.zero_grad()
            torch.autograd.backward((parameter * torch.tensor([1.0, 2.0, 3.0])).sum())
            optimizer.step()
        return parameter.detach()

    assert not torch.equal(weights(training_of(**flags)), weights(training_of()))


def test_flags_of_the_data_and_the_run_have_their_effect(tmp_path: Path, root: Path) -> None:
    base = replace(QUICK, iterations=0)
    assert trainer(root, tmp_path, base).total == 18
    assert trainer(root, tmp_path, replace(base, num_epochs=2)).total == 6
    assert trainer(root, tmp_path, replace(base, batch_size=3)).total == 6
    assert trainer(root, tmp_path, replace(base, iterations=5)).total == 5
    told = {"n_views": 2, "n_depths": 32, "interval_scale": 6.4}
    planes = stage._planes(DeclaredOptions(stage.STAGE, ProcessOptions(**told)))
    assert (planes.n_views, planes.n_depths, planes.interval_scale) == (2, 32, 6.4)
    found = opening.index(root)
    sample = opening.open_source(opening.describe(root, found, "training", planes))[0, 0]
    assert len(sample.images) == 2
    assert training_of(n_depths=32).network.n_depths == 32
    assert training_of(network="mvsnet").variant == "mvsnet"
    assert training_of(exp_name="planes").name == "planes"
    assert training_of(prefixes_to_ignore="loss feature").prefixes_to_ignore == ("loss", "feature")
    for name in ("batch_size", "num_epochs", "iterations", "val_samples", "seed"):
        assert getattr(training_of(**{name: 2}), name) == 2
    assert training_of(use_amp=True).use_amp and training_of(use_syncbn=True).use_syncbn
    assert training_of(ckpt_path="a.ckpt").ckpt_path == "a.ckpt"
    for count in (0, 2):
        judge = trainer(root, tmp_path, replace(QUICK, val_samples=count))._judge
        assert len(judge._chosen) == (count or 3)


def test_amp_computes_in_bfloat16(tmp_path: Path, root: Path) -> None:
    batch = trainer(root, tmp_path, QUICK)._loader.batch(0, CPU)
    depths = [
        trainer(root, tmp_path, replace(QUICK, use_amp=amp)).predict(batch).depth.detach()
        for amp in (False, True)
    ]
    assert not torch.equal(*depths) and torch.allclose(*depths, rtol=0.05)


def test_normalising_over_gpus_needs_them(tmp_path: Path, root: Path) -> None:
    options = replace(QUICK, use_syncbn=True)
    trainer(root, tmp_path, options)  # alone it changes nothing
    with pytest.raises(ConfigError, match="USE_SYNCBN=1 normalises over several GPUs"):
        trainer(root, tmp_path, options, ProcessGroup(0, 2))


def test_rates_fall_as_torchs_schedulers_let_them() -> None:
    epochs = 8
    pairs = {
        "steplr": lambda optimizer: MultiStepLR(optimizer, [3, 5], 0.1),
        "cosine": lambda optimizer: CosineAnnealingLR(optimizer, epochs, 1e-8),
        "poly": lambda optimizer: LambdaLR(optimizer, lambda epoch: (1 - epoch / epochs) ** 0.9),
    }
    for name, make in pairs.items():
        optimizer = SGD([nn.Parameter(torch.zeros(1))], 0.1)
        scheduler = make(optimizer)
        rates = Rates(lr=0.1, lr_scheduler=name, decay_step=(3, 5))
        for epoch in range(epochs):
            assert rates.rate(epoch, epochs) == pytest.approx(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    rising = Rates(lr=0.1, warmup_epochs=2)
    assert [rising.rate(epoch, 8) for epoch in (0.5, 1.0, 2.0)] == pytest.approx([0.025, 0.05, 0.1])


def test_slow_weights_go_half_the_way_every_sixth_step() -> None:
    fast_only, both = (nn.Parameter(torch.ones(1)) for _ in range(2))
    plain, ranger = RAdam([fast_only], 0.1), optimizers.make(
        Rates("ranger", 0.1, weight_decay=0.0), [both]
    )  # fmt: skip
    for step in range(6):
        fast_only.grad, both.grad = torch.ones(1), torch.ones(1)
        assert torch.equal(fast_only, both), step
        plain.step()
        ranger.step()
    assert float(both.detach()) == pytest.approx(1.0 + 0.5 * (float(fast_only.detach()) - 1.0))


def lightning(path: Path, network: nn.Module) -> Path:
    """A checkpoint as MVSNet_pl writes one, with in-place ABN."""
    weights = {
        f"model.{name}": value for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }  # fmt: skip
    weights["loss.weight"] = torch.zeros(1)
    torch.save({"state_dict": weights, "epoch": 6, "hparams": Namespace(lr=1e-3)}, path)
    return path


def test_a_checkpoint_of_mvsnet_pl_begins_a_run(tmp_path: Path, root: Path) -> None:
    torch.manual_seed(5)
    network = networks.build("mvsnet", SMALL)
    path = lightning(tmp_path / "a.ckpt", network)
    options = replace(QUICK, ckpt_path=str(path))
    begun = trainer(root, tmp_path, options).network.state_dict()
    for name, value in network.state_dict().items():
        if "bn.weight" in name or name.endswith((".1.weight",)):
            assert torch.allclose(begun[name], value.abs() + 1e-5), name
        else:
            assert torch.equal(begun[name], value), name
    ignoring = replace(options, prefixes_to_ignore=("loss", "cost_regularization"))
    partly = trainer(root, tmp_path, ignoring).network.state_dict()
    assert torch.equal(partly["feature.feature.bias"], network.state_dict()["feature.feature.bias"])
    assert not torch.equal(partly["cost_regularization.prob.bias"],
                           network.state_dict()["cost_regularization.prob.bias"])  # fmt: skip


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    network = networks.build("mvsnet", SMALL)
    path = lightning(tmp_path / "a.ckpt", networks.build("cascade"))
    with pytest.raises(BadInput, match="the checkpoint is of another network") as caught:
        pretrained.start_from(network, path, ("loss",))
    assert "not of this network" in caught.value.detail
    (tmp_path / "b.ckpt").write_bytes(b"no checkpoint")
    with pytest.raises(BadInput, match="can not be read"):
        pretrained.start_from(network, tmp_path / "b.ckpt")
    with pytest.raises(NotFound):
        pretrained.start_from(network, tmp_path / "c.ckpt")


def test_a_run_goes_on_only_with_its_own_network(tmp_path: Path, root: Path) -> None:
    run(tmp_path, root, replace(QUICK, iterations=1))
    with pytest.raises(ConfigError, match="begun with NETWORK=mvsnet, not cascade"):
        run(tmp_path, root, replace(QUICK, variant="cascade"))


def test_want_of_memory_makes_it_recompute_and_then_halves_a_batch(
    tmp_path: Path, root: Path
) -> None:
    options = replace(QUICK, batch_size=2)
    plain, small = (trainer(root, tmp_path, options) for _ in range(2))
    assert "computed again" in (small.shrink() or "")
    plain.step(), small.step()
    for one, other in zip(plain.network.parameters(), small.network.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    assert "2th of a batch" in (small.shrink() or "") and small.shrink() is None
    small.step()
    assert small.is_finite() and small.iteration == 2


def test_the_worst_pixels_count_and_unknown_ones_do_not() -> None:
    depth = torch.zeros(1, 1, 10)
    truth = torch.full((1, 1, 10), 500.0)
    depth[0, 0] = 500.0 + torch.tensor([0.0, 0, 0, 0, 3, 3, 3, 3, 3, 3])
    images = torch.zeros(1, 2, 3, 4, 40)
    mask = torch.ones(1, 1, 10, dtype=torch.bool)
    batch = Batch(images, torch.zeros(1, 2, 4, 4), truth, mask, torch.tensor([[425.0, 935.0]]),
                  torch.ones(1), ("a",))  # fmt: skip
    prediction = Prediction(depth, torch.zeros_like(depth), (depth,), 0.25)
    assert float(losses.smooth_l1(prediction, batch)) == pytest.approx(2.5)  # 3 mm, linear part
    assert losses.measured(depth, batch)[0].tolist() == pytest.approx([1.8, 0.4, 0.4, 1.0])
    batch.depth[0, 0, 4:] = 0.0
    assert float(losses.smooth_l1(prediction, batch)) == 0.0
