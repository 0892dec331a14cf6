"""What all parts of a surface must agree on, found once and kept in a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maquette.recon.mesh.blocks import IndexArray
from maquette.scene.array_files import NOT_READABLE
from maquette.scene.atomic import replacing


@dataclass(frozen=True)
class SurfacePlan:
    """How fine a surface is laid, and where.

    Attributes:
        resolution: Cells along the diameter of the region's sphere.
        remark: What a person should know of it; "" is none.
        bricks: Where a TSDF is computed, see `tsdf.near_bricks`.
    """

    resolution: int
    remark: str
    bricks: IndexArray

    def write(self, path: Path) -> None:
        """Keep it: found again on another machine, it might differ by a rounding."""
        with replacing(path) as temporary, open(temporary, "wb") as file:
            resolution, remark = np.array(self.resolution), np.array(self.remark)
            np.savez(file, resolution=resolution, remark=remark, bricks=self.bricks)

    @classmethod
    def read(cls, path: Path) -> SurfacePlan | None:
        """The one that was kept, if there is one and it is whole."""
        try:
            with np.load(path) as content:
                return cls(int(content["resolution"]), str(content["remark"]), content["bricks"])
        except NOT_READABLE:
            return None
