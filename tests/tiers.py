"""Tiers: what a test needs besides this machine's Python decides which command runs it."""

from __future__ import annotations

import pytest

from backends import missing_daemon

# Marker → what such tests need, and the command that runs them.
TIERS = {
    "soak": ("an hour: kills, seeds and variants swept", "make test-all"),
    "docker": ("a Docker daemon", "make test-docker"),
    "pages": ("Blender or a browser", "make test-pages"),
    "cluster": ("a cluster of Ray or Slurm", "make test-cluster"),
}


def pytest_configure(config: pytest.Config) -> None:
    for name, (need, command) in TIERS.items():
        config.addinivalue_line("markers", f"{name}: needs {need}; `{command}`")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("docker") and (reason := missing_daemon()):
        pytest.skip(reason)


def left_out(config: pytest.Config, item: pytest.Item) -> str:
    """The tier that this run leaves out and that a test belongs to; "" when it has none."""
    chosen = config.option.markexpr
    return next(
        (name for name in TIERS if f"not {name}" in chosen and item.get_closest_marker(name)), ""
    )
