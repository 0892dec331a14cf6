"""LightGlue: which keypoints of two pictures are the same, by a transformer on both sets.

Source: Lindenberger et al., "LightGlue: Local Feature Matching at Light Speed", ICCV 2023; the
depth adapts (section 3.3), and keypoints that will not match are left out on the way (pruning).
Names of weights are those of the published file (for ALIKED).

Letters: N, M keypoints of the two pictures; D = 256 the width; 4 heads of 64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

if TYPE_CHECKING:
    from maquette.recon.sfm.learned.weights import Weights

_LAYERS, _HEADS = 9, 4
_LEAST = 0.1  # probability of a match that counts
_ENOUGH_SURE = 0.95  # share of keypoints that know their match: the layers after are not needed
_UNMATCHABLE = 0.01  # a keypoint that is less likely to have a match at all is left out


@dataclass(frozen=True)
class Keypoints:
    """Keypoints [N, 2] (x, y; pixels), unit descriptors [N, 128], and the picture's size (x, y)."""

    places: Tensor
    descriptors: Tensor
    size: tuple[int, int]


@dataclass
class _Side:
    """One picture on its way: states [N, D], rotations [2, N, 64], and who is left, [N]."""

    states: Tensor
    rotations: Tensor
    index: Tensor

    def keep(self, chosen: Tensor) -> None:
        self.states = self.states[chosen]
        self.rotations = self.rotations[:, chosen]
        self.index = self.index[chosen]


def match(weights: Weights, one: Keypoints, other: Keypoints) -> Tensor:
    """Match two pictures' keypoints.

    Returns:
        Positions in the two sets, [K, 2] int64; a keypoint has at most one match.
    """
    left, right = _side(weights, one), _side(weights, other)
    for layer in range(_LAYERS):
        if not len(left.states) or not len(right.states):
            return left.index.new_zeros((0, 2))
        for side in (left, right):
            side.states = _self_attended(weights, f"transformers.{layer}.self_attn", side)
        _cross_attend(weights, f"transformers.{layer}.cross_attn", left, right)
        if layer == _LAYERS - 1 or _are_sure(weights, layer, left, right, one, other):
            break
    return _assigned(weights, f"log_assignment.{layer}", left, right)


def _side(weights: Weights, given: Keypoints) -> _Side:
    size = given.places.new_tensor(given.size)
    scaled = (given.places - size / 2) / (size.max() / 2)
    angles = (scaled @ weights["posenc.Wr.weight"].T).repeat_interleave(2, dim=-1)  # [N, 64]
    rotations = torch.stack([angles.cos(), angles.sin()])
    index = torch.arange(len(given.places), device=given.places.device)
    return _Side(_linear(weights, "input_proj", given.descriptors), rotations, index)


def _linear(weights: Weights, name: str, states: Tensor) -> Tensor:
    return F.linear(states, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _heads(states: Tensor) -> Tensor:
    """[N, D] to [1, 4, N, 64]."""
    return states.reshape(len(states), _HEADS, -1).transpose(0, 1)[None]


def _joined(heads: Tensor) -> Tensor:
    return heads[0].transpose(0, 1).flatten(1)


def _turned(heads: Tensor, rotations: Tensor) -> Tensor:
    """Rotate pairs of components by the keypoint's angles (rotary encoding, eq. 3 and 4)."""
    even, odd = heads[..., ::2], heads[..., 1::2]
    across = torch.stack([-odd, even], dim=-1).flatten(-2)
    return heads * rotations[0] + across * rotations[1]


def _self_attended(weights: Weights, name: str, side: _Side) -> Tensor:
    mixed = _linear(weights, f"{name}.Wqkv", side.states)
    query, key, value = (_heads(part) for part in mixed.reshape(len(mixed), -1, 3).unbind(-1))
    query, key = _turned(query, side.rotations), _turned(key, side.rotations)
    message = _joined(F.scaled_dot_product_attention(query, key, value))
    return _updated(weights, name, side.states, _linear(weights, f"{name}.out_proj", message))


def _cross_attend(weights: Weights, name: str, left: _Side, right: _Side) -> None:
    """Each side attends to the other; queries and keys are one projection (eq. 5)."""
    sides = (left, right)
    keys = [_heads(_linear(weights, f"{name}.to_qk", side.states)) for side in sides]
    values = [_heads(_linear(weights, f"{name}.to_v", side.states)) for side in sides]
    for n, side in enumerate(sides):
        found = F.scaled_dot_product_attention(keys[n], keys[1 - n], values[1 - n])
        message = _linear(weights, f"{name}.to_out", _joined(found))
        side.states = _updated(weights, name, side.states, message)


def _updated(weights: Weights, name: str, states: Tensor, message: Tensor) -> Tensor:
    inner = _linear(weights, f"{name}.ffn.0", torch.cat([states, message], dim=-1))
    scale, shift = weights[f"{name}.ffn.1.weight"], weights[f"{name}.ffn.1.bias"]
    inner = F.gelu(F.layer_norm(inner, inner.shape[-1:], scale, shift))
    return states + _linear(weights, f"{name}.ffn.3", inner)


def _are_sure(
    weights: Weights, layer: int, left: _Side, right: _Side, one: Keypoints, other: Keypoints
) -> bool:
    """Whether enough keypoints know their match; else those that can have none are left out."""
    limit = min(1.0, 0.8 + 0.1 * math.exp(-4 * layer / _LAYERS))
    token = f"token_confidence.{layer}.token.0"
    sure = [torch.sigmoid(_linear(weights, token, side.states))[:, 0] for side in (left, right)]
    unsure = sum(int((part < limit).sum()) for part in sure)
    if 1 - unsure / (len(one.places) + len(other.places)) > _ENOUGH_SURE:
        return True
    for side, confidence in zip((left, right), sure, strict=True):
        matchable = torch.sigmoid(_matchability(weights, f"log_assignment.{layer}", side))
        side.keep((matchable > _UNMATCHABLE) | (confidence <= limit))
    return False


def _matchability(weights: Weights, name: str, side: _Side) -> Tensor:
    return _linear(weights, f"{name}.matchability", side.states)[:, 0]


def _assigned(weights: Weights, name: str, left: _Side, right: _Side) -> Tensor:
    """The likeliest partner of each keypoint, where it is mutual and likely enough (eq. 6 to 8)."""
    sides = (left, right)
    if not len(left.states) or not len(right.states):
        return left.index.new_zeros((0, 2))
    projected = [_linear(weights, f"{name}.final_proj", side.states) for side in sides]
    similarity = projected[0] @ projected[1].T / math.sqrt(projected[0].shape[1])  # [N, M]
    able = [F.logsigmoid(_matchability(weights, name, side)) for side in sides]
    likelihood = similarity.log_softmax(0) + similarity.log_softmax(1)
    likelihood = likelihood + able[0][:, None] + able[1]
    best, partner = likelihood.max(dim=1)
    back = likelihood.argmax(dim=0)
    mutual = back[partner] == torch.arange(len(partner), device=partner.device)
    chosen = mutual & (best > math.log(_LEAST))
    return torch.stack([left.index[chosen], right.index[partner[chosen]]], dim=1)
