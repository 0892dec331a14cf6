"""Flavors, quota and prices as the service lists them."""

from __future__ import annotations

from typing import Any

from maquette.emulator.models import JobRequest
from maquette.planning.flavors import Flavor, fallback_table

DEFAULT_FLAVOR = "ai1-1-gpu"
_GIB = 2**30


def flavor_answer(flavor: Flavor) -> dict[str, Any]:
    """One flavor as `GET /v1/capabilities/flavor` lists it."""
    answer: dict[str, Any] = {
        "id": flavor.id,
        "type": "gpu" if flavor.gpu else "cpu",
        "description": flavor.gpu or "CPU",
        "default": flavor.id == DEFAULT_FLAVOR,
        "max": flavor.max_units,
        "resourcesPerUnit": {
            "cpu": flavor.vcpu,
            "memory": int(flavor.ram_gib * _GIB),
            "ephemeralStorage": 750 * 2**30,
            "publicNetwork": 1_500_000_000,
            "privateNetwork": 0,
        },
    }
    if flavor.gpu:
        answer["resourcesPerUnit"]["gpu"] = 1
        answer["gpuInformation"] = {
            "gpuBrand": "NVIDIA",
            "gpuModel": flavor.gpu,
            "gpuMemory": int(flavor.vram_gib * _GIB),
        }
    return answer


def resources_of(spec: JobRequest) -> dict[str, Any]:
    """What a job gets: units of a flavor and what they hold; one default GPU when none is named.

    Raises:
        ValueError: there is no such flavor, or not so many units of it.
    """
    asked = spec.resources
    wants_cpu = asked.flavor is None and not asked.gpu and bool(asked.cpu)
    name = asked.flavor or ("ai1-1-cpu" if wants_cpu else DEFAULT_FLAVOR)
    flavor = fallback_table().get(name)
    if flavor is None:
        raise ValueError(f"flavor {name} does not exist")
    units = (asked.gpu if flavor.gpu else asked.cpu) or 1
    if units > flavor.max_units:
        raise ValueError(f"flavor {name} has at most {flavor.max_units} units, not {units}")
    answer = {"flavor": name, "cpu": units * flavor.vcpu, "ephemeralStorage": 750 * _GIB}
    answer["memory"] = int(units * flavor.ram_gib * _GIB)
    if flavor.gpu:
        answer |= {"gpu": units, "gpuBrand": "NVIDIA", "gpuModel": flavor.gpu}
        answer["gpuMemory"] = int(flavor.vram_gib * _GIB)
    return answer


def used_resources(jobs: list[dict[str, Any]]) -> dict[str, int]:
    """CPUs of CPU flavors and GPUs that live jobs hold."""
    used = {"CPU": 0, "GPU": 0}
    for job in jobs:
        resources = job["spec"]["resources"]
        kind = "GPU" if resources.get("gpu") else "CPU"
        used[kind] += resources["gpu" if kind == "GPU" else "cpu"]
    return used


def price_catalogue() -> dict[str, Any]:
    """The public order catalogue, as far as it is about AI Training."""
    addons = [
        {
            "planCode": f"ai-training.{flavor.id}.minute.consumption",
            "pricings": [{"price": round((flavor.eur_per_minute or 0) * 1e8)}],
        }
        for flavor in fallback_table().values()
    ]
    return {"locale": {"currencyCode": "EUR", "subsidiary": "FR"}, "addons": addons}
