"""CARRY=store: a job without volumes, whose agent fetches and pushes the scene by itself.

For data stores that OVHcloud does not know or can not use. What the agent alone may know is left
in the bucket, see `maquette.storage.handover`. The line that leads there is in the body that is
posted and nowhere else: requests, documents and answers hold a remark in its place.
"""

from __future__ import annotations

from typing import Any

from maquette.agent.arguments import worker_id
from maquette.containers.options import ImageOptions
from maquette.containers.variants import choose
from maquette.errors import ConfigError
from maquette.jobs.spec import JobSpec
from maquette.runners import scene_store
from maquette.runners.agent_command import Limits, agent_argv, has_agent
from maquette.runners.base import Handle, Request, Secrets
from maquette.runners.ovh.kept_jobs import look_command
from maquette.runners.ovh.options import OvhOptions
from maquette.storage import handover

_SCENES = "/workspace/scenes"
_SHARDS = "/workspace/shards"
_MOST_MARGIN_S = 600.0
_ID = "ID"  # which nobody knows before OVHcloud has answered
_KEPT = "the machine is gone with it; what was pushed before lies in the bucket"

Body = dict[str, Any]


def store_of(job: JobSpec) -> dict[str, Any] | None:
    """Where the agent finds the scene; None when a volume brings it.

    Raises:
        ConfigError: the image has no agent, or only the built-in store is there.
        NotFound: DATASTORE names none.
    """
    if workers_of(job):
        return _store_of_workers(job)
    if job.of(OvhOptions).carry != "store":
        return None
    if not has_agent(job):
        raise ConfigError(
            "this image has no agent that could fetch the scene from a data store",
            detail=f"image {job.spec['image']}",
            hint="leave CARRY out: the scene is then a volume of the job",
        )
    return scene_store.describe(job.data)


def workers_of(job: JobSpec) -> int:
    """How many worker jobs share the shards of a step; 0: its one machine does all.

    CARRY=mount keeps WORKERS the processes of one machine: workers have no volume in common.
    """
    is_carried = job.of(OvhOptions).carry != "mount" and has_agent(job)
    asked = int(job.options.get("workers", 1))
    return asked if is_carried and asked > 1 else 0


def _store_of_workers(job: JobSpec) -> dict[str, Any]:
    try:
        return scene_store.describe(job.data)
    except ConfigError as error:
        raise ConfigError(
            f"WORKERS={workers_of(job)} asks for as many further jobs, and {error.what}",
            detail=error.detail,
            hint=f"{error.hint}; with CARRY=mount WORKERS are processes of one machine",
        ) from None


def scene_path(model: str) -> str:
    """Where the agent puts the scene: in the image's own folder, no volume is there."""
    return f"{_SCENES}/{model}"


def command(
    job: JobSpec, step: list[str], scene: str, store: dict[str, Any] | None, timeout_s: int | None
) -> list[str]:
    """The agent's command line around the step's.

    Args:
        scene: The scene's folder in the job.
        store: Where the agent finds the scene; None: a volume brings it and takes it back.
        timeout_s: When the platform ends the job; an agent that has to push then stops the step
            before that.
    """
    asked = job.of(OvhOptions)
    margin_s = min(_MOST_MARGIN_S, timeout_s / 10) if store and timeout_s else 0.0
    work_hours = (timeout_s - margin_s) / 3600 if timeout_s else 0.0
    limits = Limits(asked.sync_minutes, max_hours=work_hours, keep_on_fail=asked.keep_on_fail)
    facts: dict[str, Any] = {"variant": _variant(job), "look": look_command(_ID)}
    if workers := workers_of(job):
        facts |= {"shard_folder": _SHARDS, "workers": workers}
    return agent_argv(job, step, scene, store, limits, **facts, kept=_KEPT if store else "")


def worker_command(job: JobSpec, store: dict[str, Any], number: int) -> list[str]:
    """The command line of a worker job's agent, which lives as long as its driver asks it to."""
    limits, scene = Limits(job.of(OvhOptions).sync_minutes), scene_path(job.model)
    told: dict[str, Any] = {"shard_folder": _SHARDS, "worker": number}
    return agent_argv(job, [], scene, store, limits, variant=_variant(job), **told)


def _variant(job: JobSpec) -> str:
    """The variant of our image; empty for one that was named."""
    image, asked = job.of(ImageOptions), job.spec.get("resources", {})
    if image.image or image.variant != "auto":
        return "" if image.image else image.variant
    return choose(str(asked.get("flavor", "")), int(asked.get("gpu") or 0))


def with_secrets(request: Request, given: Secrets) -> Body:
    """Leave the agent's secrets in the bucket; returns the body that leads to them.

    Raises:
        CredentialsError: there are no keys for the store.
        MaquetteError: the store does not answer or refuses.
    """
    body = request["body"]
    line = scene_store.hand_over(request["store"], secrets_id(request), given)
    others = [item for item in body["envVars"] if item["name"] != handover.VARIABLE]
    return {**body, "envVars": [*others, {"name": handover.VARIABLE, "value": line}]}


def secrets_id(job: Request | Handle) -> str:
    """The name under which a job's secrets are left: each worker job fetches its own."""
    number = job.get("worker", 0)
    return worker_id(job["job_id"], number) if number else str(job["job_id"])
