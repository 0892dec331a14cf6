"""Models that a long search keeps in a folder, to go on from after a kill.

Each is of a key, which says what it was made from; another one does not count.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from maquette.recon.frames.folders import replacing_folder
from maquette.recon.sfm import colmap
from maquette.recon.sfm.colmap import pycolmap
from maquette.recon.sfm.mapping import MappingOptions
from maquette.scene import colmap_sizes
from maquette.scene.atomic import write_text

_KEY = "key.txt"
_WHOLE = "whole"  # COLMAP reads half a model without an end
_SNAPSHOTS = 2


def key_of(database: Path, options: MappingOptions, *what: Any) -> str:
    """What decides a model: cameras and verified matches of a database, options, and more."""
    with colmap.opened(database) as handle:
        pairs, inliers = handle.read_two_view_geometry_num_inliers()
        cameras = sorted(
            (camera.camera_id, camera.model.name, list(camera.params))
            for camera in handle.read_all_cameras()
        )
        features = handle.num_keypoints()
    matched = sorted(zip(pairs, inliers, strict=True))
    told = [cameras, features, matched, asdict(options), *what]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


@dataclass(frozen=True)
class Finished:
    """Models that are done.

    Attributes:
        folder: A folder of their own.
    """

    folder: Path
    key: str

    def read(self) -> list[Any] | None:
        """The models, the largest first; None where they are not there, or one is damaged."""
        if not _is_of(self.folder, self.key):
            return None
        found = sorted(self.folder.iterdir(), key=lambda path: path.name.zfill(6))
        folders = [path for path in found if path.is_dir()]
        if any(map(colmap_sizes.damage, folders)):
            return None
        return [pycolmap.Reconstruction(path) for path in folders]

    def write(self, models: Sequence[Any]) -> None:
        """Keep the models."""
        with replacing_folder(self.folder) as folder:
            for number, model in enumerate(models):
                (folder / str(number)).mkdir()
                model.write_binary(folder / str(number))
            write_text(folder / _KEY, self.key)


@dataclass(frozen=True)
class Snapshots:
    """Models of a search that is not done: COLMAP writes a folder each, named by the time.

    Attributes:
        folder: A folder of their own.
    """

    folder: Path
    key: str

    def open(self) -> Path | None:
        """Make the folder, drop what is half or of another key; the newest one."""
        if not _is_of(self.folder, self.key):
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            write_text(self.folder / _KEY, self.key)
        found = self._all()
        whole = [
            snapshot for snapshot in found
            if (snapshot / _WHOLE).exists() and not colmap_sizes.damage(snapshot)
        ]  # fmt: skip
        for half in set(found) - set(whole):
            shutil.rmtree(half)
        return whole[-1] if whole else None

    def tidy(self) -> None:
        """Mark those that are there as whole and drop all but the newest; while none is written."""
        found = self._all()
        for snapshot in found:
            (snapshot / _WHOLE).touch()
        for old in found[:-_SNAPSHOTS]:
            shutil.rmtree(old)

    def drop(self) -> None:
        """Remove them all."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _all(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if path.is_dir())


def _is_of(folder: Path, key: str) -> bool:
    try:
        return (folder / _KEY).read_text(encoding="utf-8") == key
    except (OSError, ValueError):
        return False
