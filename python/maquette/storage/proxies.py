"""Which proxy the environment sets on the way to an address; this machine is asked directly."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from urllib.request import (
    BaseHandler,
    OpenerDirector,
    ProxyHandler,
    build_opener,
    getproxies,
    proxy_bypass,
)

from maquette.addresses import address_parts
from maquette.errors import ConfigError

_SCHEMES = ("http", "https")


@dataclass(frozen=True)
class Proxy:
    """A proxy of this machine's environment.

    Args:
        url: With a user and a password where they are set, so it is shown to nobody.
        variable: Where it is set.
    """

    url: str = field(repr=False)
    variable: str

    def __str__(self) -> str:
        """The proxy and its variable, without user and password."""
        parts = urlsplit(self.url)
        return f"`{parts.scheme}://{parts.netloc.rpartition('@')[2]}` ({self.variable})"


def proxy_for(address: str) -> Proxy | None:
    """The proxy for an address: of its scheme, else of all; None where it is asked directly.

    `https_proxy`, `http_proxy`, `all_proxy` and `no_proxy` count, small letters before capitals,
    and where none is set the system's own settings, as for other programs in Python. What answers
    on this machine never has one: a proxy would find nothing there, and read what is sent.

    Raises:
        ConfigError: it is set to something that is no HTTP proxy.
    """
    parts = urlsplit(address)
    if is_loopback(address):
        return None
    found = getproxies()
    name = parts.scheme if parts.scheme in found else "all"
    if name not in found or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    proxy = Proxy(_with_scheme(found[name]), _variable(name))
    address_parts(proxy.url, f"the proxy of {proxy.variable}")
    if urlsplit(proxy.url).scheme not in _SCHEMES or not urlsplit(proxy.url).hostname:
        raise ConfigError(
            f"a proxy that can not be used: {proxy}",
            hint="set it to an http:// or https:// proxy, or name the store's host in NO_PROXY",
        )
    return proxy


def is_loopback(address: str) -> bool:
    """Whether an address is of this machine alone, by its name (RFC 6761) or number."""
    host = (urlsplit(address).hostname or "").rstrip(".")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def opener_for(address: str, *handlers: BaseHandler) -> OpenerDirector:
    """What opens an address with urllib, by the proxy that is right for it.

    Raises:
        ConfigError: the proxy is none that can be used.
    """
    proxy = proxy_for(address)
    ways = {urlsplit(address).scheme: proxy.url} if proxy else {}
    return build_opener(ProxyHandler(ways), *handlers)


def _with_scheme(url: str) -> str:
    """Most programs take a bare host and port for a proxy that is spoken to without TLS."""
    return url if "://" in url else f"http://{url.removeprefix('//')}"


def _variable(name: str) -> str:
    small = f"{name}_proxy"
    written = (item for item in os.environ if item.lower() == small)
    set_ = sorted(written, key=lambda item: item != small)
    return set_[0] if set_ else "the system's settings"
