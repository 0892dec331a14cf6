"""Jobs as containers of a Docker daemon, here or on another machine.

The daemon is the ledger: a container is found by its job's label, it is kept when it has ended,
and `-stopping` at the end of its name says that a person asked it to stop.
"""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from docker.errors import DockerException, ImageNotFound
from docker.errors import NotFound as Gone
from docker.models.containers import Container
from docker.types import DeviceRequest, Mount

from maquette.agent.arguments import RESUME_ME, TIME_IS_UP, UNSAVED
from maquette.containers.daemon import Daemon, connected, daemon_of
from maquette.errors import BadInput, JobFailed, NotFound, shown_path
from maquette.jobs.spec import JobSpec
from maquette.jobs.states import has_ended
from maquette.pipelines.registry import get_pipeline, naming
from maquette.runners import key_lifetime, scene_store
from maquette.runners.agent_command import SECRETS_FILE
from maquette.runners.base import NO_SECRETS, Handle, Request, Secrets, Status
from maquette.runners.docker import leftovers, spec
from maquette.runners.failures import LogEvents, kept_message, reason, reason_kept, unexplained
from maquette.scene.atomic import write_json, write_text

STOPPING = "-stopping"
_TAIL = 400
_PAUSE_S = 0.5
_STREAM_ERRORS = (DockerException, requests.RequestException, OSError)

# Docker's words for a container; exited and dead depend on the exit code.
STATES = {
    "created": "INITIALIZING",
    "running": "RUNNING",
    "paused": "RUNNING",
    "restarting": "RESTARTING",
    "removing": "FINALIZING",
}


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
        _require_sources(request)
        with connected(daemon_of(request)) as client:
            _require_image(client, request)
            _prepare_scene(request)
            container = _created(client, request)
            try:
                _give_secrets(container, request, secrets)
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
                return _gone(handle)
            status = _status(container, handle)
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
                if not _is_stopping(container):
                    container.rename(handle["name"] + STOPPING)
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


def _give_secrets(container: Container, request: Request, given: Secrets) -> None:
    """Put the agent's secrets into a file: `docker inspect` shows environments to anybody."""
    secrets = scene_store.secrets_for(request["store"], given)
    if SECRETS_FILE not in request["command"]:
        return
    content = json.dumps(secrets).encode()
    uid, _, gid = request["user"].partition(":")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo(SECRETS_FILE.lstrip("/"))
        entry.size, entry.mode = len(content), 0o400
        entry.uid, entry.gid = int(uid), int(gid)
        tar.addfile(entry, io.BytesIO(content))
    container.put_archive("/", packed.getvalue())


def _require_sources(request: Request) -> None:
    for mount in request["mounts"]:
        source = Path(mount["source"])
        if mount["type"] != "bind" or mount["source"] == request["scene"] or source.exists():
            continue
        if origin := request["origins"].get(mount["source"]):
            raise NotFound(
                f"upstream's code is not in the scene: `{source}`",
                hint=f"`git clone --recursive {origin} {shown_path(source)}`, "
                "under its own licence",
            )
        if Path(request["scene"]) in source.parents:
            raise NotFound(
                f"`{source.name}/` is not in the scene: `{shown_path(source.parent)}`",
                hint=_earlier_step(request),
            )
        raise NotFound(f"there is no `{source}`", hint="look at INPUT")


def _earlier_step(request: Request) -> str:
    """The command that makes what a step needs."""
    labels = request["labels"]
    pipeline, step = labels["maquette-pipeline"], labels["maquette-step"]
    verb = get_pipeline(pipeline).verb_for(step)
    how = "" if get_pipeline(pipeline).steps[verb].is_shared else " with the same ENGINE"
    names = naming(pipeline, verb, labels["maquette-model"], labels["maquette-group"])
    return f"`make {verb} {names}`{how} makes it"


def _prepare_scene(request: Request) -> None:
    scene = Path(request["scene"])
    if carried := request["carried_input"]:
        scene_store.carry_input(scene, carried["source"], carried["place"])
    write_json(Path(request["options_file"]), request["options"])
    if request["store"]:
        scene_store.push(request["store"], scene)


def _require_image(client: Any, request: Request) -> None:
    """Pull the job's image if the daemon does not have it."""
    try:
        client.images.get(request["image"])
    except ImageNotFound:
        try:
            client.images.pull(request["image"])
        except DockerException as error:
            raise NotFound(
                f"there is no image `{request['image']}` on the daemon, and none can be pulled",
                detail=str(getattr(error, "explanation", "") or error)[:300],
                hint=f"`make images{_elsewhere(request)}` builds ours; look at VARIANT, REGISTRY "
                "and IMAGE",
            ) from error


