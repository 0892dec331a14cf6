"""Seeds for what is swept, and the minutes that it may take.

A test with an argument `seed` runs with as many seeds as its mark `seeds` says. Each run begins
at another one and says at which; `--seed N` begins there.
"""

from __future__ import annotations

import os
import random
import time
from typing import Any

import pytest

_BEGUN = time.monotonic()
_DRAWN = "MAQUETTE_TEST_SEED"  # tells workers the one that this run begins at


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, help="the first seed of tests that sweep seeds")
    parser.addoption("--minutes", type=float, help="begin no test of soak after so many minutes")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "seeds(count): how many seeds a test of soak runs with")
    if config.option.seed is None:
        if not hasattr(config, "workerinput"):
            os.environ[_DRAWN] = str(random.randrange(1, 1_000_000))
        config.option.seed = int(os.environ[_DRAWN])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("seeds")
        first = metafunc.config.option.seed
        metafunc.parametrize("seed", range(first, first + (mark.args[0] if mark else 1)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    limit = item.config.option.minutes
    if limit and item.get_closest_marker("soak") and time.monotonic() - _BEGUN > limit * 60:
        pytest.skip(f"MINUTES={limit:g} are over: make test-all")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    failed = terminalreporter.stats.get("failed", []) + terminalreporter.stats.get("error", [])
    if any("soak" in getattr(report, "keywords", ()) for report in failed):
        told = f"the seeds of this run began at {config.option.seed}"
        terminalreporter.write_line(f"{told}: make test-all SEED={config.option.seed}")
