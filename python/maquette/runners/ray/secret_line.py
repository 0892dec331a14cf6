"""The line that leads a job's agent to the keys of its store: in what is sent, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from maquette.runners import scene_store
from maquette.runners.base import Request, ResponseLost, Secrets
from maquette.storage.handover import REDACTED, VARIABLE

Body = dict[str, Any]


@contextmanager
def left(request: Request, given: Secrets) -> Iterator[Body]:
    """Leave the keys in the store; yields what is sent. A job that was refused leaves none there.

    Raises:
        MaquetteError: there are no keys, or the store does not answer or refuses.
    """
    store, body = request["store"], request["body"]
    if store is None:
        yield body
        return
    line = scene_store.hand_over(store, request["job_id"], given)
    try:
        yield _with_line(body, line)
    except ResponseLost:  # it may have begun
        raise
    except BaseException:
        scene_store.forget(store, request["job_id"])
        raise


def without(job: dict[str, Any]) -> dict[str, Any]:
    """What the cluster tells of a job, for documents."""
    environment = (job.get("runtime_env") or {}).get("env_vars") or {}
    return _with_line(job, REDACTED) if VARIABLE in environment else job


def _with_line(told: dict[str, Any], line: str) -> dict[str, Any]:
    environment = told["runtime_env"]
    variables = {**environment["env_vars"], VARIABLE: line}
    return {**told, "runtime_env": {**environment, "env_vars": variables}}
