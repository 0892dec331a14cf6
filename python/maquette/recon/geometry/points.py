"""Point clouds, and how they are read from a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plyfile import PlyData, PlyElement, PlyParseError

from maquette.errors import BadInput, NotFound

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class PointCloud:
    """Points of a surface.

    Attributes:
        points: [N, 3], in the frame the maker states.
        normals: [N, 3] of length 1; None when not known.
        colors: [N, 3] uint8 sRGB; None when not known.
    """

    points: FloatArray
    normals: FloatArray | None = None
    colors: NDArray[np.uint8] | None = None

    def chosen(self, which: NDArray[Any]) -> PointCloud:
        """Some of the points, by number or by a mask."""
        normals = None if self.normals is None else self.normals[which]
        colors = None if self.colors is None else self.colors[which]
        return PointCloud(self.points[which], normals, colors)


def read_points(path: Path) -> PointCloud:
    """Read the vertices of a PLY file, in its own units.

    Raises:
        NotFound: there is no such file.
        BadInput: it is no PLY file, or holds no points.
    """
    if not path.is_file():
        raise NotFound(f"no points: `{path}`", hint="run `make extract` first")
    try:
        vertices = PlyData.read(path)["vertex"]
    except (PlyParseError, KeyError, ValueError) as error:
        raise BadInput(f"`{path}` is not a readable PLY file: {error}") from error
    points = _columns(vertices, "x", "y", "z")
    if points is None or not len(points):
        raise BadInput(f"`{path}` holds no points")
    colors = _columns(vertices, "red", "green", "blue")
    return PointCloud(
        points,
        _columns(vertices, "nx", "ny", "nz"),
        None if colors is None else colors.astype(np.uint8),
    )


def _columns(element: PlyElement, *names: str) -> NDArray[np.float64] | None:
    """Columns side by side, [N, 3]; None when the element lacks one."""
    if not set(names) <= set(element.data.dtype.names):
        return None
    return np.stack([np.asarray(element[name], dtype=np.float64) for name in names], axis=1)
