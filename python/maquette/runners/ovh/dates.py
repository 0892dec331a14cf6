"""OVHcloud's dates have 0 to 9 fractional digits; documents have three. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

_FORM = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d*))?(Z|[+-]\d\d:?\d\d)?$")


def parse(value: Any) -> datetime | None:
    """A date in UTC; None for anything that is none."""
    return _parsed(value) if isinstance(value, str) else None


@lru_cache(maxsize=8192)
def _parsed(value: str) -> datetime | None:
    """One date is read several times: in the history, for the bill, for the end."""
    found = _FORM.match(value)
    if found is None:
        return None
    whole, fraction, zone = found.groups()
    digits = (fraction or "")[:6].ljust(6, "0")
    try:
        return datetime.fromisoformat(f"{whole}.{digits}{zone or 'Z'}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def normal(value: Any) -> str | None:
    """A date as documents write it, so that later ones sort later."""
    date = parse(value)
    return date.isoformat(timespec="milliseconds").replace("+00:00", "Z") if date else None


def span(value: Any) -> tuple[datetime, datetime]:
    """Between which two moments a date lies that may be cut at any digit; any time for none."""
    date = parse(value)
    if date is None:
        return datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    found = _FORM.match(value)
    digits = min(len((found and found[2]) or ""), 6)
    return date, date + timedelta(seconds=10.0**-digits)
