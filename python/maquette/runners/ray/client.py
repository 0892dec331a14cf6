"""Requests to a cluster's Jobs API, and what its refusals mean."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from maquette.config.loading import dotenv_of
from maquette.errors import ConfigError, CredentialsError, JobFailed, Unanswered
from maquette.runners.base import ResponseLost
from maquette.runners.web import httpx, way_to
from maquette.storage.proxies import is_loopback

TOKEN = "RAY_TOKEN"
LEAST, TRIED = (2, 10), "2.60"
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)


class Client:
    """One address, and the token for it where there is one.

    Args:
        address: As `http://127.0.0.1:8265`.

    Raises:
        CredentialsError: the port is open, and not this machine's.
    """

    def __init__(self, address: str) -> None:
        token = os.environ.get(TOKEN) or dotenv_of(Path.cwd()).get(TOKEN, "")
        _check_is_guarded(address, token)
        self._address = address
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(
            base_url=address, timeout=_TIMEOUT, headers=headers, **way_to(address)
        )

    def version(self) -> str:
        """The cluster's Ray.

        Raises:
            ConfigError: it is too old, or something else answers.
        """
        found = self._asked("GET", "/api/version")
        told = found.json() if found.is_success and _is_json(found) else {}
        text = str(told.get("ray_version", ""))
        if not text:
            raise ConfigError(
                f"what answers at {self._address} is no Ray cluster's Jobs API",
                hint="RAY_ADDRESS is the dashboard's address; it needs `pip install 'ray[default]'`"
                " on the head",
            )
        numbers = [int(part) for part in text.split(".")[:2] if part.isdecimal()]
        if tuple(numbers) < LEAST:
            raise ConfigError(
                f"the cluster's Ray {text} is too old",
                detail=f"needed: {'.'.join(map(str, LEAST))}; tried with {TRIED}",
                hint=f"`pip install 'ray[default]=={TRIED}.*'` on all its machines",
            )
        return text

    def most_gpus(self) -> int:
        """GPUs of the machine that has most of them."""
        gpus = ((node.get("resources_total") or {}).get("GPU", 0) for node in self._alive())
        return max(map(int, gpus), default=0)

    def nodes(self) -> int:
        """How many machines are there."""
        return len(self._alive())

    def _alive(self) -> list[dict[str, Any]]:
        found = self._asked("GET", "/api/v0/nodes", params={"detail": "true"})
        told = found.json() if found.is_success and _is_json(found) else {}
        nodes = ((told.get("data") or {}).get("result") or {}).get("result") or []
        return [node for node in nodes if node.get("state") == "ALIVE"]

    def submit(self, body: dict[str, Any]) -> None:
        """Start a job.

        Raises:
            ResponseLost: it may have started.
            JobFailed: the cluster refuses.
        """
        try:
            answer = self._http.post("/api/jobs/", json=body)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise self._nobody(error) from None
        except httpx.HTTPError as error:
            raise ResponseLost(f"the cluster's answer was lost: {error}") from None
        if answer.is_error and "already exists" not in answer.text:
            self._check_token(answer)
            raise JobFailed(
                f"the cluster at {self._address} refused the job ({answer.status_code})",
                detail=answer.text.strip().splitlines()[-1][:300] if answer.text.strip() else "",
            )

    def job(self, job_id: str) -> dict[str, Any] | None:
        """What the cluster says of a job; None where it knows none of this id."""
        answer = self._asked("GET", f"/api/jobs/{job_id}")
        if answer.status_code == 404:
            return None
        if answer.is_error:
            raise Unanswered(f"the cluster at {self._address} answers {answer.status_code}")
        return dict(answer.json())

    def log(self, job_id: str) -> str:
        """What a job wrote; "" where there is nothing yet."""
        answer = self._asked("GET", f"/api/jobs/{job_id}/logs")
        return str(answer.json().get("logs") or "") if answer.is_success else ""

    def tail(self, job: dict[str, Any], lines: int) -> str:
        """The last lines of what a job wrote; "" where there are none yet.

        Args:
            job: What the cluster said of it.
        """
        name = f"job-driver-{job['submission_id']}.log"
        query = {"node_id": job.get("driver_node_id"), "filename": name, "lines": lines}
        if not query["node_id"]:
            return ""
        answer = self._asked("GET", "/api/v0/logs/file", params=query)
        return answer.content.decode("utf-8", errors="replace") if answer.is_success else ""

    def stop(self, job_id: str) -> None:
        """Ask a job to end; silent where it has, or is gone."""
        self._asked("POST", f"/api/jobs/{job_id}/stop")

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def _asked(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise self._nobody(error) from None
        self._check_token(answer)
        return answer

    def _check_token(self, answer: httpx.Response) -> None:
        if answer.status_code in (401, 403):
            raise CredentialsError(
                f"the cluster at {self._address} wants another token ({answer.status_code})",
                hint=f"`ray get-auth-token` prints it on the head: set {TOKEN}",
            )

    def _nobody(self, error: httpx.HTTPError) -> Unanswered:
        return Unanswered(
            f"no Ray cluster answers at {self._address}",
            detail=str(error) or type(error).__name__,
            hint="look at RAY_ADDRESS and the tunnel to it; `make ray-local` starts one here, "
            "and without BACKEND the step runs on this machine",
        )


@contextmanager
def connected(address: str) -> Iterator[Client]:
    """A client for one address, closed after the block."""
    client = Client(address)
    try:
        yield client
    finally:
        client.close()


def _check_is_guarded(address: str, token: str) -> None:
    """Refuse a port through which anybody runs code, and to which a scene's name would be sent."""
    parts = urlsplit(address)
    if parts.scheme == "https" or token or is_loopback(address):
        return
    ours = {each.address for found in psutil.net_if_addrs().values() for each in found}
    if parts.hostname in ours:
        return
    raise CredentialsError(
        f"RAY_ADDRESS={address} is an open port of another machine: whoever reaches it runs "
        "programs there",
        hint=f"`ssh -N -L 8265:127.0.0.1:8265 {parts.hostname}` and RAY_ADDRESS="
        f"http://127.0.0.1:8265; or https, or a cluster with a token ({TOKEN}): docs/cluster.md",
    )


def _is_json(answer: httpx.Response) -> bool:
    return "json" in answer.headers.get("content-type", "")
