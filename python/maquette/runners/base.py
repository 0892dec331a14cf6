"""What every backend can do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from maquette.jobs.spec import JobSpec

Request = dict[str, Any]
Handle = dict[str, Any]


@dataclass(frozen=True)
class Status:
    """What a backend says of a job.

    Attributes:
        state: The provider's own word; one of the thirteen, or a future one.
        message: A sentence for the person.
        exit_code: The step's exit code once it ended, as far as the provider knows it.
        handle: How the backend finds the job; filled also when a lost handle was found again.
        reason: Why the job failed: keys what, detail, hint, code; None when it did not.
        progress: The step's last progress event.
        provider: The provider's answer, untouched.
    """

    state: str
    message: str = ""
    exit_code: int | None = None
    handle: Handle | None = None
    reason: dict[str, Any] | None = None
    progress: dict[str, Any] | None = None
    provider: Any = field(default=None)


class Runner(Protocol):
    """A backend. Only `submit` may spend money; the others may be called at any time."""

    name: str

    def plan(self, job: JobSpec) -> Request:
        """Say exactly what `submit` would send; pure, and JSON."""

    def submit(self, request: Request) -> Handle:
        """Start the job and say how to find it again."""

    def find(self, request: Request) -> Handle | None:
        """Look a job up by our id, for when the answer of `submit` was lost."""

    def status(self, handle: Handle) -> Status:
        """Ask how the job is; never starts or changes it."""

    def logs(self, handle: Handle, follow: bool) -> Iterator[str]:
        """Yield the job's log.

        1. Lines come in order, whole, without their line end, each once.
        2. Without `follow` it ends at the last line written so far.
        3. With `follow` it ends after the last line of a job that has ended.
        4. An interrupted stream is taken up again; a job without a log yields nothing.
        """

    def cancel(self, handle: Handle) -> None:
        """Ask the job to save and stop; idempotent, and silent if it is gone."""
