"""Fixtures of the contract suite."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from job_making import MakeJob, script_job


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    """Make jobs that share one scene folder: `make_job("exit 3")`."""
    return partial(script_job, tmp_path)
