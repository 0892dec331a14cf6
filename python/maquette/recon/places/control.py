"""A world laid over ground control points, with the errors of those and of check points.

Where four or more points control, each is also left out once and placed by the others: that error
tells what a point that was not measured would have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maquette.errors import BadInput, ConfigError
from maquette.recon.evaluate.similarity import fit_similarity
from maquette.recon.places.control_points import ControlList, ControlPoint, Mark
from maquette.recon.places.finding import Finding, of_similarity
from maquette.recon.places.scale_bars import ScaleBar
from maquette.recon.places.triangulation import Triangulated, triangulate_all
from maquette.scene import geodesy
from maquette.scene.geodesy import Utm

Floats = NDArray[np.float64]
_LEAST = 3
_FARTHEST_M = 20_000.0  # from what the photos' GPS says
_THINNEST = 0.02  # second extent of the points, of the first


@dataclass(frozen=True)
class Measured:
    """A control point with its place in the world.

    Attributes:
        error_m: From where it was measured, east, north, up, [3]; `left_out_m` when the others
            alone place it.
    """

    point: ControlPoint
    seen: Triangulated
    error_m: Floats
    left_out_m: float | None = None

    def as_document(self) -> dict[str, Any]:
        """Its part of `georeference.json`."""
        return {
            "name": self.point.name, "role": "check" if self.point.is_check else "control",
            "photos": self.seen.views, "reprojection_error_px": round(self.seen.error_px, 3),
            "error_m": [round(float(value), 4) for value in self.error_m],
            "left_out_error_m": None if self.left_out_m is None else round(self.left_out_m, 4),
        }  # fmt: skip


def by_points(
    given: ControlList, model: object, near: Floats | None, finding: Finding
) -> list[Measured]:
    """Lay the world over the control points.

    Args:
        model: A `pycolmap.Reconstruction` of the pictures as filmed.
        near: Where the photos' GPS says they were taken (φ, λ, h); None: it says nothing.
    Raises:
        BadInput: fewer than three can be used, they lie in a line or far from the photos.
    """
    placed, lost = triangulate_all(model, {point.name: point.marks for point in given.points})
    if lost:
        finding.remarks.append(
            f"control points that no two photos with a pose show do not count: {', '.join(lost)}"
        )
    known = [point for point in given.points if point.name in placed]
    control = [point for point in known if not point.is_check]
    if len(control) < _LEAST:
        raise BadInput(
            f"{len(control)} ground control points can be used, at least 3 are needed",
            detail=f"{len(given.points)} are listed; each must be marked in 2 photos with a pose, "
            "and names that begin with CHK are check points",
            hint="mark more points, or use SCALE_BAR= for scale alone",
        )
    _check_near(control, near)
    origin = np.mean([point.place for point in control], axis=0)
    world = np.array([placed[point.name].point for point in control])
    places = geodesy.enu_from_geodetic(np.array([point.place for point in control]), origin)
    _check_spread(places)
    fitted = fit_similarity(world, places)
    utm = given.system.utm or Utm.of(float(origin[0]), float(origin[1]))
    finding.source, finding.georeference = "gcp", of_similarity(fitted, origin, utm)
    finding.metres_per_unit = fitted.scale
    measured = []
    for point in known:
        place = geodesy.enu_from_geodetic(point.place, origin)
        error = fitted.apply(placed[point.name].point) - place
        alone = None if point.is_check else _left_out(control.index(point), world, places)
        measured.append(Measured(point, placed[point.name], error, alone))
    _tell(measured, finding, utm)
    return measured


def _left_out(row: int, world: Floats, places: Floats) -> float | None:
    if len(world) <= _LEAST:
        return None
    others = np.arange(len(world)) != row
    try:
        fitted = fit_similarity(world[others], places[others])
    except BadInput:
        return None
    return float(np.linalg.norm(fitted.apply(world[row]) - places[row]))


def _check_near(control: Sequence[ControlPoint], near: Floats | None) -> None:
    if near is None:
        return
    away = np.linalg.norm(
        geodesy.enu_from_geodetic(np.array([point.place for point in control]), near), axis=1
    )
    if (nearest := float(away.min())) > _FARTHEST_M:
        raise BadInput(
            f"the control points lie {nearest / 1000:,.0f} km from where the photos' GPS is",
            hint="look at zone and hemisphere in the first line of the list, and at the order "
            "of the coordinates: x is east or longitude, y north or latitude",
        )


def _check_spread(places: Floats) -> None:
    extents = np.linalg.svd(places - places.mean(axis=0), compute_uv=False)
    if extents[1] < _THINNEST * max(extents[0], 1e-9):
        raise BadInput(
            f"the {len(places)} ground control points lie in one line, around which the world "
            "could turn",
            hint="add one beside the line",
        )


def _tell(measured: Sequence[Measured], finding: Finding, utm: Utm) -> None:
    control = [one for one in measured if not one.point.is_check]
    check = [one for one in measured if one.point.is_check]
    finding.numbers |= {"gcp": len(control), "gcp_rms_m": round(_rms(control), 4)}
    told = f"{len(control)} ground control points are met to {_rms(control):.2g} m"
    alone = [one.left_out_m for one in control if one.left_out_m is not None]
    if check:
        finding.numbers |= {"check_points": len(check), "check_rms_m": round(_rms(check), 4)}
        told += f", {len(check)} check points to {_rms(check):.2g} m"
    elif alone:
        left_out = float(np.sqrt(np.mean(np.square(alone))))
        finding.numbers["gcp_left_out_rms_m"] = round(left_out, 4)
        told += f", each by the others alone to {left_out:.2g} m"
    finding.remarks.append(
        f"{told}; a unit is {finding.metres_per_unit:.5g} m, in {utm.name} (EPSG:{utm.epsg})"
    )


def _rms(measured: Sequence[Measured]) -> float:
    return float(np.sqrt(np.mean([(one.error_m**2).sum() for one in measured])))


def lengths(
    bars: Sequence[ScaleBar], given: ControlList | None, model: object
) -> list[tuple[ScaleBar, float]]:
    """Each bar with its length in world units.

    Raises:
        ConfigError: an end names no control point, or no two photos place it.
    """
    named: dict[str, Sequence[Mark]] = (
        {point.name: point.marks for point in given.points} if given else {}
    )
    found = []
    for number, bar in enumerate(bars, 1):
        if strangers := [name for name in bar.names if name not in named]:
            raise ConfigError(
                f"SCALE_BAR: `{strangers[0]}` is none of the control points",
                hint=f"they are: {', '.join(named)}" if named else "GCP= names their list",
            )
        ends = {name: named[name] for name in bar.names} if bar.names else dict(
            zip(("its first end", "its second end"), bar.ends, strict=True)
        )  # fmt: skip
        placed, lost = triangulate_all(model, ends)
        if lost:
            raise ConfigError(
                f"SCALE_BAR: no two photos with a pose place `{lost[0]}` of bar {number}",
                hint="mark it in photos that were taken from different places",
            )
        one, other = (point.point for point in placed.values())
        found.append((bar, float(np.linalg.norm(one - other))))
    return found


def scale_of(measured: Sequence[tuple[ScaleBar, float]], finding: Finding) -> float | None:
    """Metres a unit by all bars together; None without any.

    Each counts by its length, so that a short one with the same error of marking says less.
    """
    if not measured:
        return None
    real = np.array([bar.length_m for bar, _ in measured])
    units = np.array([length for _, length in measured])
    if not units.all():
        raise ConfigError("SCALE_BAR: both ends lie at one place", hint="mark them again")
    scale = float((real * units).sum() / (units**2).sum())
    worst = float(np.abs(scale * units / real - 1).max())
    finding.numbers |= {"scale_bars": len(measured), "scale_bars_differ_ratio": round(worst, 5)}
    return scale
