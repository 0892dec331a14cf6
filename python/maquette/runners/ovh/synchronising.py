"""Copying a job's volumes from and to the bucket while it is there."""

from __future__ import annotations

import threading
import time

from maquette.runners.ovh import responses, status_codes
from maquette.runners.ovh.client import Client, Unreachable

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0
_LIMIT_S = 6 * 3600.0


def synchronise(client: Client, job_id: str, direction: str) -> None:
    """Have a job's volumes copied to (push) or from (pull) the bucket, and wait for that.

    Raises:
        Unreachable: the copy failed, or did not end.
    """
    path = f"/v1/job/{job_id}"
    begun = client.post_once(f"{path}/datasync", {"direction": direction})
    _await(client, path, str(begun.get("id")))


def _await(client: Client, path: str, sync_id: str) -> None:
    deadline, pause = time.monotonic() + _LIMIT_S, _FIRST_PAUSE_S
    while time.monotonic() < deadline:
        copies = responses.mapping(client.get(path).get("status")).get("dataSync")
        for entry in copies if isinstance(copies, list) else ():
            status = responses.mapping(responses.mapping(entry).get("status"))
            if responses.mapping(entry).get("id") != sync_id:
                continue
            if status.get("state") == "DONE":
                return
            if status.get("state") in ("FAILED", "ERROR", "INTERRUPTED") or status.get("endedAt"):
                info = responses.mapping(status.get("info"))
                what, hint = status_codes.explain(str(info.get("code")), str(info.get("message")))
                raise Unreachable(what, detail=str(info.get("message") or ""), hint=hint)
        threading.Event().wait(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE_S)
    raise Unreachable("the copy to the bucket did not end within six hours")
