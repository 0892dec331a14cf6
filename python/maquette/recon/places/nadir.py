"""Whether a set of photos looks straight down, and whether that suits the method."""

from __future__ import annotations

from collections.abc import Sequence

from maquette.recon.places.gravity import LARGEST_NADIR_DEG


def advice(chosen: str, for_nadir: Sequence[str], angle_deg: float | None) -> str:
    """A sentence where method and photos do not suit one another; "" where they do.

    Args:
        chosen: The pipeline's name; `for_nadir` those that are for photos that look down.
        angle_deg: Between the usual optical axis and straight down; None: up is not known.
    """
    if angle_deg is None:
        return ""
    looks_down = angle_deg < LARGEST_NADIR_DEG
    told = f"the usual photo looks {angle_deg:.0f}° away from straight down"
    if chosen in for_nadir and not looks_down:
        return (
            f"{told}: PIPELINE={chosen} is for photos that look down (below "
            f"{LARGEST_NADIR_DEG:.0f}°), maps have gaps behind what stands upright here"
        )
    if looks_down and chosen not in for_nadir and for_nadir:
        return f"{told}: PIPELINE={for_nadir[0]} makes maps of such photos"
    return ""
