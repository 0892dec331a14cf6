"""What training lowers, and what tells a person how good depth maps are."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from maquette.recon.mvsnet.prediction import Prediction
from maquette.recon.mvsnet.samples import RANGE_MM, Batch

HARDEST = 0.6  # share of the pixels that count in training: those that are most wrong
METRICS = ("abs_err", "acc_1mm", "acc_2mm", "acc_4mm")
_WITHIN_MM = (1.0, 2.0, 4.0)
_STAGE_WEIGHTS = (0.5, 1.0, 2.0)  # coarse to fine


def stage_weights(count: int) -> tuple[float, ...]:
    """How much each of `count` stages counts, the last ones of the three.

    Source: Gu et al., Cascade cost volume, CVPR 2020, eq. 5 and section 4.2.
    """
    return _STAGE_WEIGHTS[-count:] if count > 1 else (1.0,)


def smooth_l1(prediction: Prediction, batch: Batch, hardest: float = HARDEST) -> Tensor:
    """Smooth L1 of all stages over the pixels that are most wrong, a scalar.

    Errors are in mm where hypotheses are spaced in depth. In 1/depth they are shares of the range
    times 510, which is as long as DTU's.

    Args:
        hardest: Share of the valid pixels of a batch that count, in 0..1.
    Source: Yao et al., MVSNet, ECCV 2018, eq. 4; mining: Shrivastava et al., Training region-based
        object detectors with online hard example mining, CVPR 2016, as MVSNet_pl does it.
    """
    total = torch.zeros((), device=batch.depth.device)
    weights = stage_weights(len(prediction.stages))
    for depth, weight in zip(prediction.stages, weights, strict=True):
        truth, mask = resampled(batch, depth.shape[1], depth.shape[2])
        errors = _errors(depth, truth, batch, prediction.is_inverse)[mask]
        found = functional.smooth_l1_loss(errors, torch.zeros_like(errors), reduction="none")
        total = total + weight * _mean_of_largest(found, hardest)
    return total


def _errors(depth: Tensor, truth: Tensor, batch: Batch, is_inverse: bool) -> Tensor:
    """[B, h, w] by how much depths are wrong, in the loss's unit."""
    if not is_inverse:
        return (depth - truth) / batch.unit[:, None, None]
    near, far = batch.depth_range.unbind(1)
    unit = (near.reciprocal() - far.reciprocal()) / RANGE_MM
    least = 0.1 * near[:, None, None]  # truth is 0 where it is unknown
    return (depth.reciprocal() - torch.maximum(truth, least).reciprocal()) / unit[:, None, None]


def _mean_of_largest(values: Tensor, share: float) -> Tensor:
    if not values.numel():
        return values.sum()
    return values.topk(max(1, int(share * values.numel()))).values.mean()


def resampled(batch: Batch, height: int, width: int) -> tuple[Tensor, Tensor]:
    """True depth and valid pixels at another size, both [B, height, width]; mask bool.

    A map of stride s has every s-th pixel of the picture, the first one being (0, 0): no depths
    are mixed. Where truth is coarser than what is asked for, only the pixels that it has count.
    """
    full = batch.images.shape[3], batch.images.shape[4]
    mask = batch.mask & (batch.depth > 0.0)
    kept, has = batch.depth, mask
    stride, own = _stride(full, (height, width)), _stride(full, (kept.shape[1], kept.shape[2]))
    if stride >= own:
        step = stride // own
        return (
            kept[:, ::step, ::step][:, :height, :width], has[:, ::step, ::step][:, :height, :width]
        )  # fmt: skip
    step = own // stride
    depth = kept.new_zeros(len(kept), height, width)
    valid = has.new_zeros(len(has), height, width)
    rows, columns = depth[:, ::step, ::step].shape[1:]
    depth[:, ::step, ::step] = kept[:, :rows, :columns]
    valid[:, ::step, ::step] = has[:, :rows, :columns]
    return depth, valid


def _stride(full: tuple[int, int], size: tuple[int, int]) -> int:
    return round(full[0] / size[0])


@torch.no_grad()
def measured(depth: Tensor, batch: Batch) -> Tensor:
    """How right depth maps are, for each of them: [B, len(METRICS)] float32.

    abs_err is the mean absolute error in mm, acc_Nmm the share of pixels that are less than N mm
    off, both over valid pixels; NaN where a sample has none.

    Args:
        depth: [B, h, w].
    """
    truth, mask = resampled(batch, depth.shape[1], depth.shape[2])
    errors = ((depth - truth).abs() / batch.unit[:, None, None]) * mask
    count = mask.sum((1, 2)).float()
    rows = [errors.sum((1, 2)) / count]
    rows += [((errors < limit) & mask).sum((1, 2)) / count for limit in _WITHIN_MM]
    return torch.stack(rows, 1)
