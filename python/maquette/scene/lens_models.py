"""COLMAP's camera models: how many parameters each has and where focal length and centre lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from maquette.errors import BadInput
from maquette.scene.transforms import Intrinsics


@dataclass(frozen=True)
class LensModel:
    """A camera model of COLMAP 4.

    Attributes:
        parameters: How many numbers describe it.
        focals: How many of them, the first ones, are focal lengths; 0: it has none to show.
    """

    name: str
    parameters: int
    focals: int

    @property
    def is_pinhole(self) -> bool:
        """Whether it has no distortion, as every camera of an undistorted workspace."""
        return self.name in ("PINHOLE", "SIMPLE_PINHOLE")


BY_ID = {
    0: LensModel("SIMPLE_PINHOLE", 3, 1),
    1: LensModel("PINHOLE", 4, 2),
    2: LensModel("SIMPLE_RADIAL", 4, 1),
    3: LensModel("RADIAL", 5, 1),
    4: LensModel("OPENCV", 8, 2),
    5: LensModel("OPENCV_FISHEYE", 8, 2),
    6: LensModel("FULL_OPENCV", 12, 2),
    7: LensModel("FOV", 5, 2),
    8: LensModel("SIMPLE_RADIAL_FISHEYE", 4, 1),
    9: LensModel("RADIAL_FISHEYE", 5, 1),
    10: LensModel("THIN_PRISM_FISHEYE", 12, 2),
    11: LensModel("RAD_TAN_THIN_PRISM_FISHEYE", 16, 2),
    12: LensModel("SIMPLE_DIVISION", 4, 1),
    13: LensModel("DIVISION", 5, 2),
    14: LensModel("SIMPLE_FISHEYE", 3, 1),
    15: LensModel("FISHEYE", 4, 2),
    16: LensModel("EUCM", 6, 2),
    17: LensModel("EQUIRECTANGULAR", 2, 0),
}


@dataclass(frozen=True)
class Lens:
    """One camera of a COLMAP model; parameters in COLMAP's order, pixels."""

    model: LensModel
    width: int
    height: int
    parameters: tuple[float, ...]

    def pinhole(self) -> Intrinsics:
        """The camera without its distortion: what a frustum shows.

        A panorama has no focal length; it is shown as a view of 90 degrees.
        """
        fl_x, fl_y, cx, cy = self._focals_and_center()
        return Intrinsics(self.width, self.height, fl_x, fl_y, cx, cy)

    def _focals_and_center(self) -> Sequence[float]:
        if self.model.focals == 0:
            return self.width / 4, self.width / 4, self.width / 2, self.height / 2
        first, last = self.parameters[0], self.parameters[self.model.focals - 1]
        return first, last, *self.parameters[self.model.focals : self.model.focals + 2]


def check_undistorted(lenses: Sequence[Lens]) -> None:
    """Refuse cameras that `transforms.json` can not describe.

    Raises:
        BadInput: a camera has distortion.
    """
    for lens in lenses:
        if not lens.model.is_pinhole:
            raise BadInput(
                f"a camera is {lens.model.name}, not undistorted: `transforms.json` needs PINHOLE",
                hint="undistort the workspace: `make prepare` does, or COLMAP's image_undistorter",
            )
