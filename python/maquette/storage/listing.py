"""Every object below a prefix, several pages at once.

Where pages begin is guessed from the keys that were there last time. A wrong guess costs
a request, never an object: each stretch is read until it meets the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from maquette.storage.bodies import Listed, Page

_APART = 900  # a page holds 1,000; room for keys that came since
_AT_ONCE = 16

Ask = Callable[[str, str], Page | None]


class _Unordered(Exception):
    """The store does not list in the order of keys, so stretches can not be told apart."""


class _NoBucket(Exception):
    """There is no such bucket."""


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
        stretches = pool.map(lambda ends: _stretch(ask, *ends), pairwise([*starts, ""]))
        try:
            return [item for stretch in stretches for item in stretch]
        except _NoBucket:
            return None
        except _Unordered:
            return list(_by_token(ask))


def _stretch(ask: Ask, start: str, end: str) -> list[Listed]:
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
