"""`python -m maquette.recon.page_data --scene DIR --pipelines A,B`: write what the page shows."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from maquette.recon.programs import exit_code
from maquette.scene.events import Progress
from maquette.scene.paths import Scene


def main(argv: Sequence[str] | None = None) -> int:
    """Write the files; return the exit code (`maquette.errors`)."""
    arguments = _parser().parse_args(argv)
    progress = Progress()

    def write_files() -> None:
        from maquette.recon.page_data.writing import write

        write(Scene(arguments.scene.resolve()), [*filter(None, arguments.pipelines.split(","))])

    return exit_code(progress, "the page of a scene", "writing the page's files", write_files)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m maquette.recon.page_data", description=__doc__)
    parser.add_argument("--scene", type=Path, required=True, help="the scene folder")
    parser.add_argument("--pipelines", required=True, help="whose results, the first ones first")
    return parser


if __name__ == "__main__":
    sys.exit(main())
