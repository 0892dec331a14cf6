"""A folder of the whole run, and whose turn it is: what workers of one run share.

A test that is marked `alone` measures time or looks at the whole machine: no other test of the
run goes on beside it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_VARIABLE = "MAQUETTE_TEST_RUN"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "alone: no other test of the run goes on beside it")
    if not hasattr(config, "workerinput"):
        os.environ[_VARIABLE] = tempfile.mkdtemp(prefix="maquette-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(run_folder(), ignore_errors=True)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    with _turn(alone=item.get_closest_marker("alone") is not None):
        return (yield)


def run_folder() -> Path:
    """The folder that all workers of this run share; it goes with the run."""
    return Path(os.environ[_VARIABLE])


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """Have `make` fill a folder, in the first worker that asks; returns the folder.

    What is in it is for looking at and for `linked_copy`: every test sees the same.
    """
    folder, done = run_folder() / name, run_folder() / f"{name}.done"
    with _locked(f"{name}.lock", fcntl.LOCK_EX):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


# These are written to where they stand; everything else is replaced by a new file.
_CHANGED_IN_PLACE = (".db", ".jsonl", ".lock", ".log")


def linked_copy(source: Path, target: Path) -> Path:
    """Copy a folder by hard links, without its bytes."""

    def link(one: str, other: str) -> None:
        if one.endswith(_CHANGED_IN_PLACE):
            shutil.copy2(one, other)
        else:
            os.link(one, other)

    shutil.copytree(source, target, copy_function=link, dirs_exist_ok=True)
    return target


@contextmanager
def _turn(*, alone: bool) -> Iterator[None]:
    """Many share the room, or one has it; at the door, who came first goes in first."""
    kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    with _locked("door", fcntl.LOCK_EX) as release_door, _locked("room", kind):
        release_door()
        yield


@contextmanager
def _locked(name: str, kind: int) -> Iterator[Callable[[], None]]:
    with open(run_folder() / name, "a") as file:

        def release() -> None:
            # Said, not left to the end of the file: a process that a test forked has it open too.
            fcntl.flock(file, fcntl.LOCK_UN)

        fcntl.flock(file, kind)
        try:
            yield release
        finally:
            release()
