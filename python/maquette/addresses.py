"""Addresses that a person gave: one that can be asked, or a sentence."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from maquette.errors import ConfigError


def address_parts(address: str, named: str) -> SplitResult:
    """The parts of an address, with a port that there can be.

    Args:
        named: What it is for the person, as in "the endpoint of `GRA`".

    Raises:
        ConfigError: no part of it can be told, or its port is none; passwords are not repeated.
    """
    try:
        parts = urlsplit(address)
        if parts.port != 0:
            return parts
        wrong = "port 0"
    except ValueError as error:
        wrong = str(error).partition(":")[0] if "@" in address else str(error)
    shown = address.rpartition("@")[2].partition("?")[0]
    raise ConfigError(
        f"{named} is no address that can be asked: `{shown}`",
        detail=wrong,
        hint="ports are numbers from 1 to 65535; an address looks like https://example.org:443",
    )
