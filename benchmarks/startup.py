"""How long does a person wait for a command that only tells something?

.venv/bin/python benchmarks/startup.py [--json] [--runs 15]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from rows import Row, print_rows

ROOT = Path(__file__).resolve().parents[1]
CASES = {
    "make prepare-status": ["make", "prepare-status"],
    "maquette --help": [str(Path(sys.executable).parent / "maquette"), "--help"],
    "python -c pass": [sys.executable, "-c", "pass"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=15)
    arguments = parser.parse_args()
    times: dict[str, list[float]] = {case: [] for case in CASES}
    for _ in range(arguments.runs):
        for case, argv in CASES.items():  # in turn, so that noise meets all alike
            start = time.monotonic()
            subprocess.run(argv, cwd=ROOT, capture_output=True, check=False)
            times[case].append(time.monotonic() - start)
    rows = [
        Row(case, "maquette", "median wall", statistics.median(seconds), "s")
        for case, seconds in times.items()
    ]
    print_rows(rows, arguments.json)


if __name__ == "__main__":
    main()
