"""How long do the three steps take on the sample, with how much memory, and how good is it?

    .venv/bin/python benchmarks/main_job.py [--json] [--model owl] [NAME=value ...]

Runs prepare, process, extract and evaluate in an empty folder and samples the memory of the
whole process tree.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from rows import Row, print_rows

STEPS = ("prepare", "process", "extract")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--model", default="owl")
    parser.add_argument("settings", nargs="*", help="NAME=value")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), arguments.model, arguments.settings)
    print_rows(rows, arguments.json)


def measure(folder: Path, model: str, settings: list[str]) -> list[Row]:
    rows, total = [], 0.0
    for step in STEPS:
        seconds, peak = run(["run", step], folder, model, settings)
        total += seconds
        rows.append(Row(step, "maquette", "wall", seconds, "s"))
        rows.append(Row(step, "maquette", "peak memory", peak / 2**30, "GiB"))
    seconds, _ = run(["evaluate"], folder, model, settings)
    rows.append(Row("evaluate", "maquette", "wall", seconds, "s"))
    rows.append(Row("all four", "maquette", "wall", total + seconds, "s"))
    result = json.loads(
        (folder / "scenes" / model / "results" / "neuralangelo" / "evaluation.json").read_text(
            "utf-8"
        )
    )
    for key, value in result.items():
        if isinstance(value, (int, float)):
            rows.append(Row("quality", "maquette", key, float(value), ""))
    return rows


def run(words: list[str], folder: Path, model: str, settings: list[str]) -> tuple[float, int]:
    """Run one command; returns wall seconds and the peak memory (bytes) of all its processes."""
    argv = [sys.executable, "-m", "maquette.cli.main", *words, f"MODEL={model}", *settings]
    start = time.monotonic()
    with subprocess.Popen([*argv, f"BASE_DIR={folder}"], stdout=sys.stderr) as command:
        peak, ended = 0, threading.Event()
        while command.poll() is None:
            peak = max(peak, _memory(folder, command.pid))
            ended.wait(0.2)
    if command.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {command.returncode}")
    return time.monotonic() - start, peak


def _memory(folder: Path, root: int) -> int:
    """Resident bytes of the command and of the detached job that works in `folder`."""
    total = 0
    for process in psutil.process_iter(["pid", "cmdline", "memory_info"]):
        words = process.info["cmdline"] or []
        if process.pid == root or any(str(folder) in word for word in words):
            total += process.info["memory_info"].rss if process.info["memory_info"] else 0
    return total


if __name__ == "__main__":
    main()
