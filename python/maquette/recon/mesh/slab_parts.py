"""A surface in files, one for some slabs of its grid, which any process can make.

The planes between slabs are found once and kept too: found again on another machine they might
differ by a rounding, and two slabs would not fit.
"""

from __future__ import annotations

import zipfile
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
    def lacks_planes(self) -> bool:
        """Whether planes are needed and are to be found first."""
        return slabs(self.grid, self.block_res) > 1 and not self._planes.is_file()

    def find_planes(self, distance: Distance) -> None:
        """Find the planes after each slab but the last, see `marching.plane_after`."""
        count = slabs(self.grid, self.block_res)
        found = [plane_after(distance, self.grid, self.block_res, n) for n in range(count - 1)]
        with replacing(self._planes) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, *(plane for plane in found if plane is not None))

    def lay(self, distance: Distance, share: tuple[int, int], told: Told) -> Path:
        """Lay the surface in some slabs; returns the file.

        Args:
            told: Called with (blocks done, blocks in all parts).

        Raises:
            BadInput: the planes are missing or damaged.
        """
        patches = []
        for slab in range(*share):
            planes = self._planes_of(slab)
            laid = surface_in_slab(distance, self.grid, self.block_res, slab, planes, told)
            patches += [Patch(number, vertices, faces) for number, _, vertices, faces in laid]
        write_patches(self._file(share), patches)
        return self._file(share)

    def joined(self) -> TriangleMesh:
        """The whole surface in unit space; raises as `patches.joined` does."""
        return joined(map(self._file, self.shares), self.grid, self.block_res)

    def _planes_of(
        self, slab: int
    ) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
        """The planes before and after a slab; None where there is no slab beyond."""
        if slabs(self.grid, self.block_res) == 1:
            return None, None
        try:
            with np.load(self._planes) as content:
                before, after = (content.get(f"arr_{number}") for number in (slab - 1, slab))
                return before, after
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise BadInput(
                f"what parts of the surface share is missing or damaged: `{self._planes}`",
                detail=str(error),
                hint="remove it and run the same command again: it is made anew",
            ) from error

    @property
    def _planes(self) -> Path:
        return self.folder / f"{self.name}-planes.npz"

    def _file(self, share: tuple[int, int]) -> Path:
        return self.folder / f"{self.name}-{share[0]}.npz"
