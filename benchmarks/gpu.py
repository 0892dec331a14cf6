"""What does a GPU make of it: do the kernels compute the right thing, how fast, in what memory?

    python benchmarks/gpu.py --out DIR [--scenes scenes] [--minutes 8] [--parts NAME …] [--json]

One prepared run for a machine that is at hand for minutes: no network, nothing to install. Each
part is a process of its own with its own limit, so that one failure does not take the rest, and
rows are written to DIR/gpu.jsonl as they come; DIR/gpu.json holds all of them at the end, with
the machine. Without a GPU the same parts run on the CPU, to try the run itself.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rows import Row, print_rows

MODEL = "owl"


def main() -> None:
    from gpu_parts import PARTS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scenes", type=Path, default=Path("scenes"))
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--alone", help=argparse.SUPPRESS)  # the one part of a child process
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.alone:
        run_part(arguments.alone, arguments)
        return
    end = time.monotonic() + 60 * arguments.minutes
    results = arguments.out / "gpu.jsonl"
    results.write_text("")
    failed = []
    for name in arguments.parts:
        seconds = min(PARTS[name][0], end - time.monotonic())
        if seconds < 10:
            failed.append(f"{name}: no time left")
        elif problem := run_apart(name, seconds, arguments):
            failed.append(f"{name}: {problem}")
    rows = [Row(**json.loads(line)) for line in results.read_text().splitlines()]
    print_rows(rows, arguments.json)
    machine = subprocess.run(
        [sys.executable, "-c", _VERSIONS], capture_output=True, text=True, check=False
    )
    document = {
        "machine": json.loads(machine.stdout or "{}"), "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "failed": failed, "rows": [asdict(row) for row in rows],
    }  # fmt: skip
    (arguments.out / "gpu.json").write_text(json.dumps(document, indent=1))
    for problem in failed:
        print(f"failed: {problem}", file=sys.stderr)
    if failed:
        raise SystemExit(1)


_VERSIONS = """
import json, torch
from maquette.recon.kernel_checks import versions
print(json.dumps(versions(torch.device("cuda" if torch.cuda.is_available() else "cpu"))))
"""


def run_apart(name: str, seconds: float, arguments: argparse.Namespace) -> str:
    """Run a part in a process of its own; returns what went wrong."""
    argv = [
        sys.executable, __file__, "--alone", name,
        "--out", str(arguments.out), "--scenes", str(arguments.scenes),
    ]  # fmt: skip
    print(f"{name}: at most {seconds:.0f} s", file=sys.stderr, flush=True)
    try:
        code = subprocess.run(argv, timeout=seconds, check=False).returncode
    except subprocess.TimeoutExpired:
        return f"stopped after {seconds:.0f} s"
    return f"ended with {code}" if code else ""


def run_part(name: str, arguments: argparse.Namespace) -> None:
    """Run one part here and write its rows one by one."""
    import tempfile

    from gpu_parts import PARTS, Place

    folder = Path(tempfile.gettempdir()) / "maquette-gpu"
    place = Place(arguments.scenes / MODEL, folder)
    start = time.perf_counter()
    with open(arguments.out / "gpu.jsonl", "a", encoding="utf-8") as results:
        for row in PARTS[name][1](place):
            print(json.dumps(asdict(row)), file=results, flush=True)
            print(f"  {row.case} {row.tool} {row.metric}: {row.value:.4g} {row.unit}", flush=True)
    print(f"{name}: {time.perf_counter() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
