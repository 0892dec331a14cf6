"""The most memory that a stage held is measured, with that of the processes it starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from maquette.recon.gpu_memory import TorchMeter
from maquette.stages import memory
from maquette.ui.tables import print_report

MB = 1_000_000
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="memory is told by Linux only"
)


IDLE_BUSY_AND_AFTER = """
from maquette.stages import memory

for size in (0, 120_000_000, 0):
    with memory.measured() as peak:
        bytes(bytearray(b"1") * size)
    print(peak.resident_bytes)
"""


def test_a_moment_of_much_memory_is_seen_though_it_is_gone_at_the_end() -> None:
    # A process of its own: one that has run tests before may have as much memory to spare.
    done = subprocess.run(
        [sys.executable, "-c", IDLE_BUSY_AND_AFTER], capture_output=True, text=True, check=True
    )
    idle, busy, after = map(int, done.stdout.split())
    assert 220 * MB < busy - idle < 280 * MB
    assert after < busy - 200 * MB, "each stage has its own peak"


def test_a_process_that_a_process_started_counts() -> None:
    grandchild = "import sys; held = bytearray(b'1') * 80_000_000; print(1, flush=True); input()"
    child = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}], "
        "check=False)"
    )
    before = memory.tree_bytes(memory.os.getpid())
    with subprocess.Popen(
        [sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as started:
        assert started.stdout and started.stdout.readline().strip() == b"1"
        assert len(memory.descendants(memory.os.getpid())) >= 2
        assert memory.tree_bytes(memory.os.getpid()) > before + 75 * MB
        started.communicate(b"\n")


def test_a_gpu_is_asked_where_one_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    with memory.measured(TorchMeter()) as peak:
        pass
    if not torch.cuda.is_initialized():
        assert peak.gpu_bytes == 0
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 7 * MB)
    with memory.measured(TorchMeter()) as peak:
        pass
    assert peak.gpu_bytes == 7 * MB


def test_the_table_tells_the_memory_where_it_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    def stage(name: str, **more: int) -> dict[str, object]:
        known = {"step": "process", "pipeline": "common", "stage": name}
        return {**known, "wall_s": 1.0, "numbers": {}, **more}

    told = {"peak_bytes": 812 * MB, "gpu_peak_bytes": 3100 * MB}
    stages = [stage("of_before"), stage("train", **told), stage("mesh", peak_bytes=900 * MB)]
    print_report({"stages": stages}, "neuralangelo", ("process",))
    said = capsys.readouterr().out
    rows = {line.split()[0]: line for line in said.splitlines() if line.split()}
    assert "812 MB + 3.1 GB GPU" in said and "900 MB" in said
    assert "MB" not in next(line for line in said.splitlines() if "of_before" in line)
    assert "900 MB + 3.1 GB GPU" in rows["3.0"]
