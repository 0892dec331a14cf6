"""What the whole service shares: its memory, what runs the jobs, where data lies, faults, time."""

from __future__ import annotations

from dataclasses import dataclass

from maquette.emulator.book import Book
from maquette.emulator.faults import Faults
from maquette.emulator.objects import Stores
from maquette.emulator.runtimes import Runtime
from maquette.emulator.times import Pace


@dataclass(frozen=True)
class Service:
    """The parts that every job needs."""

    book: Book
    runtime: Runtime
    stores: Stores
    faults: Faults
    pace: Pace
