"""How prepare grows with the number of photos: pairs, processor time and memory, stage by stage.

    .venv/bin/python benchmarks/growth.py --counts 100 300 900 --until matches

Photos of a street (`street.py`) are rendered into `build/growth/`. What was killed goes on where it
was, its processor time counted on: so a long run may be done in pieces (`timeout 300 …`).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import time
from importlib import import_module
from pathlib import Path

import psutil

import street
from maquette.pipelines.pipeline import COMMON
from maquette.pipelines.prepare import PREPARE, PrepareOptions
from maquette.recon.executing import in_processes
from maquette.scene import lock, stage_records
from maquette.scene.atomic import write_json
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.running import run_stages
from rows import Row, print_rows

ROOT = Path(__file__).resolve().parents[1]
STAGES = tuple(name.rpartition(".")[2] for name in PREPARE.stages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 300])
    parser.add_argument("--until", choices=STAGES, default="matches")
    parser.add_argument("--width", type=int, default=street.WIDTH, help="of the photos, pixels")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "growth")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows, totals, pairs = [], {}, {}
    for count in arguments.counts:
        base = arguments.folder / f"{count}-{arguments.width}"
        street.write_photos(base / "photos", count, arguments.width)
        scene = Scene(base / "scene")
        scene.stages.mkdir(parents=True, exist_ok=True)
        with lock.held(scene, print):
            options = PrepareOptions(input=str(base / "photos"), workers=arguments.workers)
            found = prepare(scene, base, options, arguments.until)
        case = f"{count} photos"
        totals[count] = sum(seconds for seconds, _ in found.values())
        pairs[count] = stage_records.read(scene, "matches").numbers["pairs_matched"]
        for stage, (seconds, peak_bytes) in found.items():
            rows.append(Row(case, stage, "processor time", seconds, "s"))
            rows.append(Row(case, stage, "peak memory", peak_bytes / 2**20, "MiB"))
        rows.append(Row(case, "matches", "pairs", pairs[count], ""))
        rows.append(Row(case, f"to {arguments.until}", "processor time", totals[count], "s"))
    for one, other in zip(arguments.counts, arguments.counts[1:], strict=False):
        for metric, values in (("exponent of pairs", pairs), ("exponent of time", totals)):
            exponent = math.log(values[other] / values[one]) / math.log(other / one)
            rows.append(Row(f"{one} to {other} photos", "", metric, exponent, ""))
    print_rows(rows, arguments.json)


def prepare(
    scene: Scene, base: Path, options: PrepareOptions, until: str
) -> dict[str, tuple[float, int]]:
    """Run the stages; by name, their processor seconds in all pieces, and the most memory."""
    found = {}
    for name in STAGES[: STAGES.index(until) + 1]:
        meter = Meter(base / f"{name}_seconds.json")
        stage = import_module(f"maquette.recon.stages.common.{name}").STAGE
        is_done = stage_records.read(scene, name) is not None
        with open(os.devnull, "w") as nowhere:
            progress = Progress(scene.events, nowhere, check=meter.look)
            (record,) = run_stages(
                [stage], "prepare", scene, options, progress, COMMON, in_processes
            )
        if not is_done:
            meter.write()
        found[name] = (meter.seconds(), record.peak_bytes)
    return found


class Meter:
    """Processor seconds of this process and all that it starts, kept in a file by process."""

    def __init__(self, file: Path) -> None:
        self._file, self._begin, self._last = file, _used(), time.monotonic()

    def look(self) -> None:
        """Write them down now and then: the process may be killed."""
        if time.monotonic() - self._last > 2:
            self.write()

    def write(self) -> None:
        """Write down what was used since the beginning."""
        self._last = time.monotonic()
        pieces = self._pieces() | {f"{os.getpid()}": round(_used() - self._begin, 2)}
        write_json(self._file, pieces)

    def seconds(self) -> float:
        """Of all pieces together."""
        return sum(self._pieces().values())

    def _pieces(self) -> dict[str, float]:
        return json.loads(self._file.read_text()) if self._file.exists() else {}


def _used() -> float:
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    done = sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, who))
    living = 0.0
    for child in psutil.Process().children(recursive=True):
        try:
            times = child.cpu_times()
            living += times.user + times.system
        except psutil.Error:
            continue
    return done + living


if __name__ == "__main__":
    main()
