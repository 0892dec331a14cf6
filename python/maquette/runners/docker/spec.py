"""From a job to what a Docker daemon is asked for; pure, and without secrets."""

from __future__ import annotations

import shlex
import socket
from pathlib import Path, PurePosixPath
from typing import Any

from maquette.agent.arguments import CONTAINER
from maquette.containers.daemon import Daemon, find_daemon
from maquette.containers.variants import choose
from maquette.errors import ConfigError
from maquette.jobs.spec import JobSpec
from maquette.pipelines.registry import naming
from maquette.runners import scene_store
from maquette.runners.agent_command import (
    SECRETS_FILE,
    Limits,
    agent_argv,
    has_agent,
    refuse_keeping,
)
from maquette.runners.base import Request
from maquette.runners.docker.options import DockerOptions

SCENES = PurePosixPath("/workspace/scenes")
INPUT = PurePosixPath("/input")
OUR_USER = "42420:42420"
JOB_LABEL = "maquette-job"
ORIGIN_LABELS = ("maquette-host", "maquette-logs")
STOP_GRACE_S = 90
AGENT_STOP_GRACE_S = 600  # it pushes after the step has saved
SHARED_MEMORY = "2g"


def build(job: JobSpec) -> Request:
    """Say exactly what the daemon will be asked for.

    Raises:
        ConfigError: the settings do not fit together.
    """
    daemon = find_daemon(job.of(DockerOptions).docker_host)
    store = _store(job, daemon)
    scene = SCENES / job.model
    paths = {"{scene}": str(scene), "{options}": str(scene / job.options_file)}
    command = [paths.get(word, word) for word in job.command]
    agent = has_agent(job)
    source, place = _input(job, scene, store)
    return {
        "job_id": job.id,
        "daemon": daemon.to_json(),
        "image": job.spec["image"],
        "command": _command(job, daemon, command, str(scene), store),
        "environment": {} if agent else {"HOME": "/tmp"},
        "labels": {
            **job.spec.get("labels", {}),
            JOB_LABEL: job.id,
            "maquette-pipeline": job.pipeline,
            "maquette-owner": job.owner,
            **origin_labels(job.logs),
        },
        "gpus": int(job.spec.get("resources", {}).get("gpu", 0)),
        "user": OUR_USER if store else _owner(job.scene),
        "mounts": _mounts(job, scene, store, source),
        "origins": {
            str(job.scene / folder): address
            for folder, address in job.spec.get("origins", {}).items()
        },
        "stop_grace_s": AGENT_STOP_GRACE_S if agent and store else STOP_GRACE_S,
        "store": store,
        "carried_input": _carried(job, source, store),
        "scene": str(job.scene),
        "options_file": str(job.scene / job.options_file),
        "options": {**job.options, "input": place} if place else job.options,
        "log": str(job.log),
    }


def container_name(job_id: str) -> str:
    """The name of a job's container."""
    return f"maquette-{job_id}"


def look_command(daemon: Daemon, container: str) -> str:
    """The command that gets a person into a container."""
    return f"{daemon.command} exec -it {container} sh"


def origin_labels(logs: Path) -> dict[str, str]:
    """Whose a container is on a daemon that others use too: this machine's and this folder's."""
    return dict(zip(ORIGIN_LABELS, (socket.gethostname(), str(logs)), strict=True))


def _store(job: JobSpec, daemon: Daemon) -> dict[str, Any] | None:
    carry = job.of(DockerOptions).carry
    if carry == "mount" and not daemon.shares_files:
        raise ConfigError(
            f"CARRY=mount needs a daemon on this machine, not `{daemon.host}`",
            hint="leave CARRY out: the scene goes through the data store",
        )
    if carry == "mount" or (carry == "auto" and daemon.shares_files):
        return None
    if not has_agent(job):
        raise ConfigError(
            "this image has no agent that could fetch the scene from a data store",
            detail=f"image {job.spec['image']}, daemon `{daemon.host}`",
            hint="use a daemon on this machine, or ENGINE=native",
        )
    return scene_store.describe(job.data)


