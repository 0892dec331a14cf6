"""Machine types and their prices, from `jobs/flavors.yaml`; pure."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import yaml

from maquette.planning.definitions import JOBS


@dataclass(frozen=True)
class Flavor:
    """A machine type; numbers are per unit.

    Attributes:
        gpu: The GPU's model; empty for a CPU machine.
        eur_per_minute: None when nobody knows.
        price_from: Where the price comes from, with its date.
        max_units: How many units one job may have.
    """

    id: str
    gpu: str = ""
    vram_gib: float = 0.0
    vcpu: int = 0
    ram_gib: float = 0.0
    max_units: int = 1
    eur_per_minute: float | None = None
    price_from: str = ""


@functools.cache
def fallback_table() -> dict[str, Flavor]:
    """The dated table that stands in when the service can not be asked."""
    content = yaml.safe_load((JOBS / "flavors.yaml").read_text(encoding="utf-8"))
    table = {}
    for name, row in content["flavors"].items():
        sure = "" if row["confirmed"] else ", not confirmed"
        table[name] = Flavor(
            id=name,
            gpu=row.get("gpu", ""),
            vram_gib=row.get("vram_gib", 0.0),
            vcpu=row["vcpu"],
            ram_gib=row["ram_gib"],
            max_units=row["max"],
            eur_per_minute=row["eur_per_minute"],
            price_from=f"table of {content['dated']}{sure}",
        )
    return table
