"""Where a scene lies, how large it is and which way is up, out of all that is known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maquette.errors import BadInput
from maquette.recon.evaluate.similarity import Similarity
from maquette.recon.places import doubts, gravity, ground
from maquette.recon.places.alignment import LEAST_PLACES, Alignment, align, with_scale
from maquette.recon.places.gravity import Up
from maquette.recon.places.ground import Ground
from maquette.recon.places.positions import Position
from maquette.scene import geodesy
from maquette.scene.geodesy import Utm
from maquette.scene.georeference import Georeference, Place

Floats = NDArray[np.float64]
_TURNED_DEG = 5.0  # by which the drone's own angles may differ from the up that its GPS gives


@dataclass(frozen=True)
class Cameras:
    """What prepare has found by itself.

    Attributes:
        names: [N] our names of the pictures; `titles` are the person's own.
        world_from_cam: [N, 4, 4], COLMAP's camera axes.
        points: [P, 3] world.
    """

    names: Sequence[str]
    titles: Mapping[str, str]
    world_from_cam: Floats
    points: Floats

    @property
    def centers(self) -> Floats:
        """Where they stand, [N, 3]."""
        return self.world_from_cam[:, :3, 3]

    def called(self, names: Sequence[str]) -> list[str]:
        """What a person calls these pictures."""
        return [self.titles.get(name, name) for name in names]


@dataclass
class Finding:
    """What was found, with what a person should read.

    Attributes:
        why_not: Why GPS does not count, "" where it does or was not asked.
        missed_m: By picture, metres from where its GPS has it.
    """

    georeference: Georeference | None = None
    source: str = ""
    metres_per_unit: float | None = None
    up: Up = field(default_factory=lambda: Up(None, "cameras"))
    ground: Ground | None = None
    why_not: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    missed_m: dict[str, float] = field(default_factory=dict)

    @property
    def place(self) -> Place:
        """What later stages read."""
        return Place(self.up.direction, self.metres_per_unit, self.georeference)


def of_similarity(fitted: Similarity, origin: Floats, utm: Utm) -> Georeference:
    """The georeference of a similarity to east, north and up at an origin (φ, λ, h)."""
    matrix = np.eye(4)
    matrix[:3, :3] = fitted.scale * fitted.rotation
    matrix[:3, 3] = fitted.translation
    return Georeference(utm, origin, matrix)


def by_gps(
    cameras: Cameras, found: Mapping[str, Position], scale: float | None, finding: Finding
) -> None:
    """Lay the cameras over their GPS positions; what comes of it goes into `finding`.

    Args:
        scale: Metres a unit, where a scale bar tells them.
    """
    used, remarks = doubts.usable(dict(found))
    named = {cameras.titles.get(name, name): one for name, one in used.items()}
    if mixed := doubts.mixed_levels(named):
        finding.why_not = mixed
    finding.why_not = finding.why_not or doubts.too_few(used, len(cameras.names))
    if finding.why_not:
        finding.remarks += remarks
        return
    rows = [row for row, name in enumerate(cameras.names) if name in used]
    if len(rows) < LEAST_PLACES:
        finding.why_not = f"{len(rows)} photos with a pose have a usable GPS position, 4 are needed"
        return
    chosen = [used[cameras.names[row]] for row in rows]
    geodetic = np.array([[one.latitude, one.longitude, one.altitude or 0.0] for one in chosen])
    origin = np.median(geodetic, axis=0)
    places, world = geodesy.enu_from_geodetic(geodetic, origin), cameras.centers[rows]
    try:
        aligned = align(world, places)
    except BadInput:
        finding.why_not = "the cameras, or their GPS positions, all lie at one place"
        return
    finding.remarks += remarks
    finding.why_not = doubts.why_not(aligned, world, places)
    if finding.why_not:
        return
    if scale is not None:
        finding.numbers["gps_scale_over_bar"] = round(aligned.metres_from_world.scale / scale, 4)
        aligned = with_scale(aligned, scale, world, places)
    _take(cameras, finding, aligned, origin, rows)
    offsets = places - aligned.metres_from_world.apply(world)
    times = [one.time for one in chosen]
    finding.remarks += filter(None, [doubts.two_flights(aligned, offsets, doubts.flights(times))])


def _take(
    cameras: Cameras, finding: Finding, aligned: Alignment, origin: Floats, rows: Sequence[int]
) -> None:
    utm = Utm.of(float(origin[0]), float(origin[1]))
    names = [cameras.names[row] for row in rows]
    finding.source = "gps"
    finding.georeference = of_similarity(aligned.metres_from_world, origin, utm)
    finding.metres_per_unit = finding.georeference.metres_per_unit
    finding.missed_m = dict(zip(names, aligned.distances.tolist(), strict=True))
    agree = int(aligned.agrees.sum())
    finding.numbers |= {
        "gps_photos": agree, "gps_rms_m": round(aligned.rms_m, 3),
        "gps_largest_m": round(float(aligned.distances[aligned.agrees].max()), 3),
        "scale_error_ratio": round(aligned.scale_error, 5),
        "tilt_error_deg": round(aligned.tilt_deg, 3),
    }  # fmt: skip
    finding.remarks.append(
        f"GPS of {agree} of {len(cameras.names)} photos fits the cameras to {aligned.rms_m:.2g} m; "
        f"a unit is {finding.metres_per_unit:.5g} m, in {utm.name} (EPSG:{utm.epsg})"
    )
    if agree < len(rows):
        order = np.argsort(-aligned.distances)[: len(rows) - agree]
        wrong = [f"{cameras.called([names[i]])[0]} ({aligned.distances[i]:.3g} m)" for i in order]
        finding.remarks.append(f"GPS that is off does not count: {doubts.listed(wrong)}")


def settle_up(
    cameras: Cameras, found: Mapping[str, Position], wanted: Floats | None, finding: Finding
) -> None:
    """Decide which way is up, and find the ground below."""
    poses, georeference = cameras.world_from_cam, finding.georeference
    empty = Position(0.0, 0.0).vendor
    vendors = [found[name].vendor if name in found else empty for name in cameras.names]
    gimbal = gravity.from_gimbal(poses, vendors)
    if wanted is not None:
        finding.up = Up(wanted, "UP")
    elif georeference is not None:
        finding.up = Up(georeference.up, "georeference")
    elif gimbal is not None:
        finding.up = Up(gimbal, "gimbal")
    elif (below := gravity.from_ground(poses, cameras.points)) is not None:
        finding.up = Up(below, "ground")
    finding.numbers["up_by"] = finding.up.witness
    if finding.up.direction is None:
        return
    up = finding.up.direction
    if gimbal is not None and (turned := float(np.degrees(np.arccos(np.clip(gimbal @ up, -1, 1))))):
        finding.numbers["gimbal_differs_deg"] = round(turned, 2)
        if turned > _TURNED_DEG:
            finding.remarks.append(
                f"the angles that the drone tells differ by {turned:.0f}° from the up by "
                f"{finding.up.witness}"
            )
    finding.numbers["nadir_angle_deg"] = round(gravity.nadir_angle_deg(poses, up), 1)
    finding.ground = ground.find(cameras.points, cameras.centers, up)
    _tell_heights(cameras, found, finding)


def _tell_heights(cameras: Cameras, found: Mapping[str, Position], finding: Finding) -> None:
    """How high the cameras stand, and whether that can be."""
    below, metres = finding.ground, finding.metres_per_unit
    if below is None:
        if _stand_below(cameras, finding):
            finding.remarks.append(
                "the cameras come out below what they look at: their latitude and longitude are "
                "swapped, have a wrong sign, or their altitudes do; GEOREFERENCE=off leaves GPS out"
            )
        return
    finding.numbers["ground_share"] = round(below.share, 3)
    finding.numbers["height_over_ground_units"] = round(below.height, 4)
    if metres is None:
        return
    finding.numbers["height_over_ground_m"] = round(below.height * metres, 2)
    told = [found[name].vendor.relative_altitude for name in cameras.names if name in found]
    relative = [height for height in told if height is not None]
    if doubt := doubts.heights(below.height * metres, relative):
        finding.remarks.append(doubt)


def _stand_below(cameras: Cameras, finding: Finding) -> bool:
    """Whether a georeference has nearly all cameras below the points that they look at."""
    if finding.georeference is None or not len(cameras.points):
        return False
    up = finding.georeference.up
    return bool((cameras.centers @ up < np.quantile(cameras.points @ up, 0.05)).mean() > 0.9)
