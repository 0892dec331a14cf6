"""The surfaces that DTU's scanner saw, where they lie beside the training data.

Points/stl/stl{scan:03d}_total.ply    points of the scanner, mm, the cameras' frame
ObsMask/ObsMask{scan}_10.mat          which cells of a grid the scanner can tell of
ObsMask/Plane{scan}.mat               the table: below it no point counts as missing

Source: the program that comes with the data of Aanæs et al., Large-scale data for multiple-view
stereopsis, IJCV 2016, whose files these are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from maquette.errors import BadInput
from maquette.recon.geometry.points import read_points
from maquette.recon.mvsnet.cloud_errors import Truth

Floats = NDArray[np.floating]


def read_truth(root: Path, scan: str) -> Truth | None:
    """The surface of a scan; None where its points are not there.

    Raises:
        BadInput: its points are there alone, or a file is damaged.
    """
    number = int(scan.removeprefix("scan"))
    file = root / f"Points/stl/stl{number:03d}_total.ply"
    if not file.is_file():
        return None
    grid = _matrices(root / f"ObsMask/ObsMask{number}_10.mat", "ObsMask", "BB", "Res")
    (plane,) = _matrices(root / f"ObsMask/Plane{number}.mat", "P")
    points = read_points(file).points
    normal, offset = plane.reshape(4)[:3], plane.reshape(4)[3]
    mask, box, size = grid[0].astype(bool), grid[1], float(grid[2].reshape(-1)[0])

    def is_observed(places: Floats) -> NDArray[np.bool_]:
        cells = np.rint((places - box[0]) / size).astype(int)
        inside = ((cells >= 0) & (cells < mask.shape)).all(1)
        at = np.where(inside[:, None], cells, 0)
        return np.asarray(inside & mask[at[:, 0], at[:, 1], at[:, 2]])

    return Truth(points[points @ normal + offset > 0], is_observed)


def _matrices(path: Path, *names: str) -> list[NDArray[Any]]:
    """Matrices of a MATLAB file by their names."""
    hint = "copy ObsMask of DTU's evaluation data again, or leave Points out"
    if not path.is_file():
        raise BadInput(f"points of a scan without their mask, `{path.name}` is missing: "
                       f"`{path.parent}`", hint=hint)  # fmt: skip
    try:
        stored = loadmat(path)
        return [np.asarray(stored[name]) for name in names]
    except (OSError, ValueError, KeyError, NotImplementedError, TypeError) as error:
        raise BadInput(f"`{path}` can not be read: {error}", hint=hint) from error
