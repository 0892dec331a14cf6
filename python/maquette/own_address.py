"""Under which address others find what listens on all addresses of this machine."""

from __future__ import annotations

import socket

_ALL = {"0.0.0.0": socket.AF_INET, "::": socket.AF_INET6, "": socket.AF_INET}
# Reserved for documentation: never asked, it only makes the system choose the way out.
_ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}


def opened_as(host: str) -> str:
    """A host that a browser can open, for one that a server listens on; nothing is sent."""
    family = _ALL.get(host)
    if family is None:
        return host
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((_ELSEWHERE[family], 9))
            return str(probe.getsockname()[0])
    except OSError:
        return "127.0.0.1" if family == socket.AF_INET else "::1"
