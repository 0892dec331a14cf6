"""The captures by name."""

from dataclasses import replace
from functools import partial

from captures.indoors import corner, room, table_toy, turntable
from captures.outdoors import facade, flight, owl_arc, street

CAPTURES = {
    "arc-90": partial(owl_arc, 90.0, 20, 1),
    "arc-150": partial(owl_arc, 150.0, 26, 2),
    "circle": partial(owl_arc, 360.0, 30, 3),
    "facade": facade,
    "corner": corner,
    "room": room,
    "street": street,
    "table-toy": table_toy,
    "turntable": turntable,
    "flight": flight,
}


def large_circle():
    """Fifty photos of 1600 x 1200 all round the owl."""
    capture = owl_arc(360.0, 50, 4)
    return replace(capture, width=1600, height=1200, focal_px=2.5 * capture.focal_px)


LARGE = {"circle-50": large_circle}  # takes minutes to render: only when it is named
