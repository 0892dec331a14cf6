"""The marker `cuda`: tests that need an NVIDIA GPU, `pytest -m cuda`."""

from __future__ import annotations

import shutil

import pytest

# What a kernel and its twin are compared on.
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]


def missing_gpu() -> str:
    """Why nothing can run on a GPU here; torch is asked only where there is a driver."""
    if not shutil.which("nvidia-smi"):
        return "there is no NVIDIA driver here: run it on a machine with a GPU, `pytest -m cuda`"
    import torch

    if torch.cuda.is_available():
        return ""
    return f"torch {torch.__version__} finds no GPU: see docs/decisions/0007-gpus.md"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cuda: needs an NVIDIA GPU; skipped where there is none")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cuda") and (reason := missing_gpu()):
        pytest.skip(reason)
