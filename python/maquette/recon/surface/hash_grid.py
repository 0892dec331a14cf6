"""Multi-resolution hash encoding, for CPU and CUDA.

Müller et al., Instant Neural Graphics Primitives (arXiv:2201.05989), sections 3 and 4. Levels
whose lattice fits into the table are indexed densely, finer ones by the spatial hash of eq. 4.
No gradient flows to the positions: normals come from finite differences (field.py), so the
backward pass is one scatter into `table.grad`; `torch.autograd.grad` does not see it.

`reference` says in plain PyTorch what is computed; kernels/grid.py computes it fast.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_PRIMES = (1, -1640531535, 805459861)  # eq. 4; the second is 2654435761 in 32 signed bits


class HashGrid(nn.Module):
    """Feature vectors on nested lattices over a cube, interpolated trilinearly.

    Args:
        levels: Number of lattices L.
        min_logres, max_logres: log2 of the cells along the cube, coarsest and finest.
        dict_size: log2 of the most rows that one level stores.
        dim: Features F of a row.
        half_width: The cube is [-half_width, half_width]^3.

    Attributes:
        width: Columns of what `forward` returns, 3 + L·F.
        fast: Compute with the kernels, not with the reference.
    """

    lattice: Tensor

    def __init__(
        self, levels: int, min_logres: float, max_logres: float, dict_size: int, dim: int,
        half_width: float = 1.0, generator: torch.Generator | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.levels, self.dim, self.half_width = levels, dim, half_width
        self.width, self.fast = 3 + levels * dim, True
        span = (max_logres - min_logres) / max(levels - 1, 1)
        self.resolutions = [round(2 ** (min_logres + span * level)) for level in range(levels)]
        capacity = 2**dict_size
        rows = [min((cells + 1) ** 3, capacity) for cells in self.resolutions]
        self.dense_levels = sum((cells + 1) ** 3 <= capacity for cells in self.resolutions)
        self.mask = capacity - 1
        lattice = [
            [cells, sum(rows[:level]), int(level < self.dense_levels)]
            for level, cells in enumerate(self.resolutions)
        ]  # a row a level: cells a side, first row of the table, whether it is dense
        self.register_buffer("lattice", torch.tensor(lattice, dtype=torch.int32), persistent=False)
        start = (torch.rand(sum(rows), dim, generator=generator) * 2 - 1) * 1e-4
        self.table = nn.Parameter(start)  # [rows, F]

    def cell_size(self, active: int) -> float:
        """Width of a cell of the finest active level, in the cube's units."""
        return 2 * self.half_width / self.resolutions[max(active, 1) - 1]

    def forward(self, points: Tensor, active: int | None = None) -> Tensor:
        """Encode points; features of inactive levels are zero.

        Args:
            points: [N, 3] float32 in the cube (outside: the features of its side).
            active: How many levels, coarse first, count; None = all.

        Returns:
            [N, 3 + L·F] float32: the point, then its features.
        """
        count = self.levels if active is None else min(max(active, 1), self.levels)
        if not self.fast:
            return self.reference(points, count)
        encoded: Tensor = _Encode.apply(  # type: ignore[no-untyped-call]
            self.table, points.detach().contiguous(), self, count
        )
        return encoded

    def reference(self, points: Tensor, count: int) -> Tensor:
        """What `forward` computes, in plain PyTorch; differentiable in the table."""
        index, weight = self.corners(points, count)
        rows = self.table[index.long()]  # [l, 8, N, F]
        features = (rows * weight[..., None]).sum(1).permute(1, 0, 2).flatten(1)
        features = nn.functional.pad(features, (0, (self.levels - count) * self.dim))
        return torch.cat([points.detach(), features], dim=1)

    @torch.no_grad()
    def corners(self, points: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Rows and weights of the 8 lattice corners around each point.

        Returns:
            index [l, 8, N] int32 into the table, weight [l, 8, N] float32 summing to one.
        """
        cells = self.lattice[:count, 0]
        unit = (points / (2 * self.half_width) + 0.5).clamp(0.0, 1.0 - 1e-6)
        scaled = unit.t() * cells[:, None, None]  # [l, 3, N]
        lower = scaled.floor()
        fraction = scaled - lower
        weight = _outer(torch.stack([1.0 - fraction, fraction], dim=2), torch.mul)
        whole = lower.to(torch.int32)
        both = torch.stack([whole, whole + 1], dim=2)  # [l, 3, 2, N]
        dense = min(self.dense_levels, count)
        side = cells[:dense] + 1
        strides = torch.stack([side * side, side, torch.ones_like(side)], dim=1)
        primes = torch.tensor(_PRIMES, dtype=torch.int32, device=points.device)
        near = _outer(both[:dense] * strides[:, :, None, None], torch.add)
        hashed = _outer(both[dense:] * primes[None, :, None, None], torch.bitwise_xor) & self.mask
        return torch.cat([near, hashed]) + self.lattice[:count, 1, None, None], weight


def _outer(sides: Tensor, combine: Any) -> Tensor:
    """Combine per-axis values [l, 3, 2, N] into corner values [l, 8, N]; z varies fastest."""
    x, y, z = sides.unbind(1)
    plane = combine(x[:, :, None], y[:, None, :])  # [l, 2, 2, N]
    return combine(plane[:, :, :, None], z[:, None, None]).flatten(1, 3)


class _Encode(torch.autograd.Function):
    """The kernels as one differentiable step; the gradient goes to the table only."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, points: Tensor, grid: HashGrid, count: int) -> Tensor:
        from maquette.recon.surface.kernels import grid as kernels  # starts Warp: only when used

        ctx.save_for_backward(points)
        ctx.grid, ctx.count = grid, count
        return kernels.encode(
            points, table, grid.lattice[:count], grid.mask, grid.half_width, grid.width
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, None, None]:
        """Add straight to `table.grad`: a new gradient a call would be written and read twice."""
        from maquette.recon.surface.kernels import grid as kernels

        grid: HashGrid = ctx.grid
        (points,) = ctx.saved_tensors
        if grid.table.grad is None:
            grid.table.grad = torch.zeros_like(grid.table)
        kernels.add_table_gradient(
            points, gradients[0], grid.table.grad, grid.lattice[: ctx.count], grid.mask,
            grid.half_width,
        )  # fmt: skip
        return None, None, None, None
