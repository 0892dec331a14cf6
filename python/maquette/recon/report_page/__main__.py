"""`python -m maquette.recon.report_page --scene DIR --pipeline P`: write `report.html` anew."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from maquette.errors import MaquetteError, from_os_error, missing_part
from maquette.scene.events import Progress
from maquette.scene.layout import open_scene


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page; return the exit code (`maquette.errors`)."""
    arguments = _parser().parse_args(argv)
    progress = Progress()
    try:
        from maquette.recon.report_page.writing import write_page
    except ModuleNotFoundError as error:
        return progress.failed(missing_part("recon", "a report", error))
    try:
        scene = open_scene(arguments.scene.resolve(), arguments.pipeline)
        write_page(scene, afresh=True)
    except MaquetteError as error:
        return progress.failed(error)
    except OSError as error:
        return progress.failed(from_os_error(error, "writing report.html"))
    return 0


def _parser() -> argparse.ArgumentParser:
    name = "python -m maquette.recon.report_page"
    parser = argparse.ArgumentParser(prog=name, description=__doc__)
    parser.add_argument("--scene", type=Path, required=True, help="the scene folder")
    parser.add_argument("--pipeline", required=True, help="as which pipeline sees it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
