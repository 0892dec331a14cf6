"""`SCALE_BAR=`: known lengths between two points that are marked in photos.

`SCALE_BAR='2.5 A B'` tells metres and the names of two points of `gcp_list.txt`;
`SCALE_BAR='2.5 a.jpg 812,403 1204,398 b.jpg 655,380 1010,391'` the pixels of both ends in two or
more photos. Several bars are set apart by a semicolon, names with blanks are put in quotes.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from maquette.errors import ConfigError
from maquette.recon.places.control_points import Mark, Pictures

_HINT = (
    "SCALE_BAR='2.5 A B' with names of control points, or "
    "SCALE_BAR='2.5 a.jpg 812,403 1204,398 b.jpg 655,380 1010,391'"
)


@dataclass(frozen=True)
class ScaleBar:
    """A length in metres between two ends.

    Attributes:
        names: Of control points; empty where the ends are marked here.
        ends: The marks of each end.
    """

    length_m: float
    names: tuple[str, ...] = ()
    ends: tuple[tuple[Mark, ...], tuple[Mark, ...]] = ((), ())


def check(text: str) -> None:
    """Refuse a setting of another form, before its pictures are known.

    Raises:
        ConfigError: a bar is unusable.
    """
    parse(text, None)


def parse(text: str, pictures: Pictures | None) -> list[ScaleBar]:
    """Read the bars of the setting.

    Args:
        pictures: Those that it may name; None: whichever it names are taken to be there.

    Raises:
        ConfigError: one is unusable.
    """
    bars = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        try:
            bars.append(_bar(shlex.split(part), pictures.mark if pictures else Mark))
        except ValueError as error:
            raise ConfigError(f"SCALE_BAR: {error}", hint=_HINT) from error
    return bars


def _bar(words: list[str], mark: Callable[[str, float, float], Mark]) -> ScaleBar:
    try:
        length = float(words[0])
    except ValueError as error:
        raise ValueError(f"`{words[0]}` is no length in metres") from error
    if not 0 < length < float("inf"):
        raise ValueError(f"a length of {length:g} m is none")
    rest = words[1:]
    if len(rest) == 2 and rest[0] == rest[1]:
        raise ValueError(f"both ends are `{rest[0]}`")
    if len(rest) == 2:
        return ScaleBar(length, tuple(rest))
    if len(rest) < 6 or len(rest) % 3:
        raise ValueError("two photos or more, each with the pixels of both ends, are needed")
    marks = [
        (mark(name, *_pixel(one)), mark(name, *_pixel(other)))
        for name, one, other in zip(rest[::3], rest[1::3], rest[2::3], strict=True)
    ]
    return ScaleBar(length, (), (tuple(one for one, _ in marks), tuple(two for _, two in marks)))


def _pixel(text: str) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"`{text}` is no pixel such as 812,403") from error
    return x, y
