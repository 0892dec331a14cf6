"""Every kernel for every GPU promised; tests/unit/test_kernel_cache.py has the outer ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel_compiling import PROMISED, check_targets, compiled_to_ptx


@pytest.mark.timeout(600)
def test_kernels_compile_for_every_promised_capability(tmp_path: Path) -> None:
    check_targets(compiled_to_ptx(tmp_path, tuple(PROMISED)))
