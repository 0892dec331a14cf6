"""From settings to a bucket: which store, which keys, which name."""

from __future__ import annotations

import getpass
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager

from maquette.config.settings import Settings
from maquette.storage import credentials, datastores, embedded
from maquette.storage.object_store import ObjectStore, StoreLocation
from maquette.storage.opening import interruptible, open_store
from maquette.storage.signing import Credentials

STORE_FOLDER = ".store"
_LONGEST_NAME = 63


def uses_embedded_store(settings: Settings) -> bool:
    """Whether no data store is asked for and none has the default alias."""
    return "datastore" not in settings.model_fields_set and (
        settings.datastore not in datastores.known()
    )


@contextmanager
def opened(settings: Settings) -> Iterator[ObjectStore]:
    """Open the scene's place: in the data store of DATASTORE, or in the embedded store.

    Raises:
        NotFound: DATASTORE names none.
        CredentialsError: there are no keys for it.
    """
    if uses_embedded_store(settings):
        folder = (settings.base_dir / STORE_FOLDER).resolve()
        with embedded.serving(folder) as running:
            yield from _opened(running.location, running.credentials, settings)
        return
    store = datastores.find(settings.datastore)
    yield from _opened(store.location, credentials.find(store.profile), settings)


def _opened(
    location: StoreLocation, keys: Credentials, settings: Settings
) -> Iterator[ObjectStore]:
    with interruptible(open_store(location, keys, bucket_name(settings), settings.model)) as bucket:
        yield bucket


def bucket_name(settings: Settings) -> str:
    """BUCKET_NAME, or one of this user and model, within the rules for bucket names."""
    if settings.bucket_name:
        return settings.bucket_name
    wanted = f"maquette-{getpass.getuser()}-{settings.model}"
    allowed = re.sub(r"[^a-z0-9-]+", "-", wanted.lower()).strip("-")
    if allowed == wanted and len(wanted) <= _LONGEST_NAME:
        return wanted
    digest = hashlib.sha256(wanted.encode()).hexdigest()[:8]
    return f"{allowed[: _LONGEST_NAME - 9].rstrip('-')}-{digest}"
