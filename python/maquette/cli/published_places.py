"""Places in buckets that scenes are published to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from maquette.errors import ConfigError

if TYPE_CHECKING:
    from maquette.scene.data_location import DataLocation
    from maquette.storage.object_store import ObjectStore

_BUCKET = r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?"


@contextmanager
def open_place(data: DataLocation, to: str) -> Iterator[ObjectStore]:
    """Open `s3://bucket/prefix` in the data store that counts.

    Raises:
        ConfigError: it is no such address.
    """
    from maquette.storage.scene_bucket import opened

    found = re.fullmatch(_BUCKET, to)
    if not found:
        raise ConfigError(f"not a bucket and a prefix: TO={to}", hint="TO=s3://bucket/prefix")
    with opened(data) as bucket:
        yield bucket.at(found[1], (found[2] or "").strip("/"))


def require_bucket(data: DataLocation) -> None:
    """Make sure that links into the store lead somewhere.

    Raises:
        ConfigError: it is the built-in one.
    """
    from maquette.storage.scene_bucket import uses_embedded_store

    if uses_embedded_store(data):
        raise ConfigError(
            "the built-in store answers while a command runs, and to this machine alone: "
            "a link into it would lead nowhere",
            hint="`maquette datastore add` names one; or publish with TO=folder or HTML=1",
        )
