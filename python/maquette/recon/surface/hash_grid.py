"""Multi-resolution hash encoding in plain PyTorch, for CPU and CUDA.

Müller et al., Instant Neural Graphics Primitives (arXiv:2201.05989), sections 3 and 4. Levels
whose lattice fits into the table are indexed densely, finer ones by the spatial hash of eq. 4.
No gradient flows to the positions: normals come from finite differences (field.py), so the
backward pass is one scatter into the table.
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
    """

    offsets: Tensor

    def __init__(
        self, levels: int, min_logres: float, max_logres: float, dict_size: int, dim: int,
        half_width: float = 1.0, generator: torch.Generator | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.levels, self.dim, self.half_width = levels, dim, half_width
        span = (max_logres - min_logres) / max(levels - 1, 1)
        self.resolutions = [round(2 ** (min_logres + span * level)) for level in range(levels)]
        capacity = 2**dict_size
        rows = [min((cells + 1) ** 3, capacity) for cells in self.resolutions]
        self.dense_levels = sum((cells + 1) ** 3 <= capacity for cells in self.resolutions)
        self.mask = capacity - 1
        starts = [sum(rows[:level]) for level in range(levels)]
        self.register_buffer("offsets", torch.tensor(starts, dtype=torch.int32), persistent=False)
        start = (torch.rand(dim, sum(rows), generator=generator) * 2 - 1) * 1e-4
        self.table = nn.Parameter(start)  # [F, rows]: the layout that scattering wants
        self._copied: tuple[int, int] | None = None
        self._rows = start

    def cell_size(self, active: int) -> float:
        """Width of a cell of the finest active level, in the cube's units."""
        return 2 * self.half_width / self.resolutions[max(active, 1) - 1]

    def forward(self, points: Tensor, active: int | None = None) -> Tensor:
        """Encode points; features of inactive levels are zero.

        Args:
            points: [N, 3] float32 in the cube (outside: clamped).
            active: How many levels, coarse first, count; None = all.

        Returns:
            [N, L·F] float32.
        """
        count = self.levels if active is None else min(max(active, 1), self.levels)
        index, weight = self.corners(points, count)
        features: Tensor = _Interpolate.apply(  # type: ignore[no-untyped-call]
            self.table, self.rows(), index, weight
        )  # [l·N, F]
        features = features.view(count, len(points), self.dim).permute(1, 0, 2).flatten(1)
        return nn.functional.pad(features, (0, (self.levels - count) * self.dim))

    def rows(self) -> Tensor:
        """The table as [rows, F], the layout that gathering wants; copied when it has changed.

        Fused optimisers change parameters without telling: see `follow`.
        """
        version = (self.table.data_ptr(), self.table._version)
        if self._copied != version:
            self._rows, self._copied = self.table.detach().t().contiguous(), version
        return self._rows

    def forget(self) -> None:
        """Copy the table again at the next use."""
        self._copied = None

    @torch.no_grad()
    def corners(self, points: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Rows and weights of the 8 lattice corners around each point.

        Returns:
            index [l, 8, N] int32 into the table, weight [l, 8, N] float32 summing to one.
        """
        cells = torch.tensor(self.resolutions[:count], device=points.device)  # [l]
        unit = (points / (2 * self.half_width) + 0.5).clamp(0.0, 1.0 - 1e-6)
        scaled = unit.t().contiguous() * cells[:, None, None]  # [l, 3, N]
        lower = scaled.floor()
        fraction = scaled - lower
        weight = _outer(torch.stack([1.0 - fraction, fraction], dim=2), torch.mul)
        whole = lower.to(torch.int32)
        both = torch.stack([whole, whole + 1], dim=2)  # [l, 3, 2, N]
        dense = min(self.dense_levels, count)
        parts = []
        if dense:
            parts.append(_outer(both[:dense] * self._strides(cells[:dense]), torch.add))
        if dense < count:
            primes = torch.tensor(_PRIMES, dtype=torch.int32, device=points.device)
            hashed = both[dense:] * primes[None, :, None, None]
            parts.append(_outer(hashed, torch.bitwise_xor).bitwise_and_(self.mask))
        index = parts[0] if len(parts) == 1 else torch.cat(parts)
        return index.add_(self.offsets[:count, None, None]), weight

    def _strides(self, cells: Tensor) -> Tensor:
        side = (cells + 1).to(torch.int32)
        return torch.stack([side * side, side, torch.ones_like(side)], dim=1)[:, :, None, None]


def follow(optimizer: torch.optim.Optimizer, module: nn.Module) -> None:
    """Make every hash grid in `module` notice the steps of `optimizer`."""
    grids = [part for part in module.modules() if isinstance(part, HashGrid)]

    def forget(*_: Any) -> None:
        for grid in grids:
            grid.forget()

    optimizer.register_step_post_hook(forget)


def _outer(sides: Tensor, combine: Any) -> Tensor:
    """Combine per-axis values [l, 3, 2, N] into corner values [l, 8, N]; z varies fastest."""
    x, y, z = sides.unbind(1)
    plane = combine(x[:, :, None], y[:, None, :])  # [l, 2, 2, N]
    return combine(plane[:, :, :, None], z[:, None, None]).flatten(1, 3)


class _Interpolate(torch.autograd.Function):
    """Weighted sum of 8 table rows a point; the gradient goes to the table only."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(index, weight)
        ctx.rows = len(rows)
        bags = index.transpose(1, 2).reshape(-1, 8)  # [l·N, 8]
        shares = weight.transpose(1, 2).reshape(-1, 8)
        return nn.functional.embedding_bag(bags, rows, per_sample_weights=shares, mode="sum")

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        index, weight = ctx.saved_tensors  # [l, 8, N]
        levels, _, points = weight.shape
        (gradient,) = gradients  # [l·N, F]
        rows = index.view(-1).long()
        columns = gradient.view(levels, points, -1).permute(2, 0, 1).contiguous()  # [F, l, N]
        spread = (columns[:, :, None] * weight).view(len(columns), -1)  # [F, l·8·N]
        # One row a feature: torch scatters rows in parallel, and each in a fixed order.
        total = gradient.new_zeros(len(columns), ctx.rows)
        total.scatter_add_(1, rows.expand(len(columns), -1), spread)
        return total, None, None, None
