"""A plugin of proxy.py: the proxy alone knows where a name leads that nobody else can resolve."""

from __future__ import annotations

from proxy.http.proxy import HttpProxyBasePlugin

from http_proxy import NAME


class KnowsTheStore(HttpProxyBasePlugin):
    def resolve_dns(self, host: str, port: int) -> tuple[str | None, None]:
        return ("127.0.0.1" if host == NAME else None), None
