"""Try a data store out: write, read, list and remove one small object, a sentence for each."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

from maquette.errors import JobFailed
from maquette.storage.etags import new_md5
from maquette.storage.object_store import PRECONDITION_FAILED, ObjectStore

_CONTENT = b"maquette checks that this store keeps what it is given\n"


def check(bucket: ObjectStore) -> Iterator[str]:
    """Do one thing after the other and say each; a test object is left only if removing fails.

    Raises:
        MaquetteError: what the store refuses, as a sentence with a hint.
    """
    path = f".maquette/check-{secrets.token_hex(6)}"
    bucket.ensure()
    yield f"bucket {bucket.name}: there"
    for said, act in _acts(bucket, path):
        act()
        yield said
    yield f"conditional writes: {'yes' if _knows_conditions(bucket, path) else 'no, not needed'}"
    bucket.delete(path)
    if bucket.head(path) is not None:
        raise JobFailed(
            f"a removed object is still there: `{bucket.url(path)}`",
            hint="look at versioning and object lock of this bucket",
        )
    yield "remove: yes"


def _acts(bucket: ObjectStore, path: str) -> list[tuple[str, Callable[[], None]]]:
    digest = new_md5()
    digest.update(_CONTENT)

    def write() -> None:
        bucket.put(path, _CONTENT, digest.digest(), digest.hexdigest(), {})

    def read() -> None:
        if bucket.get_if_changed(path, "").body != _CONTENT:
            raise JobFailed(f"another content comes back: `{bucket.url(path)}`")

    def listed() -> None:
        if path not in (bucket.objects() or {}):
            raise JobFailed(f"the object is not in the listing: `{bucket.url(path)}`")

    return [("write: yes", write), ("read: yes", read), ("list: yes", listed)]


def _knows_conditions(bucket: ObjectStore, path: str) -> bool:
    digest = new_md5()
    digest.update(_CONTENT)
    answer = bucket.put(path, _CONTENT, digest.digest(), digest.hexdigest(), {"if-none-match": "*"})
    return answer.status == PRECONDITION_FAILED
