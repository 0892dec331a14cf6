"""`python -m maquette.recon.page_data --scene DIR --pipelines A,B`: write what the page shows."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from maquette.errors import MaquetteError, from_os_error, missing_part
from maquette.scene.events import Progress
from maquette.scene.paths import Scene


def main(argv: Sequence[str] | None = None) -> int:
    """Write the files; return the exit code (`maquette.errors`)."""
    arguments = _parser().parse_args(argv)
    progress = Progress()
    try:
        from maquette.recon.page_data.writing import write
    except ModuleNotFoundError as error:
        return progress.failed(missing_part("recon", "the page of a scene", error))
    try:
        write(Scene(arguments.scene.resolve()), [*filter(None, arguments.pipelines.split(","))])
    except MaquetteError as error:
        return progress.failed(error)
    except OSError as error:
        return progress.failed(from_os_error(error, "writing the page's files"))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m maquette.recon.page_data", description=__doc__)
    parser.add_argument("--scene", type=Path, required=True, help="the scene folder")
    parser.add_argument("--pipelines", required=True, help="whose results, the first ones first")
    return parser


if __name__ == "__main__":
    sys.exit(main())