def _command(
    job: JobSpec, daemon: Daemon, command: list[str], scene: str, store: dict[str, Any] | None
) -> list[str]:
    if has_agent(job):
        return agent_argv(
            job,
            command,
            scene,
            store,
            _limits(job),
            variant=_variant(job),
            secrets_file=SECRETS_FILE,
            kept=_kept(job, daemon, store),
            look=look_command(daemon, container_name(job.id)),
        )
    if job.of(DockerOptions).keep_on_fail:
        refuse_keeping(job)
    if limit_s := job.spec.get("timeout") or _limit_s(_limits(job)):
        return ["timeout", f"--kill-after={STOP_GRACE_S}", str(limit_s), *command]
    return command


def _limits(job: JobSpec) -> Limits:
    asked = job.of(DockerOptions)
    money = asked.max_cost, asked.price_per_hour
    return Limits(asked.sync_minutes, asked.max_hours, *money, asked.keep_on_fail)


def _limit_s(limits: Limits) -> int:
    """Seconds that a job without an agent may run, by time and by money; 0: as long as it takes."""
    if limits.max_cost and not limits.price_per_hour:
        raise ConfigError("MAX_COST needs to know the machine's price", hint="set PRICE_PER_HOUR=")
    hours = [limits.max_hours] if limits.max_hours else []
    if limits.max_cost:
        hours.append(limits.max_cost / limits.price_per_hour)
    return max(1, int(min(hours) * 3600)) if hours else 0


def _variant(job: JobSpec) -> str:
    asked = job.of(DockerOptions)
    if asked.image:
        return ""
    gpus = int(job.spec.get("resources", {}).get("gpu", 0))
    return asked.variant if asked.variant != "auto" else choose(asked.flavor, gpus)


def volume_of(store: dict[str, Any]) -> str:
    """The daemon's volume for scenes of this place; it outlives each job."""
    return f"maquette-{store['bucket']}"


def _kept(job: JobSpec, daemon: Daemon, store: dict[str, Any] | None) -> str:
    if store is None:
        return ""
    place = f"{CONTAINER}:{SCENES / job.model}"
    return (
        f"it is kept in the daemon's volume {volume_of(store)}: `make {job.step} "
        f"{naming(job.owner, job.step, job.model, job.group)}` on the same daemon goes on with it; "
        f"`{daemon.command} cp {place} {shlex.quote(str(job.scene.parent))}` brings it here"
    )


def _mounts(
    job: JobSpec, scene: PurePosixPath, store: dict[str, Any] | None, source: str
) -> list[dict[str, Any]]:
    if store is not None:
        return [{"type": "volume", "source": volume_of(store), "target": str(SCENES)}]
    mounts = [_bind(job.scene, scene)]
    for folder, place in job.spec.get("mounts", {}).items():
        mounts.append(_bind(job.scene / folder, place))
    if source and not job.input_place:
        target = str(INPUT / Path(source).name)
        mounts.append({"type": "bind", "source": source, "target": target, "read_only": True})
    return mounts


def _bind(folder: Path, target: PurePosixPath | str) -> dict[str, Any]:
    return {"type": "bind", "source": str(folder), "target": str(target), "read_only": False}


def _carried(job: JobSpec, source: str, store: dict[str, Any] | None) -> dict[str, str] | None:
    """The person's file that has to be copied into the scene before the job, and where to."""
    given = job.input
    if job.input_place and given.told and not given.is_address:  # upstream reads no other place
        return {"source": given.told, "place": job.input_place}
    return {"source": source, "place": given.place} if source and store else None


def _input(job: JobSpec, scene: PurePosixPath, store: dict[str, Any] | None) -> tuple[str, str]:
    """The person's own file that the job has to get, and what the step is told there."""
    given = job.input
    if given.is_address or not given.told:
        return "", given.told
    if store:
        return given.carried, str(scene / given.place)
    if given.inside:
        return "", str(scene / given.inside)
    return given.outside, str(INPUT / Path(given.outside).name)


def _owner(scene: Path) -> str:
    """Who the scene belongs to, or will: what the step writes shall belong to the same."""
    existing = next(folder for folder in (scene, *scene.parents) if folder.exists())
    facts = existing.stat()
    return f"{facts.st_uid}:{facts.st_gid}"
