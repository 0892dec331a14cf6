"""How well does maquette do on the ways in which people film?

    .venv/bin/python benchmarks/captures.py [NAME ...] [--mesh] [--json] [--cache DIR]
        [--pipeline P] [--settings NAME=value ...]

Renders captures of samples/ (all, or those named), prepares each, and with --mesh also trains and
extracts it. Every length is a share of the object's size (benchmarks/capture_figures.py). What is
in the cache folder already is not done again, unless settings or code of its stage changed.
`--settings FORCE_STAGE=region` places the regions anew.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from capture_figures import known, mesh_figures, prepare_figures
from capture_truth import CaptureTruth, read_capture
from main_job import run
from maquette.errors import MaquetteError
from maquette.recon.evaluate.protocols import NotMeasured
from maquette.recon.evaluate.results import find_surface
from maquette.recon.evaluate.truth import FILE
from maquette.scene.paths import Scene
from rows import Row, machine, print_rows

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "samples"))

from captures.catalogue import CAPTURES  # noqa: E402
from captures.writing import write_capture  # noqa: E402

UNITS = {"posed": "", "photos": "", "radius": "×", "rule": ""}  # all others: %
Figures = dict[str, float | str]


def main() -> None:
    arguments = _arguments()
    folder: Path = arguments.cache.resolve()
    found = {}
    for name in arguments.names or CAPTURES:
        capture = rendered(name, folder / "rendered", arguments.photos)
        try:
            found[name] = measured(capture, folder, arguments)
        except (SystemExit, MaquetteError, NotMeasured) as error:
            print(f"{name}: {error}", file=sys.stderr)
            found[name] = {"photos": len(capture.views), "failed": str(error)}
    if arguments.json:
        print_rows(list(_rows(found)), True)
    else:
        print_table(found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CAPTURES))
    parser.add_argument("--mesh", action="store_true", help="process and extract as well")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "captures")
    parser.add_argument("--photos", type=Path, help="captures that are rendered already")
    parser.add_argument("--pipeline", default="neuralangelo")
    parser.add_argument("--settings", nargs="*", default=[], metavar="NAME=value")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(CAPTURES)
    if unknown:
        parser.error(f"no capture {', '.join(sorted(unknown))}; there are {', '.join(CAPTURES)}")
    return arguments


def rendered(name: str, folder: Path, ready: Path | None) -> CaptureTruth:
    """A capture from the folder of those that are ready, else rendered into `folder`."""
    if ready is not None:
        return read_capture(ready / name)
    if not (folder / name / FILE).is_file():
        write_capture(name, CAPTURES[name](), folder / name)
    return read_capture(folder / name)


def measured(capture: CaptureTruth, folder: Path, arguments: argparse.Namespace) -> Figures:
    """Prepare a capture, with --mesh make its mesh, and measure."""
    name = capture.folder.name
    scene = Scene(folder / "scenes" / name, arguments.pipeline)
    masks = capture.folder / "masks"
    if masks.is_dir() and not scene.masks.exists():
        shutil.copytree(masks, scene.masks)
    words = [f"PIPELINE={arguments.pipeline}", *arguments.settings]
    given = [f"INPUT={capture.folder / 'photos'}", f"SCENE_TYPE={capture.scene_type}"]
    run(["run", "prepare"], folder, name, [*given, *words])
    found = known(capture, scene)
    figures: Figures = {**prepare_figures(found, scene)}
    if arguments.mesh:
        for step in ("process", "extract"):
            run(["run", step], folder, name, words)
        figures |= mesh_figures(found, find_surface(scene).path)
    return figures


def _rows(found: dict[str, Figures]) -> list[Row]:
    return [
        Row(name, "maquette", metric, value, UNITS.get(metric, "%"))
        for name, figures in found.items()
        for metric, value in figures.items()
        if isinstance(value, (int, float))
    ]


def print_table(found: dict[str, Figures]) -> None:
    """One row a capture."""
    columns = list(dict.fromkeys(key for figures in found.values() for key in figures))
    rows = [["capture", *columns]]
    for name, figures in found.items():
        rows.append([name, *(_shown(figures.get(column, "")) for column in columns)])
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    print(f"{machine()}; all but posed, photos and radius (×) in %\n")
    for row in rows:
        print("  ".join(word.rjust(width) for word, width in zip(row, widths, strict=True)))


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3g}"


if __name__ == "__main__":
    main()
