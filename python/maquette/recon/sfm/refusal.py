"""Too few pictures found a pose: which, what was tried, and what helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from maquette.errors import BadInput
from maquette.recon.sfm.learned import weights
from maquette.recon.sfm.mapping import MAX_ERROR_PX, Quality
from maquette.recon.sfm.pairs import EXHAUSTIVE_AT_MOST
from maquette.scene import originals
from maquette.scene.paths import Scene


@dataclass(frozen=True)
class Refusal:
    """The best model, which does not pass the gate.

    Attributes:
        posed: Names of its pictures.
        tried: The methods.
        min_registered: The gate, a share of the images.
        is_video: The pictures are frames of a video.
    """

    scene: Scene
    quality: Quality
    posed: Sequence[str]
    tried: Sequence[str]
    min_registered: float
    is_video: bool

    def error(self) -> BadInput:
        """What to raise."""
        quality, gate = self.quality, self.min_registered
        detail = f"{100 * quality.ratio:.1f} % registered, gate is {100 * gate:.0f} %"
        if quality.points and quality.error_px > MAX_ERROR_PX:
            detail += (
                f"; reprojection error {quality.error_px:.2f} px, gate is {MAX_ERROR_PX:.0f} px"
            )
        unposed = originals.without_pose(self.scene, self.posed) if self.posed else []
        if unposed:
            detail += f"\n{originals.sentence(unposed, quality.images)}"
        return BadInput(
            f"only {quality.registered} of {quality.images} images found a pose: "
            f"`{self.scene.name}`",
            detail=f"{detail}\ntried: {', '.join(self.tried)}",
            hint=advice(self.scene.name, quality.images, self.is_video),
        )


def advice(model: str, images: int, is_video: bool) -> str:
    """What helps this kind of input and was not tried."""
    if is_video:
        command = f"make prepare MODEL={model} FRAMES={max(200, 2 * images)}"
        if images > EXHAUSTIVE_AT_MOST:  # else every pair was matched already
            command += " MATCHER=exhaustive"
        told = f"sharper or closer frames help; try `{command}`"
    else:
        told = (
            "take more photos between these, each with two thirds of the one before in it; then "
            f"`make prepare MODEL={model} INPUT=…` with all of them"
        )
    if not weights.are_installed():
        told += f"; a network finds more in dark or distant pictures: `{weights.INSTALL}`"
    return told
