"""Torch's optimisers without torch.compile, which tests/integration/test_distributed.py misses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.optim import Adam, AdamW, Optimizer

from maquette.recon.surface.optimizer import without_compiler


@pytest.mark.parametrize("kind", [Adam, AdamW])
def test_an_optimizer_without_the_compiler_does_what_torchs_does(kind: type[Adam]) -> None:
    one, other = trained(kind), trained(without_compiler(kind))
    assert all(map(torch.equal, one, other))


def trained(kind: Callable[..., Optimizer]) -> list[torch.Tensor]:
    """Weights after four steps, in whose middle the run goes on from a checkpoint."""
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(n, generator=generator).requires_grad_() for n in (12, 5)]

    def make() -> Optimizer:
        groups = [{"params": weights[:1]}, {"params": weights[1:], "weight_decay": 0.1}]
        return kind(groups, lr=0.1, betas=(0.9, 0.99), fused=True)

    optimizer = make()
    for step in range(4):
        optimizer.zero_grad(set_to_none=True)
        torch.stack([w.square().sum() for w in weights]).sum().backward()
        optimizer.step()
        if step == 1:
            state, optimizer = optimizer.state_dict(), make()
            optimizer.load_state_dict(state)
    return [weight.detach() for weight in weights]
