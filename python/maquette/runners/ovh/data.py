"""Push the scene to its bucket before a job, and pull the results after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from maquette.runners.base import Request, Show
from maquette.runners.ovh import preflight
from maquette.runners.scene_store import carry_input
from maquette.scene.atomic import write_json
from maquette.scene.data_location import DataLocation
from maquette.storage import scene_bucket
from maquette.storage.selection import selection
from maquette.storage.syncing import Sync, SyncOptions


def place_of(data: DataLocation, scene: Path) -> dict[str, Any]:
    """What a request has to remember to find the bucket again; no secrets."""
    place: dict[str, Any] = {
        "scene": str(scene),
        "base_dir": str(data.base_dir),
        "model": data.model,
        "bucket_name": data.bucket,
    }
    if data.chosen_datastore:
        place["datastore"] = data.chosen_datastore
    return place


def location_of(place: dict[str, Any]) -> DataLocation:
    """The bucket's place again, as a request remembers it."""
    return DataLocation(
        model=place["model"],
        base_dir=Path(place["base_dir"]),
        bucket=place["bucket_name"],
        chosen_datastore=place.get("datastore", ""),
    )


def send(request: Request, show: Show) -> None:
    """Put options and input into the scene, then push it.

    Raises:
        ConfigError: OVHcloud can not reach the bucket or the image.
        NotFound: there is no such input, or the step before this one is missing.
    """
    place = request["data"]
    data, scene = location_of(place), Path(place["scene"])
    preflight.check_reach(request, data)
    with scene_bucket.opened(data) as bucket:
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
    scene = Path(place["scene"])
    with scene_bucket.opened(location_of(place)) as bucket:
        yield Sync(scene, bucket, selection(scene, project=Path(place["base_dir"])))
