"""`python -m maquette.recon.report_page --scene DIR --pipeline P`: write `report.html` anew."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from maquette.recon.programs import exit_code
from maquette.recon.report_page.writing import write_page
from maquette.scene.events import Progress
from maquette.scene.layout import open_scene


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page; return the exit code (`maquette.errors`)."""
    arguments = _parser().parse_args(argv)
    progress = Progress()

    def write() -> None:
        write_page(open_scene(arguments.scene.resolve(), arguments.pipeline), afresh=True)

    return exit_code(progress, "a report", "writing report.html", write)


def _parser() -> argparse.ArgumentParser:
    name = "python -m maquette.recon.report_page"
    parser = argparse.ArgumentParser(prog=name, description=__doc__)
    parser.add_argument("--scene", type=Path, required=True, help="the scene folder")
    parser.add_argument("--pipeline", required=True, help="as which pipeline sees it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
