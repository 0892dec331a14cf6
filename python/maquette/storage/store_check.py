"""Try a data store out: write, read, list and remove one small object, a sentence for each."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from functools import partial

from maquette.errors import CredentialsError, JobFailed, MaquetteError
from maquette.storage.etags import new_md5
from maquette.storage.object_store import PRECONDITION_FAILED, ObjectStore

_CONTENT = b"maquette checks that this store keeps what it is given\n"


def check(bucket: ObjectStore) -> Iterator[str]:
    """Do one thing after the other and say of each whether it works; a key may do only some.

    A test object is left only if removing fails. A key for a part of the bucket may list nothing
    but that part, and needs no more.

    Raises:
        MaquetteError: the first thing that the store refuses, when all have been tried.
    """
    path = f".maquette/check-{secrets.token_hex(6)}"
    first: MaquetteError | None = None
    try:
        bucket.ensure()
        yield f"bucket {bucket.name}: there"
    except CredentialsError:  # of a prefix alone: what is below it is tried
        if not _may_be_for_a_prefix(bucket):
            raise
        yield f"bucket {bucket.name}: this key may only see a part of it, {bucket.url()}"
    wrote = False
    for name, act in _acts(bucket, path):
        if name == "read" and not wrote:
            act = partial(_read_any, bucket)
        try:
            act()
        except CredentialsError as error:
            first = first or error
            yield f"{name}: no"
        else:
            wrote |= name == "write"
            yield f"{name}: yes"
    if wrote:
        yield from _rest(bucket, path, first)
    if first:
        raise first


def _rest(bucket: ObjectStore, path: str, first: MaquetteError | None) -> Iterator[str]:
    """Conditional writes, and removing the test object."""
    known = _knows_conditions(bucket, path)
    yield f"conditional writes: {'yes' if known else 'no, not needed'}"
    try:
        bucket.delete(path)
        if first is None and bucket.head(path) is not None:
            raise JobFailed(
                f"a removed object is still there: `{bucket.url(path)}`",
                hint="look at versioning and object lock of this bucket",
            )
    except CredentialsError as error:
        yield "remove: no"
        raise first or error from None
    yield "remove: yes"


def _may_be_for_a_prefix(bucket: ObjectStore) -> bool:
    try:
        return bucket.objects() is not None
    except CredentialsError:
        return False


def _read_any(bucket: ObjectStore) -> None:
    """Read whatever is there, for a key that may not write."""
    bucket.get_if_changed(next(iter(bucket.objects() or {}), ".maquette/none"), "")


def _acts(bucket: ObjectStore, path: str) -> list[tuple[str, Callable[[], None]]]:
    digest = new_md5()
    digest.update(_CONTENT)

    def write() -> None:
        bucket.put(path, _CONTENT, digest.digest(), digest.hexdigest(), {})

    def read() -> None:
        if bucket.get_if_changed(path, "").body != _CONTENT:
            raise JobFailed(f"another content comes back: `{bucket.url(path)}`")

    def listed() -> None:
        found = bucket.objects() or {}
        if bucket.head(path) is not None and path not in found:
            raise JobFailed(f"the object is not in the listing: `{bucket.url(path)}`")

    return [("write", write), ("read", read), ("list", listed)]


def _knows_conditions(bucket: ObjectStore, path: str) -> bool:
    digest = new_md5()
    digest.update(_CONTENT)
    answer = bucket.put(path, _CONTENT, digest.digest(), digest.hexdigest(), {"if-none-match": "*"})
    return answer.status == PRECONDITION_FAILED
