"""Jobs as containers of a Docker daemon, here or on another machine.

The daemon is the ledger: a container is found by its job's label, it is kept when it has ended,
and `-stopping` at the end of its name says that a person asked it to stop.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import requests
from docker.errors import DockerException
from docker.errors import NotFound as Gone
from docker.models.containers import Container

from maquette.containers.daemon import Daemon, connected, daemon_of
from maquette.errors import BadInput, JobFailed
from maquette.jobs.spec import JobSpec
from maquette.jobs.states import has_ended
from maquette.runners import key_lifetime, scene_store
from maquette.runners.base import NO_SECRETS, Handle, Request, Secrets, Status
from maquette.runners.docker import leftovers, making, spec, statuses
from maquette.scene.atomic import write_text

_PAUSE_S = 0.5
_STREAM_ERRORS = (DockerException, requests.RequestException, OSError)


class DockerRunner:
    """Runs steps as containers."""

    name = "docker"

    def plan(self, job: JobSpec) -> Request:
        """Say which container would be made; asks no daemon."""
        return spec.build(job)

    def remarks(self, request: Request) -> list[str]:
        """Say when the job's keys end before it may."""
        return key_lifetime.remarks(request["store"], request["command"])

    def submit(self, request: Request, secrets: Secrets = NO_SECRETS) -> Handle:
        """Bring the scene within reach, then make and start the container.

        Nothing is sent before daemon and image are known to be there.

        Raises:
            MaquetteError: the daemon does not answer, has no such image, or refuses.
        """
        making.require_sources(request)
        with connected(daemon_of(request)) as client:
            making.require_image(client, request)
            making.prepare_scene(request)
            container = making.create(client, request)
            try:
                making.give_secrets(container, request, secrets)
                container.start()
            except BaseException:
                container.remove(force=True)
                raise
            with contextlib.suppress(*_STREAM_ERRORS):
                leftovers.remove_earlier(client, request, str(container.id))
            return _handle(container, request)

    def find(self, request: Request) -> Handle | None:
        """Find the job's container by its label."""
        with connected(daemon_of(request)) as client:
            label = f"{spec.JOB_LABEL}={request['job_id']}"
            found = client.containers.list(all=True, filters={"label": label})
            return _handle(found[0], request) if found else None

    def status(self, handle: Handle) -> Status:
        """Ask the daemon; when the job has ended, keep its log here."""
        with connected(daemon_of(handle)) as client:
            try:
                container = client.containers.get(handle["container"])
            except Gone:
                return statuses.gone(handle)
            status = statuses.status_of(container, handle)
            if status.exit_code is not None:
                _keep_log(container, Path(handle["log"]))
            return status

    def logs(self, handle: Handle, follow: bool) -> Iterator[str]:
        """Yield the log's lines; a dropped stream is taken up where it broke."""
        if not handle:
            return
        shown = 0
        while True:
            lines = _lines(handle, follow)
            with contextlib.suppress(*_STREAM_ERRORS, JobFailed):
                for number, line in enumerate(lines):
                    if number >= shown:
                        shown += 1
                        yield line
            if not follow or has_ended({"state": self.status(handle).state}):
                break
            threading.Event().wait(_PAUSE_S)
        for number, line in enumerate(_lines(handle, follow=False)):  # what came after the break
            if number >= shown:
                yield line

    def cancel(self, handle: Handle) -> None:
        """Mark the container as stopping and ask it to; the daemon kills it after its grace."""
        daemon = daemon_of(handle)
        with connected(daemon) as client, contextlib.suppress(Gone):
            container = client.containers.get(handle["container"])
            if container.status not in ("exited", "dead"):
                if not statuses.is_stopping(container):
                    container.rename(handle["name"] + statuses.STOPPING)
                threading.Thread(target=_stop, args=(daemon, handle), daemon=True).start()

    def push_now(self, handle: Handle) -> None:
        """Ask a running job's agent to push its data now.

        Raises:
            BadInput: the job moves no data.
        """
        if not handle["store"]:
            raise BadInput("this job works in the scene's own folder: there is nothing to push")
        with connected(daemon_of(handle)) as client:
            client.containers.get(handle["container"]).kill("SIGUSR1")

    def collect(self, handle: Handle) -> None:
        """Bring what an ended job made from its store to the scene folder here."""
        if handle["store"]:
            scene_store.pull(handle["store"], Path(handle["scene"]))


RUNNER = DockerRunner


def _handle(container: Container, request: Request) -> Handle:
    return {
        "daemon": request["daemon"],
        "container": container.id,
        "name": spec.container_name(request["job_id"]),
        "log": request["log"],
        "store": request["store"],
        "scene": request["scene"],
    }


def _lines(handle: Handle, follow: bool) -> Iterator[str]:
    """The log from its first line, from the daemon or, when it has none, as it was kept here."""
    kept = Path(handle["log"])
    with connected(daemon_of(handle)) as client:
        try:
            container = client.containers.get(handle["container"])
        except Gone:
            if kept.is_file():
                yield from kept.read_text(encoding="utf-8", errors="replace").splitlines()
            return
        pending = b""
        for piece in container.logs(stream=True, follow=follow):
            *whole, pending = (pending + piece).split(b"\n")
            yield from map(_text, whole)
        if pending:
            yield _text(pending)


def _keep_log(container: Container, log: Path) -> None:
    if not log.exists():
        with contextlib.suppress(OSError):
            write_text(log, _text(container.logs()))


def _stop(daemon: Daemon, handle: Handle) -> None:
    grace_s = spec.AGENT_STOP_GRACE_S if handle["store"] else spec.STOP_GRACE_S
    with (
        contextlib.suppress(Exception),
        connected(daemon, timeout_s=grace_s + 30) as client,
    ):
        client.containers.get(handle["container"]).stop(timeout=grace_s)


def _text(line: bytes) -> str:
    return line.decode("utf-8", errors="replace")
