"""A surface in files, one for some slabs of its grid, which any process can make.

The planes between slabs are found once and kept too: found again on another machine they might
differ by a rounding, and two slabs would not fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maquette.errors import BadInput
from maquette.recon.mesh.blocks import Grid
from maquette.recon.mesh.marching import Told, plane_after, slabs, surface_in_slab
from maquette.recon.mesh.patches import Patch, joined, write_patches
from maquette.recon.mesh.sampling import Distance
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.scene.array_files import NOT_READABLE
from maquette.scene.atomic import replacing

_CELLS = 128  # along x of the slabs of a part, at least


@dataclass(frozen=True)
class SlabParts:
    """The parts of one surface.

    Attributes:
        folder: Where their files lie.
        name: Of all that they are made of: parts of another name do not count.
        grid: Of the whole.
        block_res: Cells along a block.
    """

    folder: Path
    name: str
    grid: Grid
    block_res: int

    @property
    def shares(self) -> list[tuple[int, int]]:
        """The slabs of each part: the first, and the one after the last."""
        count, size = slabs(self.grid, self.block_res), -(-_CELLS // self.block_res)
        return [(first, min(first + size, count)) for first in range(0, count, size)]

    @property
    def lacking_planes(self) -> list[int]:
        """The slabs, but the last, after which the plane is still to be found."""
        inner = range(slabs(self.grid, self.block_res) - 1)
        return [slab for slab in inner if not self._plane_file(slab).is_file()]

    def find_planes(self, distance: Distance) -> None:
        """Find those planes, see `marching.plane_after`."""
        for slab in self.lacking_planes:
            plane = plane_after(distance, self.grid, self.block_res, slab)
            assert plane is not None
            with replacing(self._plane_file(slab)) as temporary, open(temporary, "wb") as file:
                np.savez_compressed(file, plane=plane)

    def lay(self, distance: Distance, share: tuple[int, int], told: Told) -> Path:
        """Lay the surface in some slabs; returns the file.

        Args:
            told: Called with (blocks done, blocks in all parts).

        Raises:
            BadInput: the planes are missing or damaged.
        """
        patches = []
        for slab in range(*share):
            planes = self._plane(slab - 1), self._plane(slab)
            laid = surface_in_slab(distance, self.grid, self.block_res, slab, planes, told)
            patches += [Patch(number, vertices, faces) for number, _, vertices, faces in laid]
        write_patches(self._file(share), patches)
        return self._file(share)

    def planes_of(self, share: tuple[int, int]) -> list[Path]:
        """The files of planes that `lay` reads for some slabs."""
        last = slabs(self.grid, self.block_res) - 1
        first, end = max(share[0] - 1, 0), min(share[1], last)
        return [self._plane_file(slab) for slab in range(first, end)]

    def joined(self) -> TriangleMesh:
        """The whole surface in unit space; raises as `patches.joined` does."""
        return joined(map(self._file, self.shares), self.grid, self.block_res)

    def _plane(self, slab: int) -> NDArray[np.float32] | None:
        """The plane after a slab; None where it is not between two."""
        if not 0 <= slab < slabs(self.grid, self.block_res) - 1:
            return None
        path = self._plane_file(slab)
        try:
            with np.load(path) as content:
                plane: NDArray[np.float32] = content["plane"]
                return plane
        except NOT_READABLE as error:
            raise BadInput(
                f"what parts of the surface share is missing or damaged: `{path}`",
                detail=str(error),
                hint="remove it and run the same command again: it is made anew",
            ) from error

    def _plane_file(self, slab: int) -> Path:
        return self.folder / f"{self.name}-plane-{slab}.npz"

    def _file(self, share: tuple[int, int]) -> Path:
        return self.folder / f"{self.name}-{share[0]}.npz"
