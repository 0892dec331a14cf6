"""The tests that need nothing but this machine pass in whichever order they are run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from command_line import ROOT, environment


@pytest.mark.alone
@pytest.mark.seeds(10)
@pytest.mark.timeout(3600)
def test_the_suite_passes_in_any_order(seed: int) -> None:
    chosen = "not docker and not pages and not cluster and not soak"
    words = ["-n", "2", "--dist", "loadfile", "-m", chosen]
    words += ["--random-order", f"--random-order-seed={seed}", "--durations-file="]
    folders = ["tests/integration", "tests/contract", "tests/unit"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, *folders], cwd=ROOT, env=environment(),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:]
