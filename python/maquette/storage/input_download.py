"""INPUT=s3://bucket/prefix or s3://bucket/photos.zip: brought here before the step starts.

The data plane speaks no S3, so the control plane fetches the objects and the step reads files.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from maquette.errors import NotFound
from maquette.jobs.inputs import BucketObjects
from maquette.scene.data_location import DataLocation
from maquette.storage.scene_bucket import opened
from maquette.storage.selection import is_own_or_leftover
from maquette.storage.syncing import Show, Sync, SyncOptions


def fetch(objects: BucketObjects, scene: Path, data: DataLocation, show: Show) -> None:
    """Bring the objects of an input here, only those that changed since the last time.

    Args:
        scene: The scene's folder, where they belong.
        data: Names the data store; their bucket is another one.

    Raises:
        NotFound: there are none.
    """
    folder, file = scene / objects.folder, objects.file
    prefix = objects.key.rpartition("/")[0] if file else objects.key

    def selects(path: str) -> bool:
        return path == file if file else not is_own_or_leftover(path)

    is_new = not folder.exists()
    with opened(data) as bucket_of_scene:
        sync = Sync(folder, bucket_of_scene.at(objects.bucket, prefix), selects)
        options = SyncOptions("pull", delete=True, prefer="remote", relist=True)
        try:
            sync.run(options, show, confirm=lambda plan: None)
            is_there = (scene / objects.place).exists()
        except NotFound:
            is_there = False
    if is_there:
        return
    if is_new:
        _forget(folder, scene)
    raise _nothing(objects.url)


def _forget(folder: Path, scene: Path) -> None:
    """Leave nothing that looks like a scene."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # the first one that holds something else stays
        while folder != scene:
            folder = folder.parent
            folder.rmdir()


def _nothing(url: str) -> NotFound:
    return NotFound(
        f"there is nothing at `{url}` (INPUT)",
        hint="look at the name, and at DATASTORE: which store the bucket is in",
    )
