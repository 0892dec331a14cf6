"""The captures by name."""

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
