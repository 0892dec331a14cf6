"""The options of jobs on this machine: none beside those that every job has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LocalOptions:
    """Options of the backend."""


OPTIONS = LocalOptions
