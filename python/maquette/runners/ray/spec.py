"""From a job to what a cluster's Jobs API is sent; pure, and without secrets."""

from __future__ import annotations

import hashlib
import json
import shlex
from typing import Any
from urllib.parse import urlsplit

from maquette.errors import ConfigError
from maquette.jobs.spec import JobSpec
from maquette.resources import version
from maquette.runners.base import Request
from maquette.runners.ray.options import RayOptions
from maquette.runners.registry import with_images

STOP_GRACE_S = 90
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
    options = job.scene / job.options_file
    paths = {"{scene}": str(job.scene), "{options}": str(options)}
    command = [paths.get(word, word) for word in job.command]
    told, carried = _input(job)
    content = {**job.options, **told}
    gpus = int(job.spec.get("resources", {}).get("gpu", 0))
    driver = [asked.ray_python, "-m", _DRIVER, "--scene", str(job.scene), "--options", str(options),
              "--digest", digest(content), "--version", version(), "--", *command]  # fmt: skip
    return {
        "job_id": job.id,
        "address": _address(asked.ray_address),
        "body": {
            "submission_id": job.id,
            "entrypoint": f"exec {shlex.join(driver)}",
            "runtime_env": {"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_GRACE_S)}},
            "metadata": {**_texts(job.spec.get("labels", {})), "maquette-job": job.id},
            "entrypoint_num_gpus": 0 if _has_shards(job) else gpus,
        },
        "gpus": gpus,
        "scene": str(job.scene),
        "options_file": str(options),
        "options": content,
        "carried_input": carried,
        "log": str(job.log),
    }


def digest(options: dict[str, Any]) -> str:
    """Of a step's options, so that the cluster knows whether it sees this very scene."""
    text = json.dumps(options, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _has_shards(job: JobSpec) -> bool:
    """Whether shards ask for the GPUs themselves; the driver would take one away from them."""
    return "workers" in job.options


def _input(job: JobSpec) -> tuple[dict[str, Any], dict[str, str] | None]:
    """What the step is told of its input, and the person's file that has to go into the scene."""
    given = job.input
    if given.is_address or not given.told:
        return {}, None
    carried = {"source": given.carried, "place": given.place} if given.carried else None
    return {"input": str(job.scene / given.place)}, carried


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
