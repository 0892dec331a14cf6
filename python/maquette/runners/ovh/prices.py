"""Prices per minute: from the public catalogue, kept for a day; else from the dated table."""

from __future__ import annotations

import functools
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from maquette.errors import ConfigError
from maquette.person import home
from maquette.planning.flavors import Flavor, fallback_table
from maquette.runners.web import httpx, way_to
from maquette.scene.atomic import write_json

FRESH_S = 86_400.0
_PLAN = re.compile(r"ai-training\.(?P<flavor>[a-z0-9-]+)\.minute\.consumption$")
_EUR = 1e-8  # the catalogue counts in hundred-millionths


@dataclass(frozen=True)
class Price:
    """What a job's machine costs a minute, all its units; None when nobody knows."""

    eur_per_minute: float | None
    source: str


def of_resources(resources: Mapping[str, Any]) -> Price:
    """The price of a job's resources, as far as is known without asking anybody."""
    flavor = known().get(str(resources.get("flavor")))
    if flavor is None or flavor.eur_per_minute is None:
        return Price(None, "unknown flavor")
    count = resources.get("gpu") if flavor.gpu else resources.get("cpu")
    per_unit = 1 if flavor.gpu else max(flavor.vcpu, 1)
    units = max(int(count) // per_unit, 1) if isinstance(count, int) else 1
    return Price(units * flavor.eur_per_minute, flavor.price_from)


def known(file: Path | None = None) -> dict[str, Flavor]:
    """All flavors that have a price here: the last catalogue that was read, over the table."""
    file = file or default_file()
    try:
        facts = file.stat()
    except OSError:
        return dict(fallback_table())
    return dict(_known(file, facts.st_mtime_ns, facts.st_size, facts.st_ino))


@functools.lru_cache(maxsize=4)
def _known(file: Path, *version: int) -> dict[str, Flavor]:
    """Read once as long as the file is the same: a thousand jobs ask."""
    table = dict(fallback_table())
    content = _kept(file)
    for name, price in content.get("prices", {}).items():
        flavor = table.get(name, Flavor(name))
        source = f"catalogue of {content['dated']}"
        table[name] = replace(flavor, eur_per_minute=float(price), price_from=source)
    return table


def refresh(url: str, file: Path | None = None, *, force: bool = False) -> str:
    """Read the catalogue if our copy is older than a day; needs no account.

    Returns:
        "" or why it could not be read; the older prices stand then.
    """
    file = file or default_file()
    if not force and file.exists() and 0 <= time.time() - file.stat().st_mtime < FRESH_S:
        return ""
    try:
        answer = httpx.get(url, params={"ovhSubsidiary": "FR"}, timeout=10.0, **way_to(url))
        answer.raise_for_status()
        prices = read_catalogue(answer.json())
    except (httpx.HTTPError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    except ConfigError as error:
        return error.what
    if not prices:
        return "the catalogue lists no AI Training prices"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, {"dated": f"{datetime.now(UTC):%Y-%m-%d}", "prices": prices})
    return ""


def read_catalogue(content: Any) -> dict[str, float]:
    """Euros per minute by flavor; entries of any other form are passed over."""
    prices = {}
    addons = content.get("addons") if isinstance(content, dict) else None
    for addon in addons if isinstance(addons, list) else ():
        code = addon.get("planCode") if isinstance(addon, dict) else None
        found = _PLAN.match(code) if isinstance(code, str) else None
        pricings = addon.get("pricings") if found else None
        if found and isinstance(pricings, list) and pricings and isinstance(pricings[0], dict):
            price = pricings[0].get("price")
            if isinstance(price, (int, float)) and price > 0:
                prices[found["flavor"]] = price * _EUR
    return prices


def default_file() -> Path:
    """Where the prices of the last catalogue are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or home() / ".cache"
    return Path(base) / "maquette" / "ovh-prices.json"


def _kept(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    whole = isinstance(content, dict) and isinstance(content.get("prices"), dict)
    return content if whole and isinstance(content.get("dated"), str) else {}
