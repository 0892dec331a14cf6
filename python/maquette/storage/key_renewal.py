"""Keys that end: found again before that, and when a store says that they have ended."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from maquette.errors import CredentialsError
from maquette.storage import credentials
from maquette.storage.signing import Credentials

_BEFORE = timedelta(minutes=15)
_LOOK_AGAIN = timedelta(seconds=30)


def _now() -> datetime:
    return datetime.now(UTC)


class RenewedKeys:
    """A `KeySource` that looks again where the keys came from: a program, a login, a file.

    Args:
        find: Finds the keys of now; may take its time.
        now: The time, with its zone.
    """

    def __init__(self, find: Callable[[], Credentials], now: Callable[[], datetime] = _now) -> None:
        self._find, self._now = find, now
        self._guard = threading.Lock()
        self._keys = find()
        self._look_at = self._next_look()

    def current(self) -> Credentials:
        """The keys to sign with now; looked for again a while before they end.

        Raises:
            CredentialsError: they have ended, and no others are found.
        """
        if self._look_at is None or self._now() < self._look_at:
            return self._keys
        with self._guard:
            if self._look_at is not None and self._now() >= self._look_at:
                self._look()
            return self._keys

    def renew(self, used: Credentials) -> bool:
        """Look for others where a store says that those `used` have ended; whether there are."""
        with self._guard:
            if self._keys == used and used.token:  # keys without a session do not end
                self._look()
            return self._keys != used

    def _look(self) -> None:
        try:
            self._keys = self._find()
        except CredentialsError:
            ends = self._keys.expires_at
            if ends is None or ends <= self._now():
                raise
        self._look_at = self._next_look()

    def _next_look(self) -> datetime | None:
        """A quarter of an hour before the end, of short lives at their half; seldom in any case."""
        ends, now = self._keys.expires_at, self._now()
        if ends is None:
            return None
        return max(now + _LOOK_AGAIN, ends - min(_BEFORE, (ends - now) / 2))


def keys_of(profile: str = "", folder: Path | None = None) -> RenewedKeys:
    """The keys of a data store for as long as a command takes; see `credentials.find`.

    Raises:
        CredentialsError: there are none now.
    """
    return RenewedKeys(lambda: credentials.find(profile, folder))
