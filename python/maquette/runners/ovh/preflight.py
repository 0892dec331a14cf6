"""Checks before a job is sent, so that what would fail does not fail on a paid machine."""

from __future__ import annotations

from pathlib import Path

from maquette.errors import ConfigError, NotFound
from maquette.jobs.spec import JobSpec
from maquette.pipelines.registry import as_setting, get_pipeline
from maquette.runners.agent_command import has_agent
from maquette.runners.base import Request
from maquette.scene.data_location import DataLocation
from maquette.storage import scene_bucket
from maquette.storage.object_store import ObjectStore
from maquette.storage.proxies import is_loopback

_OWN_IMAGES = "maquette/"


def needs_of(job: JobSpec) -> dict[str, str]:
    """What a step of ours needs of the scene, and the command that brings it; empty: nothing."""
    if not has_agent(job) or job.input.told:
        return {}
    pipeline = get_pipeline(job.pipeline)
    verb, verbs = pipeline.verb_for(job.step), list(pipeline.steps)
    hint = "set INPUT= to a video, a folder of photos, a .zip or an https:// address"
    if verb:
        its_input = " INPUT=…" if verb == verbs[0] else ""  # that one reads what a person gives
        hint = f"`make {verb} {as_setting(job.pipeline)}MODEL={job.model}{its_input}` first"
    return {"path": pipeline.needs(job.step), "hint": hint}


def check_reach(request: Request, data: DataLocation) -> None:
    """Refuse what only this machine has: a store that answers only here, an image of no registry.

    Raises:
        ConfigError: OVHcloud can not reach it.
        NotFound: the input is not there.
    """
    given = request["given"]
    if given and not Path(given).exists():
        raise NotFound(f"there is no input `{given}`", hint="look at INPUT")
    if is_loopback(request["url"]):
        return
    if scene_bucket.uses_embedded_store(data):
        raise ConfigError(
            "OVHcloud can not reach the built-in store of this machine",
            hint=f"`maquette datastore add {data.datastore} --endpoint … --region …`, and the "
            "same alias at OVHcloud: docs/ovh.md",
        )
    store = request["store"]
    if store and is_loopback(store["endpoint"]):
        raise ConfigError(
            f"the job could not reach its data store: `{store['endpoint']}` is this machine alone",
            detail=f"data store {store['datastore']}",
            hint=f"`maquette datastore add {store['datastore']} --endpoint https://… --region …`",
        )
    image = str(request["body"]["image"])
    if image.startswith(_OWN_IMAGES):
        raise ConfigError(
            f"OVHcloud can not fetch `{image}`: it is on no registry",
            hint="`make images` and `make push-images REGISTRY=…`, then give the same REGISTRY=",
        )


def check_scene(request: Request, scene: Path, bucket: ObjectStore) -> None:
    """Refuse a step whose predecessor is missing, here and in the bucket.

    Raises:
        NotFound: it is.
    """
    if not request["needs"]:
        return
    needed = request["needs"]["path"]
    if _has(scene, needed):
        return
    if any(path.startswith(needed) for path in bucket.objects() or ()):
        return
    raise NotFound(
        f"{request['step']} needs `{needed}` of `{scene.name}`, which is neither here nor in "
        f"{bucket.url()}",
        hint=request["needs"]["hint"],
    )


def _has(scene: Path, needed: str) -> bool:
    path = scene / needed
    return any(path.rglob("*")) if needed.endswith("/") else path.exists()
