"""httpx without its own command line, which every start of ours would load rich and click for."""

from __future__ import annotations

import sys
from typing import Any

from maquette.storage.proxies import proxy_for

if "httpx" not in sys.modules:
    sys.modules["httpx._main"] = None  # type: ignore[assignment]

import httpx

__all__ = ["httpx", "way_to"]


def way_to(url: str) -> dict[str, Any]:
    """How a client of httpx reaches an address: by which proxy, and whom it trusts there.

    Raises:
        ConfigError: the proxy is none that can be used.
    """
    proxy = proxy_for(url)
    # Without TLS there is no certificate to check, and to read all authorities takes long.
    verify = httpx.create_ssl_context() if url.startswith("https://") else False
    return {"proxy": proxy.url if proxy else None, "trust_env": False, "verify": verify}
