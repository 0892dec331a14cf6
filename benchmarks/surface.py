"""How fast and how good is training, with each way of computing its hot loops?

    .venv/bin/python benchmarks/surface.py [--json] [--scene DIR] [--iterations 300]
        [--seconds 120] [--variants warp torch] [NAME=value ...]

Each variant trains the sample (or --scene, a prepared scene) twice: for a fixed number of
iterations, and for as many as its measured speed allows in a fixed time. Variants are values of
model.kernels; they take turns in one run, so that a busy machine is unfair to none for long.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from main_job import run
from rows import Row, print_rows

MODEL = "owl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--scene", type=Path, help="a scene that prepare has finished")
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--variants", nargs="+", default=["warp", "torch"])
    parser.add_argument("settings", nargs="*", help="NAME=value")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = _scene(folder, arguments.scene)
        rows: list[Row] = []
        for variant in arguments.variants:
            settings = [*arguments.settings, f"OVERRIDES=model.kernels={variant}"]
            fixed, numbers = measure(
                folder, model, variant, f"{arguments.iterations} it", arguments.iterations, settings
            )
            reached = max(1, int(arguments.seconds * numbers["it_per_s"]))
            timed, _ = measure(
                folder, model, variant, f"{arguments.seconds:g} s", reached, settings
            )
            rows += fixed + timed
    print_rows(rows, arguments.json)


def measure(
    folder: Path, model: str, variant: str, case: str, iterations: int, settings: list[str]
) -> tuple[list[Row], dict[str, Any]]:
    """Train, extract and evaluate once; returns the rows and the training's own numbers."""
    group = f"{variant}-{iterations}"
    words = [*settings, f"GROUP={group}", f"ITERATIONS={iterations}"]
    _, peak = run(["run", "process"], folder, model, words)
    run(["run", "extract"], folder, model, words)
    run(["evaluate"], folder, model, words)
    scene = folder / "scenes" / model
    report = json.loads((scene / "report.json").read_text("utf-8"))
    numbers = next(stage["numbers"] for stage in report["stages"] if stage["stage"] == "train")
    found = json.loads((scene / "results" / "neuralangelo" / "evaluation.json").read_text("utf-8"))
    values = [
        ("iterations", iterations, ""),
        ("speed", numbers["rays_per_s"], "rays/s"),
        ("iteration", 1000 / numbers["it_per_s"], "ms"),
        ("peak memory", peak / 2**30, "GiB"),
        ("held-out PSNR", found["psnr_db"], "dB"),
        ("Chamfer / radius", found["chamfer_relative"], ""),
    ]
    return [Row(case, variant, *value) for value in values if value[1] is not None], numbers


def _scene(folder: Path, prepared: Path | None) -> str:
    """A prepared scene in `folder`; returns its name."""
    if prepared is None:
        run(["run", "prepare"], folder, MODEL, [])
        return MODEL
    leave = shutil.ignore_patterns("runs", "results")
    shutil.copytree(prepared, folder / "scenes" / prepared.name, ignore=leave)
    print(f"training a copy of {prepared}", file=sys.stderr)
    return prepared.name


if __name__ == "__main__":
    main()
