"""Holds the checkpoints that pointers name, so that training can not remove them during a push."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from maquette.scene.checkpoints import CHECKSUM_SUFFIX, POINTER, read_pointer, write_pointer
from maquette.scene.paths import OWN_FOLDER

_TRIES = 5


class CheckpointPins:
    """For each run a checkpoint, its checksum and a pointer that names it, as hard links.

    They lie in the scene's own bookkeeping, laid out as a scene. A pin is held until a newer one
    takes its place; what the store's pointer names is thus always here too.

    Args:
        scene: The scene's folder.
    """

    def __init__(self, scene: Path) -> None:
        self._scene = scene
        self.root = scene / OWN_FOLDER / "pins"

    def update(self) -> None:
        """Pin what each pointer names now; one that names nothing keeps its earlier pin."""
        for pointer in sorted((self._scene / "runs").rglob(POINTER)):
            for _ in range(_TRIES):  # when its file went away, the pointer names a newer one
                with contextlib.suppress(FileNotFoundError):
                    self._take(pointer.parent)
                    break

    def is_pinned(self, path: str) -> bool:
        """Whether a path, relative to the scene, is pinned."""
        return (self.root / path).is_file()

    def is_orphaned(self, path: str) -> bool:
        """Whether a path is gone from the scene, so that only its pin can have been pushed."""
        return not (self._scene / path).exists()

    def _take(self, run: Path) -> None:
        named = read_pointer(run)
        if not named or Path(named).name != named:
            return
        place = run.relative_to(self._scene)
        pinned = self.root / place
        if (pinned / named).exists() and (pinned / named).samefile(run / named):
            return
        fresh = self.root / f".tmp-{'-'.join(place.parts)}"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        link(run / named, fresh / named)
        with contextlib.suppress(FileNotFoundError):
            link(run / (named + CHECKSUM_SUFFIX), fresh / (named + CHECKSUM_SUFFIX))
        write_pointer(fresh, named)
        shutil.rmtree(pinned, ignore_errors=True)
        pinned.parent.mkdir(parents=True, exist_ok=True)
        fresh.rename(pinned)


def link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system has none."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)
