"""The service's database: jobs and tokens, one file each, so that a restart loses none."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maquette.emulator.clock import now

ENDED = frozenset({"DONE", "FAILED", "ERROR", "INTERRUPTED", "SYNC_FAILED"})


@dataclass
class Job:
    """A job: what the API shows, and what only the service knows.

    Attributes:
        public: The job as it is answered.
        private: `kill` (a person asked), `fate` (how it will end), `pulled` (data is in place).
        changed: Set when something happened that its lifecycle has to look at.
    """

    public: dict[str, Any]
    private: dict[str, Any] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def id(self) -> str:
        return str(self.public["id"])

    @property
    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.public["status"]
        return status

    @property
    def has_ended(self) -> bool:
        return bool(self.private.get("over"))


class Database:
    """All jobs and tokens.

    Args:
        folder: Holds `jobs/`, `tokens.json` and each job's files below `work/`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs: dict[str, Job] = {}
        self.tokens: dict[str, dict[str, Any]] = {}
        (folder / "jobs").mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        for path in sorted((folder / "jobs").glob("*.json")):
            content = json.loads(path.read_text(encoding="utf-8"))
            self.jobs[path.stem] = Job(content["public"], content["private"])
        if (folder / "tokens.json").exists():
            self.tokens = json.loads((folder / "tokens.json").read_text(encoding="utf-8"))

    def work(self, job_id: str) -> Path:
        """The folder of a job's volumes and log."""
        return self.folder / "work" / job_id

    def save(self, job: Job) -> None:
        """Save a job."""
        job.public["updatedAt"] = now()
        content = json.dumps({"public": job.public, "private": job.private})
        _replace(self.folder / "jobs" / f"{job.id}.json", content)

    def forget(self, job: Job) -> None:
        """Remove a job."""
        del self.jobs[job.id]
        (self.folder / "jobs" / f"{job.id}.json").unlink(missing_ok=True)

    def live(self) -> list[Job]:
        """The jobs that have not ended."""
        return [job for job in self.jobs.values() if not job.has_ended]

    def add_token(self, spec: dict[str, Any], secret: str = "") -> tuple[dict[str, Any], str]:
        """Make a token; its secret is returned once and only its hash is kept."""
        secret = secret or f"emulated-{secrets.token_urlsafe(24)}"
        token: dict[str, Any] = {"id": str(uuid.uuid4()), "createdAt": now(), "spec": spec}
        token["hash"] = digest(secret)
        self.tokens[token["id"]] = token
        self.save_tokens()
        return token, secret

    def save_tokens(self) -> None:
        """Save the tokens."""
        _replace(self.folder / "tokens.json", json.dumps(self.tokens))

    def token_of(self, secret: str) -> dict[str, Any] | None:
        """The token with a secret."""
        known = digest(secret)
        return next((item for item in self.tokens.values() if item["hash"] == known), None)


def digest(secret: str) -> str:
    """The hash of a secret, which is all that is kept of it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _replace(path: Path, content: str) -> None:
    """Write so that a kill leaves the old or the new content; not flushed, for speed."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(content, encoding="utf-8")
    temporary.replace(path)
