"""What NVIDIA's assembler says of our kernels; no GPU is needed."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version

import pytest

from command_line import ROOT
from kernel_compiling import python

PACKAGE = "nvidia-cuda-nvcc-cu12"


def missing_assembler() -> str:
    try:
        version(PACKAGE)
    except PackageNotFoundError:
        return f"there is no ptxas: `.venv/bin/pip install {PACKAGE}`"
    return ""


@pytest.mark.skipif(bool(missing_assembler()), reason=missing_assembler() or "-")
@pytest.mark.parametrize("capability", ["7.0", pytest.param("9.0", marks=pytest.mark.soak)])
def test_no_kernel_spills_registers_on_a_v100_and_an_h100(capability: str) -> None:
    script = str(ROOT / "benchmarks" / "ptxas.py")
    done = python(script, "--json", "--capabilities", capability)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["tool"] for row in rows} == {capability}
    spills = {row["case"]: row["value"] for row in rows if row["metric"] == "spills"}
    assert len(spills) > 6 and not any(spills.values())
    # 65,536 registers a multiprocessor: two blocks of 256 threads at least.
    assert all(row["value"] <= 128 for row in rows if row["metric"] == "registers")
