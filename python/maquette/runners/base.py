"""What every backend can do, and the powers that only some have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from maquette.config.settings import Settings
from maquette.errors import ConfigError, JobFailed
from maquette.jobs.document import Document
from maquette.jobs.spec import JobSpec
from maquette.runners import registry

if TYPE_CHECKING:
    from maquette.planning.estimating import Estimate

Request = dict[str, Any]
Handle = dict[str, Any]
Secrets = Mapping[str, str]
NO_SECRETS: Secrets = MappingProxyType({})
Show = Callable[[Any, Any], None]


class ResponseLost(JobFailed):
    """The response to a submission was lost: the job may run, and is looked up before a retry."""


@dataclass(frozen=True)
class Status:
    """What a backend says of a job.

    Attributes:
        state: The provider's own word; one of the thirteen, or a future one; "" when it gave none.
        message: A sentence for the person.
        exit_code: The step's exit code once it ended, as far as the provider knows it.
        handle: How the backend finds the job; filled also when a lost handle was found again.
        reason: Why the job failed: keys what, detail, hint, code; None when it did not.
        progress: The step's last progress event.
        provider: The provider's answer, untouched.
        started_at: When the step began, UTC ISO 8601, where the provider knows it; a job that
            ended between two questions has run all the same.
        ended_at: When it ended, likewise.
        code: The provider's code for the state, when it has one.
        history: The provider's own list of states with dates (UTC, milliseconds), when it has one.
        duration_s: Seconds that the step ran, as the provider says.
        cost: What the job cost so far, for backends that cost money.
        kept_until: Until when the machine of a job that has failed is kept for a look, UTC;
            None where it is not.
    """

    state: str
    message: str = ""
    exit_code: int | None = None
    handle: Handle | None = None
    reason: dict[str, Any] | None = None
    progress: dict[str, Any] | None = None
    provider: Any = field(default=None)
    started_at: str | None = None
    ended_at: str | None = None
    code: str = ""
    history: tuple[dict[str, str], ...] = ()
    duration_s: int | None = None
    cost: dict[str, Any] | None = None
    kept_until: str | None = None


class Runner(Protocol):
    """A backend. Only `submit` may spend money; the others may be called at any time."""

    name: str

    def plan(self, job: JobSpec) -> Request:
        """Say exactly what `submit` would send; pure, and JSON."""

    def submit(self, request: Request, secrets: Secrets = NO_SECRETS) -> Handle:
        """Start the job and say how to find it again.

        Args:
            request: What `plan` returned, here or in another process; all that is needed.
            secrets: By the settings' names, what the job may know and no request may hold.
        """

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


def get_runner(name: str) -> Runner:
    """Make the runner of backend `name`.

    Raises:
        ConfigError: there is no such backend.
    """
    if name not in registry.BACKENDS:
        raise ConfigError(
            registry.unknown(name), hint=f"BACKEND is one of: {', '.join(registry.BACKENDS)}"
        )
    runner: Runner = registry.module_of(name, "runner").RUNNER()
    return runner


@runtime_checkable
class SupportsUpload(Protocol):
    """A backend whose jobs find the scene in a bucket, where it has to be before `submit`."""

    def send(self, request: Request, show: Show) -> None:
        """Bring everything to where the job will find it."""


@runtime_checkable
class SupportsRemarks(Protocol):
    """A backend that can foresee what will hinder a job."""

    def remarks(self, request: Request) -> list[str]:
        """What a person should know before the job is sent, a sentence each."""


@runtime_checkable
class SupportsBatchStatus(Protocol):
    """A backend that can report the states of many jobs in a few requests."""

    def statuses(self, handles: Iterable[Handle]) -> dict[str, Status]:
        """The statuses of the jobs that it knows, by the `id` of their handles."""


@runtime_checkable
class SupportsLateSubmission(Protocol):
    """A backend where a submission may show up late."""

    grace_s: float


@runtime_checkable
class SupportsCompletion(Protocol):
    """A backend whose job is several of the provider's, of which a cut submission starts some."""

    def complete(self, request: Request, handle: Handle, secrets: Secrets) -> Handle | None:
        """Start what of a running job was never started; None where nothing was."""


@runtime_checkable
class SupportsCollect(Protocol):
    """A backend whose jobs may work in a copy of the scene."""

    def collect(self, handle: Handle) -> None:
        """Bring what an ended job made to the scene folder here; silent if it worked there."""


@runtime_checkable
class SupportsFallback(Protocol):
    """A backend that can run a step in another way after a job failed."""

    def fallback_options(self, document: Document, settings: Settings) -> dict[str, Any]:
        """Options of its own with which the same step may succeed; empty when there are none."""


@runtime_checkable
class SupportsAdopt(Protocol):
    """A backend that remembers jobs which have no document here."""

    def adopt(self, settings: Settings) -> list[Document]:
        """Write documents for this person's jobs that have none, oldest first."""


@runtime_checkable
class SupportsEstimate(Protocol):
    """A backend whose machines are known before a job runs on them."""

    def estimate(self, settings: Settings) -> Estimate:
        """What the steps of a scene will take there; starts nothing."""


@runtime_checkable
class SupportsPush(Protocol):
    """A backend whose running jobs can be asked to push their data."""

    def push_now(self, handle: Handle) -> None:
        """Ask a running job to push its data; may return before it has."""
