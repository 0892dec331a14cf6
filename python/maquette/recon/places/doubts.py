"""What can be wrong with positions of photos, a sentence each."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from maquette.recon.places.alignment import LEAST_PLACES, Alignment, align
from maquette.recon.places.positions import Position

Floats = NDArray[np.float64]
_SHOWN = 3
_PAUSE = timedelta(minutes=20)
_LEAST_OFF_M, _OFF_SIGMAS, _LEAST_OF_FLIGHT = 1.0, 4.0, 3
_LOWEST_M, _HIGHEST_M = -450.0, 9500.0  # the Dead Sea's shore, aircraft that carry cameras
_HEIGHT_DIFFERS = 0.25


def listed(names: Sequence[str]) -> str:
    """Some names, and how many more."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def usable(found: dict[str, Position]) -> tuple[dict[str, Position], list[str]]:
    """The positions that can count, and why the others can not."""
    remarks, kept = [], dict(found)

    def leave_out(names: list[str], why: str) -> None:
        if names:
            remarks.append(f"{why}: {listed(names)}")
        for name in names:
            kept.pop(name, None)

    swapped = [name for name, one in kept.items() if abs(one.latitude) > 90]
    leave_out(swapped, "a latitude beyond 90° is none, latitude and longitude may be swapped")
    leave_out([name for name, one in kept.items() if not one.is_possible],
              "positions that no place on Earth has do not count")  # fmt: skip
    leave_out([name for name, one in kept.items() if not one.is_on_wgs84],
              "positions in another datum than WGS 84 do not count")  # fmt: skip
    leave_out([name for name, one in kept.items() if one.altitude is None],
              "positions without an altitude do not count")  # fmt: skip
    impossible = [name for name, one in kept.items() if not _is_flown(one.altitude or 0.0)]
    leave_out(impossible,
              "altitudes below all land or above all flight do not count")  # fmt: skip
    return kept, remarks


def _is_flown(altitude_m: float) -> bool:
    return _LOWEST_M < altitude_m < _HIGHEST_M


def mixed_levels(used: dict[str, Position]) -> str:
    """Altitudes that count from the sea in some photos and from the ellipsoid in others."""
    of = {
        level: [n for n, one in used.items() if one.level == level]
        for level in ("sea", "ellipsoid")
    }
    if not of["sea"] or not of["ellipsoid"]:
        return ""
    return (
        f"altitudes are mixed: {len(of['sea'])} photos count them from the sea, "
        f"{len(of['ellipsoid'])} from the ellipsoid ({listed(of['ellipsoid'])}), "
        "which differ by up to 100 m; give all photos one kind"
    )


def flights(times: Sequence[datetime | None]) -> list[int]:
    """The flight of each photo: a pause of 20 minutes begins another; one, where none is told."""
    known = sorted({time for time in times if time})
    starts = [one for before, one in itertools.pairwise(known) if one - before > _PAUSE]
    return [sum(start <= time for start in starts) if time else 0 for time in times]


def two_flights(found: Alignment, offsets: Floats, flight: Sequence[int]) -> str:
    """Flights whose positions are shifted against one another.

    Args:
        offsets: [N, 3] metres from where each photo came out to where its GPS has it.
    """
    groups = [np.array(flight) == number for number in sorted(set(flight))]
    groups = [one for one in groups if one.sum() >= _LEAST_OF_FLIGHT]
    if len(groups) < 2:
        return ""
    means = np.array([np.median(offsets[one], axis=0) for one in groups])
    apart = float(np.linalg.norm(means - means[0], axis=1).max())
    inner = np.concatenate([offsets[one] - mean for one, mean in zip(groups, means, strict=True)])
    sigma = 1.4826 * float(np.median(np.abs(inner)))
    fewest = min(int(one.sum()) for one in groups)
    if apart < max(_LEAST_OFF_M, _OFF_SIGMAS * sigma / np.sqrt(fewest)):
        return ""
    return (
        f"the photos are of {len(groups)} flights whose GPS differs by {apart:.1f} m; "
        "ground control points (GCP=) would bind them"
    )


def why_not(found: Alignment, world: Floats, places: Floats) -> str:
    """Why an alignment does not count; "" where it does."""
    if found.is_plausible:
        return ""
    if found.is_line:
        return (
            "the photos were taken along one line, around which the world could turn: "
            "fly or walk a second line, or give GCP="
        )
    exchanged = align(world, places * [-1.0, 1.0, 1.0])
    mirrored = exchanged.is_plausible and exchanged.sigma_m < found.sigma_m / 3
    told = (
        f"GPS and cameras differ by {found.rms_m:.3g} m on average, over an extent of "
        f"{2 * found.extents[0]:.3g} m × {2 * found.extents[1]:.3g} m"
    )
    if mirrored:
        return (
            f"{told}; mirrored they would fit to {exchanged.rms_m:.2g} m: latitude and longitude "
            "are swapped, or one has the wrong sign"
        )
    return f"{told}: too much to tell scale and up by it"


def heights(flown_m: float, told_m: Sequence[float]) -> str:
    """Whether the height above the ground is the one that the drone tells.

    Args:
        flown_m: Above the ground plane.
        told_m: Above the place of take-off.
    """
    if not told_m:
        return ""
    told = float(np.median(told_m))
    if told <= 0:
        return f"the drone tells that it flew {told:.1f} m above its take-off: below the ground"
    if abs(flown_m - told) > _HEIGHT_DIFFERS * max(told, abs(flown_m)):
        return (
            f"the cameras stand {flown_m:.1f} m above the ground, and {told:.1f} m above the "
            "take-off as the drone tells: it took off higher or lower, or the scale is wrong"
        )
    return ""


def too_few(used: dict[str, Position], photos: int) -> str:
    """Why these positions can not be aligned with; "" where they are enough."""
    distinct = len({(one.latitude, one.longitude) for one in used.values()})
    if not used:
        return f"none of {photos} photos has a usable GPS position"
    if len(used) < LEAST_PLACES:
        return f"{len(used)} of {photos} photos have a usable GPS position, 4 are needed"
    if distinct < LEAST_PLACES:
        return f"{len(used)} photos tell only {distinct} different places: the GPS stood still"
    return ""
