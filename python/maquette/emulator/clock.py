"""The service's clock: how long one of its seconds lasts here, and how it writes dates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class Clock:
    """How fast the service's time goes by.

    Attributes:
        second_s: Wall seconds that one of the service's seconds takes; less for tests.
        phase_s: Service seconds that QUEUED, PENDING and the like take at least.
        grace_s: Service seconds that a stopped process has to save.
        keep_alive_s: Service seconds between keep-alives of a log stream.
    """

    second_s: float = 1.0
    phase_s: float = 1.0
    grace_s: float = 90.0
    keep_alive_s: float = 5.0

    def wall(self, service_seconds: float) -> float:
        """Wall seconds of a time span of the service."""
        return service_seconds * self.second_s

    def between(self, start: str, end: str) -> float:
        """Service seconds between two dates."""
        seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
        return max(seconds, 0.0) / self.second_s


def now() -> str:
    """The time with all six digits."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def shortened(date: str) -> str:
    """A date as the service writes it: between zero and six fractional digits."""
    whole, _, rest = date.rstrip("Z").partition(".")
    digits = rest[: int(rest[-1:] or "0") % 7]
    return f"{whole}.{digits}Z" if digits else f"{whole}Z"


def with_short_dates(value: Any) -> Any:
    """A copy of an answer with every date shortened."""
    if isinstance(value, dict):
        return {key: with_short_dates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_short_dates(item) for item in value]
    is_date = isinstance(value, str) and len(value) == 27 and value[10:11] == "T"
    return shortened(value) if is_date and value.endswith("Z") else value
