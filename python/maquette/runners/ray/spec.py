"""From a job to what a cluster's Jobs API is sent; pure, and without secrets."""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from maquette.errors import ConfigError
from maquette.jobs.spec import JobSpec
from maquette.pipelines.registry import get_pipeline
from maquette.resources import version
from maquette.runners import scene_store
from maquette.runners.agent_command import Limits, agent_argv, has_agent
from maquette.runners.base import Request
from maquette.runners.ray.options import RayOptions
from maquette.runners.registry import with_images
from maquette.storage.handover import REDACTED, VARIABLE

STOP_GRACE_S = 90
AGENT_STOP_GRACE_S = 600  # it pushes after the step has saved
_DRIVER = "maquette.runners.ray.driver"


def build(job: JobSpec) -> Request:
    """Say exactly what the cluster will be asked for.

    Raises:
        ConfigError: the address is none, or the job is for an upstream engine.
    """
    if job.licence:
        raise ConfigError(
            f"an upstream engine runs in its own image: {job.spec['image']}",
            hint=f"BACKEND={with_images()}, or ENGINE=native",
        )
    asked = job.of(RayOptions)
    store = _store(job)
    told, carried = _input(job, store)
    content = {**job.options, **told}
    gpus = int(job.spec.get("resources", {}).get("gpu", 0))
    grace_s = AGENT_STOP_GRACE_S if store else STOP_GRACE_S
    driver = [asked.ray_python, "-m", _DRIVER, "--version", version(), "--grace-s", str(grace_s)]
    variables = {"RAY_JOB_STOP_WAIT_TIME_S": str(grace_s)}
    if store:
        driver += ["--", *_by_store(job, store)]
        variables[VARIABLE] = REDACTED
    else:
        driver += _in_place(job, content)
    return {
        "job_id": job.id,
        "address": _address(asked.ray_address),
        "body": {
            "submission_id": job.id,
            "entrypoint": f"exec {shlex.join(driver)}",
            "runtime_env": {"env_vars": variables},
            "metadata": {**_texts(job.spec.get("labels", {})), "maquette-job": job.id},
            "entrypoint_num_gpus": 0 if _has_shards(job) else gpus,
        },
        "gpus": gpus,
        "scene": str(job.scene),
        "options_file": str(job.scene / job.options_file),
        "store": store,
        "options": content,
        "carried_input": carried,
        "log": str(job.log),
    }


def _store(job: JobSpec) -> dict[str, Any] | None:
    """Where the scene lies; None: in a folder that all machines share.

    Raises:
        ConfigError: the job is no step of ours, its data stay where they lie, or only the
            built-in store is there.
        NotFound: DATASTORE names none.
    """
    if job.of(RayOptions).carry != "store":
        return None
    if not has_agent(job):
        raise ConfigError(
            "only a step of ours comes by the data store, beside its agent",
            detail=f"command: {shlex.join(job.command)}",
            hint="leave CARRY out, and put BASE_DIR into a folder that all machines share",
        )
    step = get_pipeline(job.pipeline).steps[job.step]
    if step.for_scene(job.scene, job.input.told).is_in_place:
        raise ConfigError(
            f"the data set of `{job.model}` is read where it lies: it comes by no data store",
            hint="leave CARRY out, and put the data set into a folder that all machines share",
        )
    return scene_store.describe(job.data)


def _in_place(job: JobSpec, options: dict[str, Any]) -> list[str]:
    """What the driver is told of a step in the scene's own folder."""
    place = str(job.scene / job.options_file)
    told = ["--scene", str(job.scene), "--options", place, "--digest", digest(options)]
    return [*told, "--", *_command(job, str(job.scene))]


def _by_store(job: JobSpec, store: dict[str, Any]) -> list[str]:
    """The agent's command line, which gets the scene, runs the step and pushes."""
    asked = job.of(RayOptions)
    scene = f"{asked.ray_folder}/jobs/{store['bucket']}/{job.model}"
    shards = f"{asked.ray_folder}/shards" if _has_shards(job) else ""
    if shards:  # these ask for the GPUs
        job = replace(job, spec={**job.spec, "resources": {}})
    kept = f"it lies on the cluster's head, in `{scene}`: the same command goes on with it"
    limits = Limits(asked.sync_minutes)
    command = _command(job, scene)
    return agent_argv(job, command, scene, store, limits, kept=kept, shard_folder=shards)


def _command(job: JobSpec, scene: str) -> list[str]:
    paths = {"{scene}": scene, "{options}": f"{scene}/{job.options_file}"}
    return [paths.get(word, word) for word in job.command]


def digest(options: dict[str, Any]) -> str:
    """Of a step's options, so that the cluster knows whether it sees this very scene."""
    text = json.dumps(options, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _has_shards(job: JobSpec) -> bool:
    """Whether shards ask for the GPUs themselves; the driver would take one away from them."""
    return "workers" in job.options


def _input(
    job: JobSpec, store: dict[str, Any] | None
) -> tuple[dict[str, Any], dict[str, str] | None]:
    """What the step is told of its input, and the person's file that has to go into the scene."""
    given = job.input
    if given.is_address or not given.told:
        return {}, None
    carried = {"source": given.carried, "place": given.place} if given.carried else None
    return {"input": given.place if store else str(job.scene / given.place)}, carried


def _address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme in ("http", "https") and parts.hostname:
        return text.rstrip("/")
    raise ConfigError(
        f"RAY_ADDRESS={text} is no address of a Jobs API",
        detail="it is that of the dashboard, not the `ray://` or `:6379` one",
        hint="RAY_ADDRESS=http://127.0.0.1:8265; `make ray-local` starts a cluster there",
    )


def _texts(labels: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in labels.items()}
