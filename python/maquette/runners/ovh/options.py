"""The options of jobs at OVHcloud."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from maquette.containers.options import ImageOptions
from maquette.pipelines.options import option
from maquette.runners.agent_options import AgentOptions


@dataclass(frozen=True)
class OvhOptions(AgentOptions, ImageOptions):
    """Options of the backend."""

    ovh_region: Literal["GRA", "BHS"] = option("GRA", "GRA (France) or BHS (Canada)")
    ovh_url: str = option(
        "", "another address of the service, e.g. of the emulator; empty: by region"
    )
    ovh_catalogue: str = option(
        "https://api.ovh.com/1.0/order/catalog/public/cloud", "public price list"
    )

    @property
    def url(self) -> str:
        """The address of the service: OVH_URL, or that of OVH_REGION."""
        return self.ovh_url or f"https://{self.ovh_region.lower()}.ai.cloud.ovh.net"


OPTIONS = OvhOptions
