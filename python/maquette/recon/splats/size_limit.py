"""Splats made smaller until their file fits, at the least loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from maquette.errors import BadInput
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.importance import kept_rows

_TRIES = 8
_MARGIN, _FULL = 0.985, 0.95  # of the limit: what is aimed at, and what is near enough
_LEAST_SHARE = 0.001
Size = Callable[[Gaussians, Tensor], int]


@dataclass(frozen=True)
class Fitted:
    """Gaussians whose file fits.

    Attributes:
        rows: Their numbers among the given ones, ascending.
        share: Of the given Gaussians that are left.
        loss: Of what was left out, as `loss` measures it; 0 where all is there.
        size_bytes: Of the file.
    """

    gaussians: Gaussians
    rows: Tensor
    share: float
    loss: float
    size_bytes: int


def fit(
    gaussians: Gaussians,
    limit_bytes: int,
    size: Size,
    loss: Callable[[Gaussians], float],
    worth: Tensor | None = None,
) -> Fitted:
    """Of each degree of colour the most Gaussians that fit, and of these the least loss.

    Args:
        size: Bytes of a file of Gaussians, which are those rows of the given ones; about
            proportional to their number.
        loss: What some of the Gaussians lack beside all of them.
        worth: How important each is, [N]; the least important are left out.

    Raises:
        BadInput: not even a thousandth of them fits.
    """
    every = torch.arange(len(gaussians), device=gaussians.device)
    whole = size(gaussians, every)
    if whole <= limit_bytes:
        return Fitted(gaussians, every, 1.0, 0.0, whole)
    found = []
    for degree in range(gaussians.degree, -1, -1):
        reduced = gaussians.with_degree(degree)
        fitting = _most_that_fit(reduced, limit_bytes, size, worth)
        if fitting is not None:
            rows, share, bytes_ = fitting
            part = reduced.chosen(rows)
            found.append(Fitted(part, rows, share, loss(part), bytes_))
            if share == 1.0:
                break  # a lower degree leaves out more and gains nothing
    if not found:
        raise BadInput(
            f"{len(gaussians):,} splats do not fit into {limit_bytes / 1e6:g} MB",
            hint="give a larger SIZE_LIMIT, or train fewer of them with CAP",
        )
    return min(found, key=lambda fitted: fitted.loss)


def _most_that_fit(
    gaussians: Gaussians, limit_bytes: int, size: Size, worth: Tensor | None
) -> tuple[Tensor, float, int] | None:
    """Rows of the largest share whose file fits, nearly, and its size; None where none does."""
    best, share, too_many = None, 1.0, 1.0
    for _ in range(_TRIES):
        rows = kept_rows(gaussians, 1 - share, worth)
        bytes_ = size(gaussians.chosen(rows), rows)
        if bytes_ > limit_bytes:
            too_many = share
        elif best is None or share > best[1]:
            best = rows, share, bytes_
        if best is not None and (best[1] == 1.0 or best[2] >= _FULL * limit_bytes):
            break
        share *= _MARGIN * limit_bytes / bytes_
        if best is not None and not best[1] < share < too_many:
            share = (best[1] + too_many) / 2
        if share < _LEAST_SHARE:
            break
    return best
