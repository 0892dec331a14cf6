"""Every object below a prefix, several pages at once.

Where pages begin is guessed from the keys that were there last time. A wrong guess costs
a request, never an object: each range of keys is read until it meets the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from maquette.storage.bodies import Listed, Page
from maquette.storage.etags import is_tag_of
from maquette.storage.object_store import RemoteObject

_APART = 900  # a page holds 1,000; room for keys that came since
_AT_ONCE = 16

Ask = Callable[[str, str], Page | None]


class _Unordered(Exception):
    """The store does not list in the order of keys, so ranges can not be told apart."""


class _NoBucket(Exception):
    """There is no such bucket."""


def objects_below(prefix: str, ask: Ask, guesses: Iterable[str]) -> dict[str, RemoteObject] | None:
    """List everything below a prefix by its path there; names that end in a slash are no objects.

    Args:
        guesses: Paths that may be there.

    Returns:
        The objects, None when there is no such bucket.
    """
    found = listed(ask, (prefix + path for path in guesses))
    if found is None:
        return None
    objects = {item.key[len(prefix) :]: _object(item) for item in found}
    return {path: item for path, item in objects.items() if path and not path.endswith("/")}


def listed(ask: Ask, guesses: Iterable[str]) -> list[Listed] | None:
    """List everything.

    Args:
        ask: Called with a key to start after and a continuation token, one of them or none;
            returns a page, None when there is no such bucket.
        guesses: Full keys that may be there.

    Returns:
        The objects, None when there is no such bucket.
    """
    starts = ["", *sorted(guesses)[_APART::_APART]]
    with ThreadPoolExecutor(min(len(starts), _AT_ONCE)) as pool:
        ranges = pool.map(lambda ends: _range(ask, *ends), pairwise([*starts, ""]))
        try:
            return [item for items in ranges for item in items]
        except _NoBucket:
            return None
        except _Unordered:
            return list(_by_token(ask))


def _range(ask: Ask, start: str, end: str) -> list[Listed]:
    """Everything after `start` up to and with `end`; to the end of all when that is empty."""
    found: list[Listed] = []
    while True:
        page = ask(start, "")
        if page is None:
            raise _NoBucket
        if not page.follows(start):
            raise _Unordered
        found += [item for item in page.items if not end or item.key <= end]
        if not page.is_truncated or (end and page.items and page.items[-1].key >= end):
            return found
        if not page.items:
            raise _Unordered
        start = page.items[-1].key


def _by_token(ask: Ask) -> Iterator[Listed]:
    page = ask("", "")
    while page is not None:
        yield from page.items
        page = ask("", page.token) if page.is_truncated and page.token else None


def _object(item: Listed) -> RemoteObject:
    tag = item.etag if is_tag_of(item.etag, item.size) else ""
    return RemoteObject(item.size, item.etag, tag, item.modified_s)
