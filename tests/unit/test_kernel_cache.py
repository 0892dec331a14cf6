"""Kernels compiled in advance, for GPUs that are not here."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import warp as wp

from command_line import ROOT
from kernel_compiling import PROMISED, check_targets, compiled_to_ptx, filled, python
from maquette.recon import kernel_cache

OUTER = (PROMISED[0], PROMISED[-1])
BUSY = pytest.mark.timeout(900)  # a compiler at work, perhaps beside many others


@BUSY
def test_some_kernels_compile_for_the_highest_capability(tmp_path: Path) -> None:
    """All are compiled for the lowest below, and for whatever is promised in the soak tier."""
    check_targets(compiled_to_ptx(tmp_path, OUTER[-1:], every=6))


@BUSY
@pytest.mark.parametrize("every", [6, pytest.param(1, marks=pytest.mark.soak)])
def test_a_run_finds_every_kernel_in_the_cache_that_was_filled_for_it(
    tmp_path: Path, every: int
) -> None:
    """On the CPU for real, and for GPUs by Warp's own search, whatever the driver's age."""
    assert OUTER[0] == "7.0"  # the V100S
    if every > 1:  # what this machine compiled for its processor already
        wp.init()
        shutil.copytree(wp.config.kernel_cache_dir, tmp_path / wp.config.version,
                        ignore=shutil.ignore_patterns("*.sm*"))  # fmt: skip
    filled(tmp_path, OUTER[0], every)
    lookup = str(ROOT / "tests" / "kernel_lookup.py")
    asked = python(lookup, str(every), OUTER[0], OUTER[-1], WARP_CACHE_PATH=str(tmp_path))
    assert asked.returncode == 0, asked.stderr
    found = json.loads(asked.stdout)
    held = [entry for entry in found if ".sm70." in entry["file"]]
    assert held and not any(entry["compiled"] for entry in held)
    assert {Path(entry["file"]).suffix for entry in held} == {".ptx", ".cubin"}
    assert all(entry["compiled"] for entry in found if entry not in held)  # it can tell
    ptx = list(tmp_path.rglob("*.sm70.ptx"))
    assert ptx and all(".target sm_70\n" in path.read_text() for path in ptx)
    # Nothing is carried that no run looks for.
    names = {path.name for path in tmp_path.rglob("*.sm*")}
    assert names == {entry["file"] for entry in held}


def test_a_check_names_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert kernel_cache.main(["--check", "--capabilities", "99.0"]) == 1
    said = capsys.readouterr().out
    assert ".sm990.cubin" in said and "0 of " in said


def test_no_launch_chooses_threads_a_block() -> None:
    """The number is part of the name in the cache: compiling in advance uses Warp's default."""
    sources = (ROOT / "python" / "maquette" / "recon").rglob("*.py")
    assert not [path for path in sources if "block_dim" in path.read_text(encoding="utf-8")]


def test_a_cache_that_can_not_be_written_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried = tmp_path / "carried" / "1.17.0" / "wp_module"
    carried.mkdir(parents=True)
    (carried / "wp_module.sm70.ptx").write_text("code")
    monkeypatch.setenv("WARP_CACHE_PATH", str(tmp_path / "carried"))
    kernel_cache.settle()
    assert os.environ["WARP_CACHE_PATH"] == str(tmp_path / "carried")

    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    kernel_cache.settle()
    own = Path(os.environ["WARP_CACHE_PATH"])
    assert own.parent == tmp_path and own.name != "carried"
    assert (own / "1.17.0" / "wp_module" / "wp_module.sm70.ptx").read_text() == "code"
