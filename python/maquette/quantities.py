"""Durations, amounts of data and numbers as short text, for both planes."""

from __future__ import annotations

from typing import Any

SHOWN = 5  # names of a list


def duration(seconds: float) -> str:
    """Say a duration as a person would: 0.8 s, 42 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def number(value: Any) -> str:
    """Say a number with as many digits as it deserves."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return _listed(value)
    return str(value)


def _listed(values: list[Any]) -> str:
    """Numbers as sizes and points are written; names with commas, the first few of them."""
    if not any(isinstance(value, str) for value in values):
        return " × ".join(number(value) for value in values)
    more = [f"and {len(values) - SHOWN} more"] if len(values) > SHOWN else []
    return ", ".join([*values[:SHOWN], *more])


def numbers(values: dict[str, Any]) -> str:
    """Say a stage's numbers in one line: images 80, registered 80."""
    shown = {key: value for key, value in values.items() if not isinstance(value, dict)}
    return ", ".join(f"{key.replace('_', ' ')} {number(value)}" for key, value in shown.items())


def size(size_bytes: float) -> str:
    """Say an amount of data: 812 B, 4.1 kB, 810 MB, 2.15 GB (powers of ten)."""
    value, units = float(size_bytes), ["B", "kB", "MB", "GB", "TB"]
    while abs(value) >= 999.5 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.0f} B" if units[0] == "B" else f"{value:.3g} {units[0]}"
