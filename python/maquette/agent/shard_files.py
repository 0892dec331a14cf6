"""The files of shards, and no others, between a folder and the store."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from maquette.storage.object_store import ObjectStore
from maquette.storage.selection import Selects, is_own_or_leftover, selection
from maquette.storage.syncing import Sync, SyncOptions

_PATIENCE_S = 600.0  # while another push or pull of the same folder is at work


def bring(root: Path, bucket: ObjectStore, paths: Collection[str] | None) -> None:
    """Make files here what they are in the store, whatever was here; removes none.

    Args:
        paths: Below the scene; None: all.

    Raises:
        MaquetteError: the store does not answer or refuses, or holds no scene.
    """
    _run(root, bucket, paths, SyncOptions("pull", exact=True))


def share(root: Path, bucket: ObjectStore, paths: Collection[str] | None) -> None:
    """Make files in the store what they are here, and its manifest too: as the scene's writer.

    Raises:
        MaquetteError: the store does not answer or refuses.
    """
    _run(root, bucket, paths, SyncOptions("push", exact=True, relist=True))


def hand_in(root: Path, bucket: ObjectStore, paths: Collection[str]) -> None:
    """Write what a shard made, as one of many writers: these objects and nothing else.

    Raises:
        MaquetteError: the store does not answer or refuses.
    """
    options = SyncOptions("push", exact=True, relist=True, publishes=False)
    _run(root, bucket, paths, options)


def _run(
    root: Path, bucket: ObjectStore, paths: Collection[str] | None, options: SyncOptions
) -> None:
    sync = Sync(root, bucket, _selects(root, paths), _PATIENCE_S)
    sync.run(options, lambda comparison, progress: None, lambda plan: None)


def _selects(root: Path, paths: Collection[str] | None) -> Selects:
    if paths is None:
        return selection(root)
    wanted = frozenset(paths)
    return lambda path: path in wanted and not is_own_or_leftover(path)
