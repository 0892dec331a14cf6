"""The tests that need nothing but this machine pass in whichever order they are run.

Ten orders of one commit add up over several sittings: `--minutes 30` begins no further one after
half an hour, and those that passed are noted and not run again.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pytest

from command_line import ROOT, environment

ORDERS = 10
NOTED = ROOT / "build" / "suite-orders.json"  # commit → seeds that passed
CHOSEN = "not docker and not pages and not cluster and not soak"
WORDS = ("-n", "2", "--dist", "loadfile", "-m", CHOSEN)
FOLDERS = ("tests/integration", "tests/contract", "tests/unit")


@pytest.mark.alone
@pytest.mark.seeds(ORDERS)
@pytest.mark.timeout(3600)
def test_the_suite_passes_in_any_order(seed: int) -> None:
    code = _commit()
    passed = _passed(code)
    if len(passed) >= ORDERS:
        pytest.skip(f"{ORDERS} random orders of this commit have passed: rm {NOTED}")
    order = ["--random-order", f"--random-order-seed={seed}", "--durations-file="]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *WORDS, *order, *FOLDERS], cwd=ROOT, env=environment(),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    again = f".venv/bin/pytest tests/soak/test_suite_order.py --seed {seed}"
    why = done.stdout[max(0, done.stdout.find("= FAILURES =")) :]
    assert done.returncode == 0, f"in order {seed}, again: {again}\n{why}"
    NOTED.parent.mkdir(exist_ok=True)
    NOTED.write_text(json.dumps({code: sorted({*_passed(code), seed})}))


def _commit() -> str:
    """The present one and what was changed since, as one word."""
    told = [("rev-parse", "HEAD"), ("diff", "HEAD")]
    said = [subprocess.run(["git", *words], cwd=ROOT, capture_output=True).stdout for words in told]
    return hashlib.sha256(b"".join(said)).hexdigest()


def _passed(code: str) -> list[int]:
    """Of this commit; what was noted of another one counts no more."""
    return list(json.loads(NOTED.read_text()).get(code, [])) if NOTED.exists() else []