def _elsewhere(request: Request) -> str:
    """What commands about another machine's daemon need to say."""
    daemon = daemon_of(request)
    return "" if daemon.shares_files else f" DOCKER_HOST={daemon.context or daemon.host}"


def _created(client: Any, request: Request) -> Container:
    gpus = DeviceRequest(count=request["gpus"], capabilities=[["gpu"]])
    container: Container = client.containers.create(
        request["image"],
        request["command"],
        name=spec.container_name(request["job_id"]),
        environment=request["environment"],
        labels=request["labels"],
        user=request["user"],
        mounts=[Mount(**mount) for mount in request["mounts"]],
        device_requests=[gpus] if request["gpus"] else None,
        init=True,
        shm_size=spec.SHARED_MEMORY,
        stop_signal="SIGTERM",
    )
    return container


def _handle(container: Container, request: Request) -> Handle:
    return {
        "daemon": request["daemon"],
        "container": container.id,
        "name": spec.container_name(request["job_id"]),
        "log": request["log"],
        "store": request["store"],
        "scene": request["scene"],
    }


def _status(container: Container, handle: Handle) -> Status:
    facts = container.attrs["State"]
    word = str(facts["Status"])
    stopping = _is_stopping(container)
    events = LogEvents(_text(container.logs(tail=_TAIL)).split("\n"))
    image = container.attrs["Config"]["Image"]
    state, message = STATES.get(word, word.upper()), f"container is {word}"
    code, why, kept_until = None, None, None
    if word in ("exited", "dead"):
        code = int(facts["ExitCode"])
        state, message, why = _ending(code, facts, stopping, events, handle["log"])
    elif stopping:
        state, message = "INTERRUPTING", "asked to stop: the step saves first"
    elif word == "running" and events.kept:
        kept_until, why = str(events.kept.get("until")), reason_kept(events, handle["log"])
        look = spec.look_command(daemon_of(handle), handle["name"])
        message = kept_message(events.kept, look)
    return Status(
        state=state,
        message=message,
        exit_code=code,
        handle=handle,
        reason=why,
        progress=events.progress,
        kept_until=kept_until,
        provider={"Id": container.id, "Name": container.name, "Image": image, "State": facts},
        **_times(facts, has_ended=code is not None),
    )


def _is_stopping(container: Container) -> bool:
    return str(container.name).endswith(STOPPING)


def _times(facts: dict[str, Any], *, has_ended: bool) -> dict[str, Any]:
    """When the container began and ended; of a very short one Docker may swap them."""
    began, ended = _time(facts["StartedAt"]), _time(facts["FinishedAt"])
    if not has_ended:
        return {"started_at": began}
    return {"started_at": min(began, ended) if began and ended else began, "ended_at": ended}


def _time(date: str) -> str | None:
    """Docker's time, which has nanoseconds, as documents write it; year 1 means never."""
    if date.startswith("0001"):
        return None
    return f"{date[:19]}.{date[19:].strip('.Z')[:3]:0<3}Z"


def _ending(
    code: int, facts: dict[str, Any], stopping: bool, events: LogEvents, log: str
) -> tuple[str, str, dict[str, Any] | None]:
    if code == 0:
        return "DONE", "Job is done", None
    if stopping and code != UNSAVED and not events.kept:
        return "INTERRUPTED", "stopped on request", None
    if code == RESUME_ME:
        again = "run the same command again: it continues"
        taken = reason("the machine was taken away; the work is saved", hint=again)
        return "INTERRUPTED", taken["what"], taken
    why = events.reason
    if why is None and code == TIME_IS_UP:
        why = reason("the time is up: the step was stopped", hint="raise MAX_HOURS; it continues")
    if why is None or facts.get("OOMKilled"):
        why = unexplained(code, log, out_of_memory=bool(facts.get("OOMKilled")))
    return "FAILED", why["what"], why


def _gone(handle: Handle) -> Status:
    why = reason(
        f"the container is gone: {handle['name']}",
        detail="somebody removed it, or the daemon lost it; what was saved stays in the scene",
        hint="run the same command again: it continues",
    )
    return Status("FAILED", why["what"], None, handle, why)


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
