"""From a job to the body that is posted; pure."""

from __future__ import annotations

import math
import socket
from typing import Any

from maquette.containers.options import ImageOptions
from maquette.containers.variants import check_fit
from maquette.errors import ConfigError
from maquette.jobs.spec import JobSpec
from maquette.person import user_name
from maquette.pipelines.pipeline import NATIVE
from maquette.runners.agent_command import has_agent, refuse_keeping
from maquette.runners.ovh import agent_job, prices
from maquette.runners.ovh.labels import (
    HOST_LABEL,
    JOB_LABEL,
    TOOL_LABEL,
    USER_LABEL,
    WORKER_LABEL,
)
from maquette.runners.ovh.options import OvhOptions
from maquette.runners.ovh.redaction import placeholder
from maquette.runners.registry import with_images
from maquette.scene.data_location import DataLocation
from maquette.storage.scene_bucket import bucket_name

CPU_FLAVOR, CPU_UNITS = "ai1-1-cpu", 4
PLATFORM_MAXIMUM_S = 604_800


def body_of(job: JobSpec, store: dict[str, Any] | None = None) -> dict[str, Any]:
    """Exactly what is posted to `/v1/job`, but for the one secret of a job with an agent.

    Args:
        store: Where an agent in the job finds the scene; None: it is the job's volume.

    Raises:
        ConfigError: MAX_COST is given and nobody knows the flavor's price, VARIANT has no code
            for its GPU, or an upstream program wants folders of the scene in places of its own.
    """
    if job.spec.get("mounts"):
        raise ConfigError(
            f"ENGINE={job.engine.name} needs folders of the scene mounted in places of its own",
            detail="a job here has the scene in one place, so it would fail on a paid machine",
            hint=f"BACKEND={with_images()} with a daemon of this machine, or ENGINE={NATIVE}",
        )
    scene = agent_job.scene_path(job.model) if store else mount_path(job.model)
    paths = {"{scene}": scene, "{options}": f"{scene}/{job.options_file}"}
    command = [paths.get(word, word) for word in job.command]
    variables = list(job.spec.get("envVars", []))
    resources = _resources(job)
    image = job.of(ImageOptions)
    if has_agent(job) and not image.image and image.variant != "auto":
        check_fit(image.variant, resources["flavor"], resources.get("gpu", 0))
    keeps = job.of(OvhOptions).keep_on_fail > 0
    timeout = _timeout_s(job.of(OvhOptions), resources, 1 + agent_job.workers_of(job))
    if keeps and not has_agent(job):
        refuse_keeping(job)
    if store or keeps:
        command = agent_job.command(job, command, scene, store, timeout)
    variables += [placeholder()] if store else []
    body: dict[str, Any] = {
        "image": job.spec["image"],
        "name": job.spec.get("name", job.id),
        "command": command,
        "resources": resources,
        "envVars": variables,
        "volumes": [] if store else [volume_of(job.data)],
        "labels": {**job.spec.get("labels", {}), **labels_of(job)},
    }
    return {**body, "timeout": timeout} if timeout else body


def worker_body_of(
    job: JobSpec, body: dict[str, Any], store: dict[str, Any], number: int
) -> dict[str, Any]:
    """What is posted for a worker job, from the body of its driver.

    Args:
        number: From 1.
    """
    return {
        **body,
        "name": f"{body['name']}-worker-{number}",
        "command": agent_job.worker_command(job, store, number),
        "labels": {**body["labels"], WORKER_LABEL: str(number)},
    }


def volume_of(data: DataLocation) -> dict[str, Any]:
    """The scene's prefix of its bucket; without a slash at its end, which can lose the prefix."""
    store = {
        "alias": data.datastore,
        "container": bucket_name(data),
        "prefix": data.model,
    }
    return {
        "dataStore": store,
        "mountPath": mount_path(data.model),
        "permission": "RW",
        "cache": False,
    }


def labels_of(job: JobSpec) -> dict[str, str]:
    """The labels that tell our jobs from others, and one of ours from another."""
    return {
        **TOOL_LABEL,
        JOB_LABEL: job.id,
        "maquette-model": job.model,
        "maquette-group": job.group,
        "maquette-step": job.step,
        "maquette-pipeline": job.pipeline,
        USER_LABEL: user_name()[:63],
        HOST_LABEL: socket.gethostname()[:63],
    }


def options_of(job: JobSpec) -> dict[str, Any]:
    """The step's options as the job will read them."""
    return {**job.options, "input": job.input.place} if job.input.told else job.options


def mount_path(model: str) -> str:
    """Where the scene lies in the job; its last part is the scene's name."""
    return f"/scenes/{model}"


def _resources(job: JobSpec) -> dict[str, Any]:
    asked = job.spec.get("resources", {})
    gpus = int(asked.get("gpu") or 0)
    if gpus:
        return {"flavor": asked["flavor"], "gpu": gpus}
    return {"flavor": job.of(OvhOptions).flavor or CPU_FLAVOR, "cpu": CPU_UNITS}


def _timeout_s(asked: OvhOptions, resources: dict[str, Any], jobs: int) -> int:
    """Seconds after which the platform stops each job; 0 for its own maximum, a week.

    Args:
        jobs: How many there are of the step: MAX_COST is for all of them together.
    """
    limits = [asked.max_hours * 3600.0] if asked.max_hours else []
    if asked.max_cost:
        price = prices.of_resources(resources)
        if not price.eur_per_minute:
            raise ConfigError(
                f"MAX_COST={asked.max_cost}: the price of {resources['flavor']} is not known",
                hint="`make flavors` reads the price list; or use MAX_HOURS",
            )
        # One minute for the image, and whole minutes: a started one is billed.
        share = asked.max_cost / jobs
        limits.append((math.floor(share / price.eur_per_minute) - 1) * 60.0)
    if not limits:
        return 0
    timeout = min(limits)
    if timeout < 60:
        raise ConfigError(
            f"MAX_HOURS={asked.max_hours} MAX_COST={asked.max_cost} leaves less than a minute"
            + (f" for each of {jobs} jobs" if jobs > 1 else ""),
            hint="fewer WORKERS leave more for each" if jobs > 1 else "",
        )
    return min(int(timeout), PLATFORM_MAXIMUM_S)
