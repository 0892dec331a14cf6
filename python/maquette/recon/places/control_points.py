"""Ground control points in OpenDroneMap's form: `gcp_list.txt`.

The first line names the reference system; each other one is
`x y z pixel_x pixel_y photo [name] [more …]`. Pixels count from the upper left corner of the photo
as it is seen, upright. Points whose name begins with `CHK` are check points: they are measured,
never fitted. Lines that begin with `#` are comments.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maquette.errors import BadInput
from maquette.recon.places import reference_systems
from maquette.recon.places.reference_systems import ReferenceSystem

Floats = NDArray[np.float64]
_CHECK = "CHK"
_SHOWN = 5


@dataclass(frozen=True)
class Mark:
    """Where one picture shows a point: pixels from its upper left corner."""

    picture: str
    x: float
    y: float


@dataclass(frozen=True)
class ControlPoint:
    """A point that was measured on the ground.

    Attributes:
        place: Latitude and longitude in degrees, height in metres, [3].
    """

    name: str
    place: Floats
    marks: tuple[Mark, ...]

    @property
    def is_check(self) -> bool:
        """Whether it is only measured."""
        return self.name.upper().startswith(_CHECK)


@dataclass(frozen=True)
class Pictures:
    """The pictures of a scene by every name that a person may give them.

    Attributes:
        by_name: Our name, by a person's name in small letters.
        sizes: Width and height of each, by our name.
    """

    by_name: Mapping[str, str]
    sizes: Mapping[str, tuple[int, int]]

    def mark(self, name: str, x: float, y: float) -> Mark:
        """A mark in a picture.

        Raises:
            ValueError: there is no such picture, or it has no such pixel; the message says which.
        """
        picture = self.by_name.get(name.lower())
        if picture is None:
            near = difflib.get_close_matches(name.lower(), self.by_name, n=1)
            hint = f", nearest: `{near[0]}`" if near else ""
            raise ValueError(f"no photo is called `{name}`{hint}")
        width, height = self.sizes[picture]
        if not (0 <= x <= width and 0 <= y <= height):
            raise ValueError(
                f"pixel ({x:g}, {y:g}) lies outside of `{name}`, which has {width} × {height}"
            )
        return Mark(picture, x, y)


@dataclass(frozen=True)
class ControlList:
    """What a list holds, and what was left out of it."""

    points: tuple[ControlPoint, ...]
    system: ReferenceSystem
    remarks: tuple[str, ...] = ()


def parse(text: str, pictures: Pictures, name: str) -> ControlList:
    """Read a list.

    Args:
        name: Of the file, for sentences.
    Raises:
        BadInput: its lines are unusable; all of them are named together.
    """
    lines = [
        (number, line) for number, raw in enumerate(text.splitlines(), 1)
        if (line := raw.strip().lstrip("\ufeff")) and not line.startswith("#")
    ]  # fmt: skip
    if not lines:
        raise BadInput(f"`{name}` is empty", hint="docs/places.md shows its form")
    system = reference_systems.parse(lines[0][1])
    gathered, problems, doubled = _Gathered(), [], 0
    for number, line in lines[1:]:
        try:
            doubled += not gathered.add(line, pictures)
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    if problems:
        more = [f"… and {len(problems) - _SHOWN} more"] * (len(problems) > _SHOWN)
        raise BadInput(
            f"`{name}`, {problems[0]}",
            detail="\n".join([*problems[:_SHOWN], *more]),
            hint="x y z pixel_x pixel_y photo name, a line for each photo; docs/places.md",
        )
    remarks = [f"`{name}`: {doubled} lines stand there twice and count once"] if doubled else []
    points = tuple(
        ControlPoint(point, system.geodetic(gathered.places[point]), tuple(marks.values()))
        for point, marks in gathered.marks.items()
    )
    return ControlList(points, system, tuple(remarks))


class _Gathered:
    """Marks by point and picture, as lines come in."""

    def __init__(self) -> None:
        self.places: dict[str, Floats] = {}
        self.marks: dict[str, dict[str, Mark]] = {}

    def add(self, line: str, pictures: Pictures) -> bool:
        """Take over a line; False where the same one was there.

        Raises:
            ValueError: it is unusable.
        """
        fields = line.split()
        if len(fields) < 6:
            raise ValueError(f"{len(fields)} words, at least 6 are needed: `{line[:60]}`")
        try:
            x, y, z, column, row = (float(field) for field in fields[:5])
        except ValueError as error:
            raise ValueError(f"the first five words must be numbers: `{line[:60]}`") from error
        place = np.array([x, y, z])
        point = fields[6] if len(fields) > 6 else f"{x:g} {y:g}"
        if not np.isfinite(place).all():
            raise ValueError(f"point `{point}` has no place")
        mark = pictures.mark(fields[5], column, row)
        before = self.places.setdefault(point, place)
        if not np.array_equal(before, place):
            raise ValueError(f"point `{point}` has another place than in a line before")
        marks = self.marks.setdefault(point, {})
        if mark.picture in marks:
            if marks[mark.picture] != mark:
                raise ValueError(f"point `{point}` is marked twice in `{fields[5]}`")
            return False
        marks[mark.picture] = mark
        return True
