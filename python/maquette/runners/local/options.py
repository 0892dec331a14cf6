"""What jobs on this machine may be told: nothing but what every job is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LocalOptions:
    """Options of the backend."""


OPTIONS = LocalOptions
