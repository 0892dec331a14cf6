"""Which build of an image suits a GPU: `images/gpus.yaml` read, and nothing asked of a machine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from maquette.errors import ConfigError
from maquette.resources import ROOT

IMAGES = ROOT / "images"
NEWEST = "cuda13"
WITHOUT_GPU = "cpu"


@dataclass(frozen=True)
class Variant:
    """One build of an image.

    Attributes:
        torch_index: Where its torch comes from.
        capabilities: The compute capabilities that it has code for, as "8.6".
        oldest_driver: The first NVIDIA driver that can run it, as "580.65"; empty without GPU.
        torch_cuda: The CUDA that its torch is built with, as "12.6"; empty without GPU.
        torch_code: The capabilities that its torch's wheel has code for.
        largest_gb: What the image may take on the daemon's disk; 0: not known.
    """

    name: str
    torch_index: str
    capabilities: tuple[str, ...]
    oldest_driver: str = ""
    torch_cuda: str = ""
    torch_code: tuple[str, ...] = ()
    largest_gb: float = 0.0


def variants() -> dict[str, Variant]:
    """Every variant by name."""
    return {
        name: Variant(
            name,
            facts["torch_index"],
            tuple(facts["capabilities"]),
            facts.get("oldest_driver", ""),
            facts.get("torch_cuda", ""),
            tuple(facts.get("torch_code", ())),
            facts.get("largest_gb", 0.0),
        )
        for name, facts in _table()["variants"].items()
    }


def find_variant(name: str) -> Variant:
    """The variant of this name.

    Raises:
        ConfigError: there is none.
    """
    known = variants()
    if name not in known:
        raise ConfigError(f"there is no variant `{name}`", hint=f"one of: {', '.join(known)}")
    return known[name]


def variant_for(capability: str) -> str:
    """The variant for GPUs of this compute capability that asks least of the driver.

    Nobody knows the driver of a machine that is not there yet.

    Raises:
        ConfigError: no image has code for it.
    """
    fitting = [item.name for item in variants().values() if capability in item.capabilities]
    if not fitting:
        known = sorted({float(c) for item in variants().values() for c in item.capabilities})
        raise ConfigError(
            f"no image has code for GPUs of compute capability {capability}",
            detail=f"there are images for {', '.join(map(str, known))}",
            hint="take another GPU, or GPU=0 to compute without one",
        )
    return fitting[0]


def choose(flavor: str, gpus: int) -> str:
    """The variant for a machine type; the newest where the table does not know its GPU."""
    if gpus == 0:
        return WITHOUT_GPU
    table = _table()
    gpu = table["flavors"].get(flavor)
    if gpu is None:
        return NEWEST
    return variant_for(table["gpus"][gpu]) if gpu else WITHOUT_GPU


def check_fit(variant: str, flavor: str, gpus: int) -> None:
    """Refuse a machine type whose GPU the variant has no code for.

    Raises:
        ConfigError: it has none; flavors that the table does not know are left to the agent.
    """
    table = _table()
    gpu = table["flavors"].get(flavor)
    if not gpu or not gpus or table["gpus"][gpu] in find_variant(variant).capabilities:
        return
    raise ConfigError(
        f"VARIANT={variant} has no code for {gpu}, the GPU of {flavor}",
        detail=f"compute capability {table['gpus'][gpu]}",
        hint=f"leave VARIANT out, or VARIANT={variant_for(table['gpus'][gpu])}",
    )


def warp_cuda() -> str:
    """The CUDA of the compiler in Warp's wheel, as "12.9"."""
    return str(_table()["warp_cuda"])


def image_reference(version: str, variant: str, registry: str = "", name: str = "recon") -> str:
    """How an image of ours is called: `[registry/]maquette/recon:0.1.0-cuda13`."""
    prefix = f"{registry.rstrip('/')}/" if registry else ""
    return f"{prefix}maquette/{name}:{version}-{variant}"


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = yaml.safe_load((IMAGES / "gpus.yaml").read_text(encoding="utf-8"))
    return table
