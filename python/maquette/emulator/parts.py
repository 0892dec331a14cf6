"""What the whole service shares: database, runtime of jobs, data stores, faults, clock."""

from __future__ import annotations

from dataclasses import dataclass

from maquette.emulator.clock import Clock
from maquette.emulator.database import Database
from maquette.emulator.faults import Faults
from maquette.emulator.objects import Stores
from maquette.emulator.runtimes import Runtime


@dataclass(frozen=True)
class Service:
    """The parts that every job needs."""

    database: Database
    runtime: Runtime
    stores: Stores
    faults: Faults
    clock: Clock
