"""What a network says of a reference picture."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Sweep:
    """The hypotheses of a stage, and what the network thought of each.

    Attributes:
        logits: [B, D, h, w] float32; their softmax is the probability of each hypothesis.
        inverse: [B, D, h, w] or [B, D, 1, 1], 1/depth of the hypotheses, from far to near.
    """

    logits: Tensor
    inverse: Tensor


@dataclass(frozen=True)
class Prediction:
    """Depth maps of a batch.

    Attributes:
        depth: [B, H', W'] float32, along the reference camera's +z, in the cameras' unit. Entry
            (y, x) is that of the picture's pixel (y / scale, x / scale), rows and columns from 0.
        confidence: [B, H', W'] float32 in 0..1, of `depth`; without gradient. 0 in the
            training of `cascade`, where nobody reads it.
        stages: What the loss looks at: a depth map [B, h, w] for each stage, coarse to fine, each
            with its own scale; expectations over all hypotheses, in training and without.
        scale: Of `depth` to the pictures: 0.25 of the variant `mvsnet`, 1 of `cascade`.
        sweeps: In training, what each of the stages of `cascade` thought, coarse to fine.
        is_inverse: Hypotheses are equally spaced in 1/depth, which the loss then looks at.
    """

    depth: Tensor
    confidence: Tensor
    stages: tuple[Tensor, ...]
    scale: float
    is_inverse: bool = False
    sweeps: tuple[Sweep, ...] = ()
