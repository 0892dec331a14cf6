"""What the training of this package's weights lowers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from maquette.recon.mvsnet.prediction import Prediction, Sweep
from maquette.recon.mvsnet.samples import Batch

_STAGE_WEIGHTS = (0.5, 1.0, 2.0)
_UNITS = 128.0  # into which the range of inverse depths is cut: an error of one is a small one
_OF_ERRORS = 0.1  # by which errors count beside the likelihood


def loss(prediction: Prediction, batch: Batch) -> Tensor:
    """Of a batch, a scalar: how unlikely the true depths are, and how wrong those that are told.

    What is told is the mean around the most likely hypothesis, which the likelihood alone shapes;
    the errors of the mean over all of them keep doubts that are far away from adding up.
    """
    found = _OF_ERRORS * stage_losses(prediction.stages, batch)
    for sweep in prediction.sweeps:
        found = found + unlikelihood(sweep, batch)
    return found


def unlikelihood(sweep: Sweep, batch: Batch) -> Tensor:
    """The cross entropy between a stage's hypotheses and the truth, over the pixels it can tell.

    The truth is shared between the two hypotheses beside it so that their mean is the true inverse
    depth. Pixels whose truth is beyond a stage's hypotheses, by more than half their spacing, do
    not count.

    Source: Yao et al., R-MVSNet, CVPR 2019 (depth as a class); differs: shared between two.
    """
    true, mask = _strided(batch, sweep.logits.shape[2])
    wanted = true.clamp(min=1e-9).reciprocal()[:, None]
    spacing = sweep.inverse.diff(dim=1).amax(1, keepdim=True).clamp(min=1e-12)
    share = (1 - (sweep.inverse - wanted).abs() / spacing).clamp(min=0).detach()  # [B, D, h, w]
    whole = share.sum(1)
    counts = mask & (whole >= 0.5)
    entropy = -(share * sweep.logits.log_softmax(1)).sum(1) / whole.clamp(min=1e-6)
    return torch.where(counts, entropy, 0.0).sum() / counts.sum().clamp(min=1)


def stage_losses(stages: Sequence[Tensor], batch: Batch) -> Tensor:
    """The smooth L1 error of every stage's inverse depth, where the depth is known.

    Inverse depths are counted in 1/128 of the range that is searched: a step that is about as
    large everywhere in the picture.
    """
    near, far = batch.depth_range[:, 0, None, None], batch.depth_range[:, 1, None, None]
    unit = (1 / near - 1 / far) / _UNITS
    total = torch.zeros((), device=batch.depth.device)
    for weight, depth in zip(_STAGE_WEIGHTS, stages, strict=True):
        true, mask = _strided(batch, depth.shape[1])
        off = (1 / depth - 1 / true.clamp(min=1e-9)) / unit
        losses = functional.smooth_l1_loss(off, torch.zeros_like(off), reduction="none")
        total = total + weight * torch.where(mask, losses, 0.0).sum() / mask.sum().clamp(min=1)
    return total


def _strided(batch: Batch, height: int) -> tuple[Tensor, Tensor]:
    """True depths and where they are known at a stage's size, both [B, h, w]."""
    stride = round(batch.depth.shape[1] / height)
    return batch.depth[:, ::stride, ::stride], batch.mask[:, ::stride, ::stride]
