"""`python -m maquette.recon.pictures --scene DIR --output FILE`: draw the region of a scene."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from maquette.errors import MaquetteError, format_error, from_os_error
from maquette.recon.pictures import points
from maquette.scene.workspace import open_workspace


def main(argv: Sequence[str] | None = None) -> int:
    """Draw the picture; return the exit code (`maquette.errors`)."""
    parser = argparse.ArgumentParser(prog="python -m maquette.recon.pictures", description=__doc__)
    parser.add_argument("--scene", type=Path, required=True, help="the scene folder")
    parser.add_argument("--output", type=Path, required=True, help="the PNG to write")
    arguments = parser.parse_args(argv)
    try:
        opened = open_workspace(arguments.scene)
        subject = points.Subject.of(opened.model, opened.region, opened.scene)
        points.write(arguments.output, subject, f"{arguments.scene.resolve().name} · region")
    except MaquetteError as error:
        return _fail(error)
    except OSError as error:
        return _fail(from_os_error(error, "drawing the region"))
    return 0


def _fail(error: MaquetteError) -> int:
    print(format_error(error), file=sys.stderr)
    return int(error.exit_code)


if __name__ == "__main__":
    sys.exit(main())
