"""What the account may do, and which flavors it can have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from maquette.config.settings import Settings
from maquette.errors import MaquetteError
from maquette.planning.flavors import Flavor
from maquette.runners.ovh import prices, responses, tokens
from maquette.runners.ovh.client import Client
from maquette.runners.ovh.options import OvhOptions

_GIB = 2**30


def check(settings: Settings) -> dict[str, Any]:
    """Who the token belongs to and what it may.

    Raises:
        CredentialsError: there is no token, or it is refused.
        MaquetteError: the service can not be reached.
    """
    asked = settings.of(OvhOptions)
    url = asked.url
    token, source = tokens.find(url)
    client = Client(url, token)
    try:
        me = responses.mapping(client.get("/v1/me"))
    finally:
        client.close()
    role = me.get("role")
    return {
        "address": url,
        "region": asked.ovh_region if not asked.ovh_url else "by OVH_URL",
        "token from": source,
        "user": me.get("name"),
        "project": me.get("tenant"),
        "role": role,
        "may start jobs": {"ai_training_operator": "yes", "ai_training_read": "no"}.get(
            str(role), "not known"
        ),
        "quota": responses.mapping(me.get("quotas")).get("resources"),
    }


def flavors(settings: Settings) -> tuple[list[Flavor], list[str]]:
    """What can be had with prices, and remarks about what could not be asked."""
    remarks = []
    problem = prices.refresh(settings.of(OvhOptions).ovh_catalogue, force=True)
    if problem:
        remarks.append(f"prices are older ones: the catalogue could not be read ({problem})")
    known = prices.known()
    try:
        listed = _listed(settings)
    except MaquetteError as error:
        remarks.append(f"what this project can have could not be asked: {error.what}")
        return list(known.values()), remarks
    return [_merged(item, known) for item in listed], remarks


def _listed(settings: Settings) -> list[Any]:
    url = settings.of(OvhOptions).url
    client = Client(url, tokens.find(url)[0])
    try:
        answer = client.get("/v1/capabilities/flavor")
    finally:
        client.close()
    items = answer.get("items") if isinstance(answer, dict) else answer
    return [item for item in items or [] if isinstance(item, dict) and item.get("id")]


def _merged(item: dict[str, Any], known: dict[str, Flavor]) -> Flavor:
    """A flavor as the service lists it, with the price that is known for it."""
    flavor = known.get(str(item["id"]), Flavor(str(item["id"])))
    gpu = responses.mapping(item.get("gpuInformation"))
    unit = responses.mapping(item.get("resourcesPerUnit"))
    return replace(
        flavor,
        gpu=str(gpu.get("gpuModel") or flavor.gpu),
        vram_gib=_gib(gpu.get("gpuMemory"), flavor.vram_gib),
        vcpu=unit.get("cpu") or flavor.vcpu,
        ram_gib=_gib(unit.get("memory"), flavor.ram_gib),
        max_units=item.get("max") or flavor.max_units,
    )


def _gib(size_bytes: Any, otherwise: float) -> float:
    return round(size_bytes / _GIB, 1) if isinstance(size_bytes, (int, float)) else otherwise
