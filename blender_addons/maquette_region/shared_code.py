"""Where `maquette.scene` lies: in the installed zip, a checkout, or the wheel that carries this."""

from __future__ import annotations

import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_PLACES = (_HERE / "shared", _HERE.parents[1] / "python", *_HERE.parents[3:4])


def find() -> None:
    """Make `maquette.scene` importable.

    Raises:
        ImportError: it is in neither place, as the add-on was copied without it; or no numpy.
    """
    try:
        import numpy  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "maquette_region needs numpy, which this Blender's Python does not have; "
            "with Debian's Blender: apt-get install python3-numpy"
        ) from error
    for place in _PLACES:
        if (place / "maquette" / "scene").is_dir():
            if str(place) not in sys.path:
                sys.path.append(str(place))
            return
    raise ImportError(
        "maquette_region is incomplete: install the zip that `make blender-addon` makes"
    )
