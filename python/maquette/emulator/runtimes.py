"""What runs a job: a container as 42420:42420, or a plain process where there is no Docker.

Both outlive the emulator: a job that runs when it stops is found again when it starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

LOST = 137


class StartError(Exception):
    """A job can never run.

    Args:
        code: The service's word for the cause.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RuntimeUnavailable(Exception):
    """What runs the jobs does not answer; nothing is known of them meanwhile."""


@dataclass(frozen=True)
class Task:
    """What a runtime runs.

    Attributes:
        mounts: Mount path to the folder that stands for it and whether it may be written.
        run: Folder for the runtime's own files of this job.
    """

    id: str
    image: str
    command: list[str]
    environment: dict[str, str]
    mounts: dict[str, tuple[Path, bool]]
    gpus: int
    run: Path


class Runtime(Protocol):
    """Starts, watches and stops tasks; every call may be repeated.

    Each may raise RuntimeUnavailable.

    Attributes:
        name: What its tasks are, in the plural.
        poll_s: How often it may be asked whether a task has ended.
    """

    name: str
    poll_s: float

    def start(self, task: Task) -> None:
        """Start it unless it was started before.

        Raises:
            StartError: it can never run.
        """

    def exit_code(self, task: Task) -> int | None:
        """How it ended; None while it runs."""

    def stop(self, task: Task, *, kill: bool) -> None:
        """Send TERM or KILL."""

    def log(self, task: Task) -> bytes:
        """Everything it printed."""

    def remove(self, task: Task) -> None:
        """Forget it; its log stays readable."""

    def share(self, task: Task, folder: Path) -> None:
        """Let both the job and this process change everything in a volume."""
