"""Counts in sentences."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """Say how many of something: 1 file, 2,700 files."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
