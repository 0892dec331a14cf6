"""Where job documents live and how they change: locked, atomic, never lost.

`logs/<GROUP>/<MODEL>/<pipeline>/<step>_job.json` is a step's current job; that of a step that all
pipelines share lies without the pipeline. Each job also has its own copy under `history/` beside
it, written first, so that no damage to the current document loses a job.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maquette.errors import JobFailed, NotFound, UsageError
from maquette.jobs.document import Document, new_document
from maquette.jobs.shape import is_whole
from maquette.jobs.spec import JobSpec, folder_of
from maquette.jobs.states import has_ended
from maquette.pipelines.pipeline import COMMON
from maquette.pipelines.registry import naming
from maquette.scene.atomic import write_json


@dataclass(frozen=True)
class StepLedger:
    """The documents of one step of one scene.

    Attributes:
        owner: The pipeline, or COMMON for a step that all of them share.
    """

    logs: Path
    group: str
    model: str
    owner: str
    step: str

    @property
    def folder(self) -> Path:
        return folder_of(self.logs, self.group, self.model, self.owner)

    @property
    def names(self) -> str:
        """What a command needs so that it means this scene, pipeline and group."""
        return naming(self.owner, self.step, self.model, self.group)

    @property
    def path(self) -> Path:
        """The current document."""
        return self.folder / f"{self.step}_job.json"

    @property
    def is_damaged(self) -> bool:
        """Whether nothing readable is left of the step's jobs, though there was one."""
        return self.path.exists() and not (_parsed(self.path) or self._newest_copy())

    def log_path(self, job_id: str) -> Path:
        return self.folder / f"{job_id}.log"

    def read(self) -> Document:
        """Read the current document; a damaged one is replaced by its copy in `history/`.

        Raises:
            NotFound: this step never ran.
            JobFailed: the document is damaged and no copy of any job of this step is left.
        """
        if not self.path.exists():
            raise NotFound(
                f"{self.step} of `{self.model}` was never started",
                hint=f"`make {self.step} {self.names}` starts it",
            )
        document = _parsed(self.path) or self._newest_copy()
        if document is None:
            raise JobFailed(
                f"the job document is damaged: `{self.path}`",
                hint=f"look at the logs beside it, then `make {self.step} {self.names}`",
            )
        return document

    def create(
        self,
        job: JobSpec,
        backend: str,
        request: dict[str, Any],
        refresh: Callable[[Document], None],
    ) -> Document:
        """Write the document of a new job, unless the step's current job still runs.

        Args:
            refresh: Asks the backend about the current job and brings its document up to date.

        Raises:
            UsageError: the current job has not ended.
        """
        with self.locked():
            attempt = 1
            self._put_damaged_aside()
            if self.path.exists():
                current = self.read()
                refresh(current)
                self._write(current)
                attempt = current["maquette"]["attempt"] + 1
                if not has_ended(current["status"]):
                    raise self._still_runs(current)
            document = new_document(job, backend, request, attempt)
            self._write(document)
            return document

    def _put_damaged_aside(self) -> None:
        """Let a new job start where the document is damaged and no copy of any job is left."""
        if self.is_damaged:
            self.path.replace(self.path.with_suffix(".damaged"))

    def _still_runs(self, current: Document) -> UsageError:
        what = f"{self.step} of `{self.model}` already runs: job {current['id']}"
        if current["maquette"]["handle"] is None:
            return UsageError(
                what,
                detail="its submission was not answered: whether it started is not known yet",
                hint="run the same command again in a minute: it looks for the job first",
            )
        kept = current["maquette"].get("kept_until")
        return UsageError(
            what,
            detail=str(current["status"]["info"].get("message", "")) if kept else "",
            hint=f"follow it with `make {self.step}-logs {self.names}`, end it with "
            f"`make {self.step}-stop {self.names}`, or replace it with FORCE=1",
        )

    def update(self, job_id: str, change: Callable[[Document], None]) -> Document:
        """Apply `change` to a job's document under the lock; a replaced job keeps its history."""
        with self.locked():
            document = _parsed(self._copy(job_id)) or self.read()
            before = json.dumps(document)
            change(document)
            if json.dumps(document) != before:
                self._write(document)
            return document

    def adopt(self, document: Document) -> None:
        """Keep the document of a job that was lost here; the newest job is the step's current.

        Which is newer, only the dates can tell; a job that runs is newer than one that has ended.
        """
        with self.locked():
            current = _parsed(self.path)
            if current and _is_newer(document, current):
                document["maquette"]["attempt"] = _order(current)[0] + 1
            self._write(document)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold this step's documents alone; reentrant use would deadlock."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / f".{self.step}.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, document: Document) -> None:
        write_json(self._copy(document["id"]), document)
        current = _parsed(self.path)
        if current is None or _order(current) <= _order(document):
            write_json(self.path, document)

    def _copy(self, job_id: str) -> Path:
        return self.folder / "history" / f"{job_id}.json"

    def _newest_copy(self) -> Document | None:
        copies = (self.folder / "history").glob(f"{self.step}-*.json")
        documents = [document for document in map(_parsed, copies) if document]
        return max(documents, key=_order, default=None)


def find_all(logs: Path) -> list[StepLedger]:
    """Every step of every scene that has a job document."""
    paths = [*logs.glob("*/*/*_job.json"), *logs.glob("*/*/*/*_job.json")]
    return [_ledger_of(logs, path) for path in sorted(paths)]


def copies(logs: Path) -> list[Path]:
    """The copy of every job's document."""
    file = "history/[!.]*.json"  # a killed process leaves hidden ones
    return sorted([*logs.glob(f"*/*/{file}"), *logs.glob(f"*/*/*/{file}")])


def _ledger_of(logs: Path, path: Path) -> StepLedger:
    group, model, *owner = path.relative_to(logs).parts[:-1]
    step = path.name.removesuffix("_job.json")
    return StepLedger(logs, group, model, owner[0] if owner else COMMON, step)


def _is_newer(document: Document, current: Document) -> bool:
    runs_on = has_ended(current["status"]) and not has_ended(document["status"])
    return runs_on or str(current["createdAt"]) <= str(document["createdAt"])


def _order(document: Document) -> tuple[int, str]:
    """What a newer job of a step has more of: its number, since a clock may have been wrong."""
    return int(document["maquette"].get("attempt") or 0), str(document.get("createdAt"))


def _parsed(path: Path) -> Document | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return document if is_whole(document) else None
