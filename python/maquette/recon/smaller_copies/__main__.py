"""`python -m maquette.recon.smaller_copies --scene DIR --requests JSON`: copies that fit."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from maquette.errors import MaquetteError, from_os_error, missing_part
from maquette.recon import stopping
from maquette.scene.events import Progress
from maquette.scene.paths import Scene


def main(argv: Sequence[str] | None = None) -> int:
    """Make the copies, telling progress as events; return the exit code (`maquette.errors`)."""
    arguments = _parser().parse_args(argv)
    progress = Progress(check=stopping.check)
    try:
        stopping.install()
        with progress.stage("copies"):
            progress.event("started")
            clock = time.monotonic()
            from maquette.recon.smaller_copies.making import make

            copies = make(Scene(arguments.scene.resolve()), arguments.requests, progress)
            made = [asdict(copy) for copy in copies]
            wall_s = round(time.monotonic() - clock, 3)
            progress.event("finished", numbers={}, wall_s=wall_s, copies=made)
    except ModuleNotFoundError as error:
        return progress.failed(missing_part("recon", "making smaller copies", error))
    except MaquetteError as error:
        return progress.failed(error)
    except OSError as error:
        return progress.failed(from_os_error(error, "making smaller copies"))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m maquette.recon.smaller_copies", description=__doc__
    )
    parser.add_argument("--scene", type=Path, required=True, help="the scene folder")
    parser.add_argument(
        "--requests", type=json.loads, required=True, help="a JSON list: what is wanted"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
