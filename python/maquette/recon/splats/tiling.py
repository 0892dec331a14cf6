"""Which ellipses each tile of a picture blends, nearest first."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import warp as wp
from torch import Tensor

from maquette.recon.kernels.launching import array, over_items
from maquette.recon.splats.kernels import binning, projection
from maquette.recon.splats.kernels.tile_test import TILE


@dataclass(frozen=True)
class Pairs:
    """Pairs of a tile and an ellipse, [P]: sorted by tile, then by depth.

    Attributes:
        ranges: [tiles + 2] where those of each tile begin.
        owners: Number of the Gaussian.
        slots: Where the pair stands when sorted by ellipse.
        first: [N] of each drawn Gaussian its first pair in that other order.
    """

    ranges: Tensor
    owners: Tensor
    slots: Tensor
    first: Tensor


def tile_counts(width: int, height: int) -> tuple[int, int]:
    """Columns and rows of tiles that cover a picture."""
    return -(-width // TILE), -(-height // TILE)


def bin_ellipses(size: tuple[int, int], records: Tensor, touched: Tensor) -> Pairs:
    """Pair ellipses with tiles, and sort the pairs.

    Args:
        size: Width and height of the picture, pixels.
        records: [N, 16] as projection writes them.
        touched: [N] int32, how many tiles each reaches.
    """
    device = records.device
    columns, rows = tile_counts(*size)
    tiles = columns * rows
    seen = _nearest_first(records[:, 9], touched)
    starts = torch.zeros(len(seen) + 1, dtype=torch.int64, device=device)
    torch.cumsum(touched[seen], 0, out=starts[1:])
    count = int(starts[-1])
    # one more, so that there is an address where there is no pair
    tile, owner, owners, slots = torch.empty(4, count + 1, dtype=torch.int32, device=device)
    first = torch.zeros(len(touched), dtype=torch.int32, device=device)
    ranges = torch.zeros(tiles + 2, dtype=torch.int32, device=device)
    whole = wp.int32
    over_items(
        binning.fill, len(seen), device,
        [*size, tiles, array(seen.int(), whole), array(starts.int(), whole),
         array(records.view(-1)), array(first, whole), array(tile, whole), array(owner, whole)],
    )  # fmt: skip
    if device.type == "cpu":
        over_items(
            binning.sort_pairs, 1, device,
            [count, tiles, array(tile, whole), array(owner, whole), array(ranges, whole),
             array(owners, whole), array(slots, whole)],
        )  # fmt: skip
    else:
        ordered, places = torch.sort(tile[:count], stable=True)
        slots[:count], owners[:count] = places.int(), owner[places]
        edges = torch.arange(tiles + 2, dtype=torch.int32, device=device)
        ranges = torch.searchsorted(ordered, edges, out_int32=True)
    return Pairs(ranges, owners, slots, first)


def _nearest_first(depth: Tensor, touched: Tensor) -> Tensor:
    """Numbers of what is drawn, by depth; on a GPU all, since to count them means to wait."""
    if depth.device.type == "cuda":
        return torch.argsort(torch.where(touched > 0, depth, torch.inf), stable=True)
    seen = torch.nonzero(touched)[:, 0]
    return seen[torch.argsort(depth[seen], stable=True)]


def gather(pairs: Pairs, touched: Tensor, parts: Tensor) -> Tensor:
    """Sum what the pairs of each ellipse have [P, 16]; [N, 16], undefined where not drawn."""
    sums = torch.empty(len(touched), projection.SUMS, device=parts.device)
    over_items(
        binning.gather_parts, len(touched), parts.device,
        [array(touched, wp.int32), array(pairs.first, wp.int32), array(parts.view(-1)),
         array(sums.view(-1))],
    )  # fmt: skip
    return sums
