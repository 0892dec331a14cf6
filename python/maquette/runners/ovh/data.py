"""Push the scene to its bucket before a job, and pull the results after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from maquette.config.settings import Settings
from maquette.runners.base import Request, Show
from maquette.runners.ovh import preflight
from maquette.runners.scene_store import carry_input
from maquette.scene.atomic import write_json
from maquette.storage import scene_bucket
from maquette.storage.selection import selection
from maquette.storage.syncing import Sync, SyncOptions


def place_of(settings: Settings, scene: Path) -> dict[str, Any]:
    """What a request has to remember of the settings to find the bucket again; no secrets."""
    place: dict[str, Any] = {
        "scene": str(scene),
        "base_dir": str(settings.base_dir.resolve()),
        "model": settings.model,
        "bucket_name": settings.bucket_name,
    }
    if "datastore" in settings.model_fields_set:
        place["datastore"] = settings.datastore
    return place


def send(request: Request, show: Show) -> None:
    """Put options and input into the scene, then push it.

    Raises:
        ConfigError: OVHcloud can not reach the bucket or the image.
        NotFound: there is no such input, or the step before this one is missing.
    """
    place = request["data"]
    settings, scene = _settings(place), Path(place["scene"])
    preflight.check_reach(request, settings)
    with scene_bucket.opened(settings) as bucket:
        preflight.check_scene(request, scene, bucket)
    write_json(scene / request["options_file"], request["options"])
    if request["given"]:
        carry_input(scene, request["given"], request["options"]["input"])
    with _sync(place) as sync:
        sync.run(SyncOptions("push", relist=True), show, lambda plan: None)


def collect(place: dict[str, Any], show: Show = lambda comparison, progress: None) -> None:
    """Bring here what the job left in the bucket; it wrote no manifest, so objects are listed.

    Raises:
        Conflict: files changed on both sides; all others have come.
    """
    with _sync(place) as sync:
        sync.run(SyncOptions("pull", relist=True), show, lambda plan: None)


@contextmanager
def _sync(place: dict[str, Any]) -> Iterator[Sync]:
    settings, scene = _settings(place), Path(place["scene"])
    with scene_bucket.opened(settings) as bucket:
        yield Sync(scene, bucket, selection(scene, project=Path(place["base_dir"])))


def _settings(place: dict[str, Any]) -> Settings:
    names = ("model", "bucket_name", "base_dir", "datastore")
    values = {name: place[name] for name in names if name in place}
    return Settings(**values)
