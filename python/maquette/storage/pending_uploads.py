"""Uploads in parts that are under way: noted here to be resumed, marked there to be swept.

A marker is a small object in the scene's own folder of the bucket. It stays when the machine that
uploaded is gone, and it tells our uploads from those of other programs.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from maquette.scene.atomic import write_json
from maquette.scene.paths import OWN_FOLDER
from maquette.storage.etags import new_md5
from maquette.storage.object_store import ObjectStore, Part

_MARKERS = f"{OWN_FOLDER}/uploads"
_ABANDONED_S = 24 * 3600


def mark(bucket: ObjectStore, path: str, upload_id: str) -> None:
    """Leave a marker that an upload of ours is under way."""
    content, digest = path.encode(), new_md5()
    digest.update(content)
    bucket.put(_marker(upload_id), content, digest.digest(), digest.hexdigest(), {})


def unmark(bucket: ObjectStore, upload_id: str) -> None:
    """Take the marker away; fine if it is gone."""
    bucket.delete(_marker(upload_id))


def sweep(bucket: ObjectStore, kept: set[str]) -> None:
    """Abort the uploads of ours, from any machine, that were begun more than a day ago.

    Args:
        kept: Ids of uploads that go on.
    """
    markers = bucket.at(bucket.name, bucket.key(_MARKERS)).objects() or {}
    for name, item in markers.items():
        upload_id = unquote(name)
        if upload_id in kept or time.time() - item.modified_s < _ABANDONED_S:
            continue
        answer = bucket.get_if_changed(_marker(upload_id), "")
        if answer.status == 200:
            bucket.abort_upload(answer.body.decode(), upload_id)
        unmark(bucket, upload_id)


def _marker(upload_id: str) -> str:
    return f"{_MARKERS}/{quote(upload_id, safe='')}"


class PendingUploads:
    """Which uploads in parts are ours and under way; a file beside the index.

    Args:
        file: JSON: path → upload id, size and time of the file it belongs to.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._guard = threading.Lock()
        try:
            self._notes: dict[str, list[Any]] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._notes = {}

    def resume(
        self, bucket: ObjectStore, path: str, facts: os.stat_result
    ) -> tuple[str, dict[int, Part]]:
        """The id and finished parts of this file's upload; a new one if there is none to resume."""
        noted = self._notes.get(path)
        if noted and noted[1:] == [facts.st_size, facts.st_mtime_ns]:
            finished = bucket.finished_parts(path, noted[0])
            if finished is not None:
                return noted[0], finished
            self.forget(path)
        elif noted:
            self.drop(bucket, path)
        upload_id = bucket.start_upload(path)
        self._change(path, [upload_id, facts.st_size, facts.st_mtime_ns])
        return upload_id, {}

    def drop(self, bucket: ObjectStore, path: str) -> None:
        """Abort the upload of a path."""
        upload_id = self._notes[path][0]
        bucket.abort_upload(path, upload_id)
        unmark(bucket, upload_id)
        self.forget(path)

    def forget(self, path: str) -> None:
        """Note that a path's upload has ended."""
        self._change(path, None)

    def drop_all_but(self, bucket: ObjectStore, wanted: set[str]) -> None:
        """Abort our uploads of files that are no longer wanted."""
        for path in self._notes.keys() - wanted:
            self.drop(bucket, path)

    def ids(self) -> set[str]:
        """The uploads under way."""
        with self._guard:
            return {note[0] for note in self._notes.values()}

    def is_empty(self) -> bool:
        """Whether no upload of ours is under way."""
        return not self._notes

    def _change(self, path: str, note: list[Any] | None) -> None:
        with self._guard:
            if note is None:
                self._notes.pop(path, None)
            else:
                self._notes[path] = note
            write_json(self._file, self._notes)
