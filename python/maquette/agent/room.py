"""Room on the disk: some is held back for the end, and a full one is noticed."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from maquette.storage.safety import OWN_FOLDER

HELD_BACK_BYTES = 16 << 20  # checksums, pins and the index of a large scene fit
_FULL_BYTES = 1 << 20


class Room:
    """The disk that the scene lies on.

    Args:
        scene: The scene's folder.
    """

    def __init__(self, scene: Path) -> None:
        self._scene = scene
        self._held = scene / OWN_FOLDER / "room"
        self.was_full = False

    def hold_back(self) -> None:
        """Hold some back, so that a step that fills the disk can still be pushed."""
        self._held.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(self._held, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, HELD_BACK_BYTES)
        except OSError:  # nothing to spare, or a file system that can not
            self.release()

    def release(self) -> None:
        """Give it back."""
        with contextlib.suppress(OSError):
            self._held.unlink(missing_ok=True)

    def look(self) -> None:
        """Note whether the disk is full now; cheap enough for several times a second."""
        with contextlib.suppress(OSError):
            self.was_full |= shutil.disk_usage(self._scene).free < _FULL_BYTES
