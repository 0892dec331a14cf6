"""What a job's container needs to be there, and the container."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from docker.errors import DockerException, ImageNotFound
from docker.models.containers import Container
from docker.types import DeviceRequest, Mount

from maquette.containers.daemon import daemon_of
from maquette.errors import NotFound, shown_path
from maquette.pipelines.registry import get_pipeline, naming
from maquette.runners import scene_store
from maquette.runners.agent_command import SECRETS_FILE
from maquette.runners.base import Request, Secrets
from maquette.runners.docker import spec
from maquette.scene.atomic import write_json


def require_sources(request: Request) -> None:
    """Refuse a job whose mounts are not there; its own scene may be made.

    Raises:
        NotFound: the input, what an earlier step makes, or upstream's code is missing.
    """
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


def prepare_scene(request: Request) -> None:
    """Put the step's options and its input into the scene, and the scene where the job gets it."""
    scene = Path(request["scene"])
    if carried := request["carried_input"]:
        scene_store.carry_input(scene, carried["source"], carried["place"])
    write_json(Path(request["options_file"]), request["options"])
    if request["store"]:
        scene_store.push(request["store"], scene)


def require_image(client: Any, request: Request) -> None:
    """Pull the job's image if the daemon does not have it.

    Raises:
        NotFound: it can not be pulled either.
    """
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


def create(client: Any, request: Request) -> Container:
    """Make the container; it does not run yet."""
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


def give_secrets(container: Container, request: Request, given: Secrets) -> None:
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
