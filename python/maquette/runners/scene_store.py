"""A job's scene in its data store: where it is, who may read it, and moving it from here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from maquette.agent import worker_notes
from maquette.agent.arguments import KEY_NAMES, NOTIFY_NAME
from maquette.errors import ConfigError, MaquetteError
from maquette.runners.base import Secrets
from maquette.scene.data_location import DataLocation
from maquette.storage import credentials, datastores, handover
from maquette.storage.key_renewal import keys_of
from maquette.storage.object_store import ObjectStore
from maquette.storage.opening import interruptible, open_store
from maquette.storage.scene_bucket import bucket_name, uses_embedded_store
from maquette.storage.selection import selection
from maquette.storage.syncing import Sync, SyncOptions


def describe(data: DataLocation) -> dict[str, Any]:
    """Where a machine elsewhere finds the scene; holds no secret.

    Raises:
        ConfigError: only the built-in store is there, which other machines can not reach.
        NotFound: DATASTORE names none.
    """
    if uses_embedded_store(data):
        raise ConfigError(
            "a job on another machine needs a data store that both can reach",
            detail="the built-in store answers only on this machine",
            hint=f"`maquette datastore add {data.datastore} --endpoint https://… --region …`",
        )
    location = datastores.find(data.datastore).location
    return {
        "datastore": data.datastore,
        "endpoint": location.endpoint,
        "region": location.region,
        "host_style": location.host_style,
        "bucket": bucket_name(data),
        "prefix": data.model,
    }


def push(store: dict[str, Any], scene: Path) -> None:
    """Push the scene, so that the job finds it.

    Raises:
        MaquetteError: the store can not be reached or refuses, or both sides changed.
    """
    _sync(store, scene, SyncOptions("push"))


def pull(store: dict[str, Any], scene: Path) -> None:
    """Bring here what the job made.

    Raises:
        MaquetteError: the store can not be reached or refuses, or both sides changed.
    """
    _sync(store, scene, SyncOptions("pull"))


def secrets_for(store: dict[str, Any] | None, given: Secrets) -> dict[str, str]:
    """What the agent must know and no document may hold, by the agent's names for it.

    Args:
        given: What a person gave, by the settings' names.

    Raises:
        CredentialsError: there are no keys for the store.
    """
    found = {NOTIFY_NAME: given.get("NOTIFY_URL", "")}
    if store is not None:
        keys = credentials.find(datastores.find(store["datastore"]).profile)
        found |= dict(zip(KEY_NAMES, (keys.access_key, keys.secret_key, keys.token), strict=True))
    return {name: text for name, text in found.items() if text}


def hand_over(store: dict[str, Any], job_id: str, given: Secrets) -> str:
    """Leave the secrets of a job's agent in the bucket; returns the line that leads to them.

    Raises:
        CredentialsError: there are no keys for the store.
        MaquetteError: the store does not answer or refuses.
    """
    secrets = secrets_for(store, given)
    with opened(store) as bucket:
        return handover.leave(bucket, job_id, secrets)


def forget(store: dict[str, Any] | None, job_id: str) -> None:
    """Remove what was left for a job that did not take it; it is of no use to anybody else."""
    if store is not None:
        with suppress(MaquetteError), opened(store) as bucket:
            handover.remove(bucket, job_id, attempts=1)


def forget_notes(store: dict[str, Any], job_id: str) -> None:
    """Remove what an ended job and its worker jobs told one another.

    The driver's first: a worker that writes its last words later than we look finds no driver that
    would read them, and removes them itself.
    """
    with suppress(MaquetteError), opened(store) as bucket:
        bucket.delete(worker_notes.driver_key(job_id), attempts=1)
        notes = bucket.at(bucket.name, bucket.key(worker_notes.folder(job_id)))
        for path in notes.objects() or {}:
            notes.delete(path, attempts=1)


def carry_input(scene: Path, source: str, place: str) -> None:
    """Copy the person's file or folder to its place in the scene, so that it travels with it."""
    target = scene / place
    if target.is_dir():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    if Path(source).is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)


def _sync(store: dict[str, Any], scene: Path, options: SyncOptions) -> None:
    with opened(store) as bucket:
        sync = Sync(scene, bucket, selection(scene))
        sync.run(options, lambda comparison, progress: None, lambda plan: None)


@contextmanager
def opened(store: dict[str, Any]) -> Iterator[ObjectStore]:
    """Open the place with this person's keys.

    Raises:
        CredentialsError: there are none.
    """
    alias = datastores.find(store["datastore"])
    place = open_store(alias.location, keys_of(alias.profile), store["bucket"], store["prefix"])
    with interruptible(place) as bucket:
        yield bucket
