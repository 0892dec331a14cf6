"""`python -m maquette.recon.evaluate --scene DIR --pipeline P --group G`: evaluate one scene."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maquette.recon import stopping
from maquette.recon.programs import exit_code
from maquette.recon.report_page.writing import write_after
from maquette.scene.events import Progress
from maquette.scene.layout import open_scene

if TYPE_CHECKING:
    from maquette.recon.evaluate.protocols import OpenRenderer


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate, telling progress as events; return the exit code (`maquette.errors`)."""
    arguments = _parser().parse_args(argv)
    stopping.install()
    progress = Progress()

    def evaluate() -> None:
        from maquette.recon.evaluate.evaluation import KEYS, run

        with progress.stage("evaluate"):
            scene = open_scene(arguments.scene.resolve(), arguments.pipeline)
            opener = open_named(arguments.renderer)
            result = run(scene, arguments.group, progress, arguments.truth, opener)
            write_after(scene, progress)
            progress.event("finished", numbers={key: result[key] for key in KEYS})

    return exit_code(progress, "an evaluation", "evaluating", evaluate)


def open_named(module: str) -> OpenRenderer | None:
    """How a module shows views; None when there is no module."""
    if not module:
        return None
    opener: OpenRenderer = importlib.import_module(module).open_renderer
    return opener


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m maquette.recon.evaluate", description=__doc__)
    parser.add_argument("--scene", type=Path, required=True, help="the scene folder")
    parser.add_argument("--pipeline", required=True, help="whose results")
    parser.add_argument("--group", default="experiments", help="the training run")
    parser.add_argument("--truth", type=Path, help="folder with ground_truth.json")
    parser.add_argument("--renderer", default="", help="the module that shows its views")
    return parser


if __name__ == "__main__":
    sys.exit(main())
