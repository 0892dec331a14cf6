"""What a GPU records once must not depend on the data's shape, and must not wait for the host."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from maquette.errors import JobFailed
from maquette.recon.surface import training
from maquette.recon.surface.options import TrainingOptions
from maquette.recon.surface.sparse_points import SparsePoints
from maquette.recon.surface.trainer import Trainer
from maquette.recon.training.process_group import ProcessGroup
from maquette.recon.training.starting import begin
from maquette.recon.training.trainable import read
from maquette.scene.paths import Scene
from synthetic_scene import write_landmarks, write_posed_scene

SMALL: dict[str, Any] = {
    "model.object.sdf.encoding.levels": 4, "model.object.sdf.encoding.hashgrid.max_logres": 6,
    "model.object.sdf.encoding.hashgrid.dict_size": 12, "model.object.sdf.mlp.hidden_dim": 16,
    "model.background.encoding.levels": 2, "model.background.encoding.hashgrid.dict_size": 8,
    "model.render.rand_rays": 16, "model.render.cache_resolution": 12,
}  # fmt: skip

WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "is_nonzero", "equal")


class Waits(TorchDispatchMode):
    """Notes operations for which a GPU would have to be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), named: Any = None
    ) -> Any:
        name = function.__name__.split(".")[0]
        masks = [a for a in arguments[1:2] if isinstance(a, (list, tuple))]
        by_mask = any(getattr(i, "dtype", None) == torch.bool for m in masks for i in m)
        if name in WAITING or (name.startswith("index") and by_mask):
            self.found.append(name)
        return function(*arguments, **(named or {}))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    made = write_posed_scene(tmp_path / "ball", 12, 40, 30)
    write_landmarks(made)
    return made


def made(
    scene: Scene, fixed: bool, monkeypatch: pytest.MonkeyPatch, cache_bytes: int = 0
) -> Trainer:
    monkeypatch.setattr(Trainer, "_fixed", fixed)
    options = TrainingOptions(40, "preview", SMALL, cache_bytes=cache_bytes)
    trainer = training.build(scene, options, ProcessGroup())
    assert isinstance(trainer.points, SparsePoints)
    little = replace(trainer.points.reliance, fit_iterations=5)
    trainer.points = replace(trainer.points, reliance=little)
    begin(trainer, None)
    return trainer


def test_fixed_shapes_give_the_same_step(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for fixed in (False, True):
        trainer = made(scene, fixed, monkeypatch)
        for _ in range(2):  # after more, rounding decides which places are worth a colour
            metrics = trainer.step()
        gradients = {n: p.grad for n, p in trainer.model.named_parameters() if p.grad is not None}
        found.append((read([metrics], Trainer.metric_names)[0], gradients))
    (numbers, gradients), (fixed_numbers, fixed_gradients) = found
    assert numbers == pytest.approx(fixed_numbers, rel=1e-3)
    assert gradients.keys() == fixed_gradients.keys()
    for name, gradient in gradients.items():
        scale = float(gradient.abs().max()) if gradient.numel() else 0.0
        assert torch.allclose(gradient, fixed_gradients[name], atol=2e-3 * scale), name


@pytest.mark.parametrize(
    ("iteration", "photographs"),  # shape and colours, colours alone, a part of the photographs
    [(0, 12), (30, 12), (0, 5)],
)
def test_nothing_in_a_recorded_step_waits(
    scene: Scene, iteration: int, photographs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = made(scene, True, monkeypatch, photographs * 40 * 30 * 3)
    trainer.iteration = iteration
    trainer.step()
    phase = trainer.phase
    with Waits() as fixed:
        trainer._differentiate((phase.active, trainer._hold_shape(), trainer.rays))
        trainer.model.cache._renew_planes(
            3, 2, lambda points: trainer.model.distance(points, phase)
        )
    assert fixed.found == []
    monkeypatch.setattr(Trainer, "_fixed", False)
    with Waits() as free:
        trainer._differentiate((phase.active, trainer._hold_shape(), trainer.rays))
    assert "nonzero" in free.found  # the fake does count


def test_whole_planes_are_renewed_like_single_ones(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = made(scene, False, monkeypatch)
    cache, phase = trainer.model.cache, trainer.phase
    wanted = cache.values.clone()
    cache.values[0, 0, 5:7] = 7.0
    cache._renew_planes(5, 2, lambda points: trainer.model.distance(points, phase))
    reach = cache.values[0, 0, 5:7] != 7.0
    assert 0.5 < float(reach.float().mean()) < 1.0
    assert torch.allclose(cache.values[0, 0, 5:7][reach], wanted[0, 0, 5:7][reach], atol=1e-5)


def test_a_loss_that_is_no_number_leaves_the_parameters(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: the optimizer is told on the device, and the host learns it later."""
    trainer = made(scene, True, monkeypatch)
    trainer.step()
    before = {name: p.clone() for name, p in trainer.model.named_parameters()}
    source = trainer.dataset.source
    source.pixels = torch.full_like(source.pixels, torch.nan, dtype=torch.float32)
    trainer.optimizer.found_inf = trainer._not_finite
    trainer.is_prompt = False
    metrics = trainer.step()
    for name, parameter in trainer.model.named_parameters():
        assert torch.equal(parameter, before[name]), name
    with pytest.raises(JobFailed, match="not a number at iteration 1"):
        read([metrics], Trainer.metric_names)
