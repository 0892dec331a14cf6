"""Faults on demand: what goes wrong, how often, and for which jobs or requests."""

from __future__ import annotations

import copy
import re
import secrets
from typing import Any, Literal

from pydantic import Field

from maquette.emulator.models import StrictModel


class Fault(StrictModel):
    """One thing that is to go wrong.

    Attributes:
        kind: For requests: `status` answers so; `drop_before`/`drop_after` cut the connection
            before or after the request took effect; `delay`; `mangle` changes answered jobs.
            For jobs: `hold` keeps a state; `image_pull`, `error`, `exit`, `evicted`, `platform`,
            `timeout`, `sync_failed`, `no_store` end it so; `word` shows another state's name.
        times: How often; 0 for always.
        method, path: Which requests; `path` is a regular expression.
        labels, job: Which jobs; empty for any.
        at: In which state it happens (`hold`, `error`, `word`).
        end: The state that a job ends in instead of the usual one.
        push: Whether the volumes are still copied out.
        code: HTTP status or exit code.
        nulls, missing: Dotted names of fields of a job that `mangle` sets to null or leaves out.
        word: A state's name from the future.
    """

    id: str = Field(default_factory=lambda: secrets.token_hex(4))
    kind: Literal[
        "status", "drop_before", "drop_after", "delay", "mangle",
        "hold", "image_pull", "error", "exit", "evicted", "platform", "timeout",
        "sync_failed", "no_store", "word",
    ]  # fmt: skip
    times: int = Field(1, ge=0)
    method: str = ""
    path: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    job: str = ""
    at: str = ""
    end: str = ""
    push: bool = True
    code: int = 0
    message: str = ""
    seconds: float = 0.0
    nulls: list[str] = Field(default_factory=list)
    missing: list[str] = Field(default_factory=list)
    word: str = ""


class Faults:
    """The faults that have not happened yet."""

    def __init__(self) -> None:
        self.waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let it happen from now on."""
        self.waiting.append(fault)

    def remove(self, fault_id: str) -> None:
        """Forget one fault, or all with ""; what it held goes on."""
        self.waiting = [fault for fault in self.waiting if fault_id and fault.id != fault_id]

    def for_job(self, kind: str, job: dict[str, Any], at: str = "") -> Fault | None:
        """Take the fault of a kind that is meant for a job, if there is one."""
        for fault in self.waiting:
            labels = job["spec"].get("labels", {})
            if (
                fault.kind == kind
                and (not fault.job or fault.job == job["id"])
                and (not at or not fault.at or fault.at == at)
                and fault.labels.items() <= labels.items()
            ):
                return self._taken(fault)
        return None

    def holds(self, job: dict[str, Any], state: str) -> bool:
        """Whether a job has to stay in a state; does not count as an occurrence."""
        return any(
            fault.kind == "hold"
            and (fault.at or "PENDING") == state
            and (not fault.job or fault.job == job["id"])
            and fault.labels.items() <= job["spec"].get("labels", {}).items()
            for fault in self.waiting
        )

    def for_request(self, kinds: tuple[str, ...], method: str, path: str) -> Fault | None:
        """Take the fault that is meant for a request, if there is one."""
        for fault in self.waiting:
            if fault.kind in kinds and fault.method in ("", method) and re.search(fault.path, path):
                return self._taken(fault)
        return None

    def _taken(self, fault: Fault) -> Fault:
        if fault.times == 1:
            self.waiting.remove(fault)
        elif fault.times > 1:
            fault.times -= 1
        return fault


def mangled(job: dict[str, Any], fault: Fault) -> dict[str, Any]:
    """A job with fields set to null or left out."""
    job = copy.deepcopy(job)
    for names, put_null in ((fault.nulls, True), (fault.missing, False)):
        for name in names:
            *parents, last = name.split(".")
            place: Any = job
            for parent in parents:
                place = place.get(parent) if isinstance(place, dict) else None
            if isinstance(place, dict) and last in place:
                if put_null:
                    place[last] = None
                else:
                    del place[last]
    return job
