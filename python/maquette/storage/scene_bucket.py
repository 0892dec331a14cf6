"""From a scene's location to its bucket: which store, which keys, which name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager

from maquette.person import user_name
from maquette.scene.data_location import DataLocation
from maquette.storage import datastores, embedded
from maquette.storage.key_renewal import keys_of
from maquette.storage.object_store import ObjectStore, StoreLocation
from maquette.storage.opening import interruptible, open_store
from maquette.storage.signing import KeySource

STORE_FOLDER = ".store"
_LONGEST_NAME = 63


def uses_embedded_store(data: DataLocation) -> bool:
    """Whether no data store is asked for and none has the default alias."""
    return not data.chosen_datastore and data.datastore not in datastores.known()


@contextmanager
def opened(data: DataLocation) -> Iterator[ObjectStore]:
    """Open the scene's place: in the data store of DATASTORE, or in the embedded store.

    Raises:
        NotFound: DATASTORE names none.
        CredentialsError: there are no keys for it.
    """
    if uses_embedded_store(data):
        with embedded.serving((data.base_dir / STORE_FOLDER).resolve()) as running:
            yield from _opened(running.location, running.credentials, data)
        return
    store = datastores.find(data.datastore)
    yield from _opened(store.location, keys_of(store.profile), data)


def _opened(location: StoreLocation, keys: KeySource, data: DataLocation) -> Iterator[ObjectStore]:
    with interruptible(open_store(location, keys, bucket_name(data), data.model)) as bucket:
        yield bucket


def bucket_name(data: DataLocation) -> str:
    """BUCKET_NAME, or one of this user and model, within the rules for bucket names."""
    if data.bucket:
        return data.bucket
    wanted = f"maquette-{user_name()}-{data.model}"
    allowed = re.sub(r"[^a-z0-9-]+", "-", wanted.lower()).strip("-")
    if allowed == wanted and len(wanted) <= _LONGEST_NAME:
        return wanted
    digest = hashlib.sha256(wanted.encode()).hexdigest()[:8]
    return f"{allowed[: _LONGEST_NAME - 9].rstrip('-')}-{digest}"
