"""botocore's HTTP, as our own wire has it: whom it trusts, how it waits, and that it can be cut."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from botocore.awsrequest import AWSHTTPConnectionPool, AWSHTTPSConnectionPool
from botocore.httpsession import URLLib3Session

from maquette.storage.connection import Damaged, socket_options

_CONNECT_TIMEOUT_S = 15.0
_MOST_CONNECTIONS = 160  # what a transfer has in flight at most
_LOOK_AGAIN_S = 0.02


class Connections:
    """The connections of some sessions that are open now."""

    def __init__(self) -> None:
        self._open: set[Any] = set()

    def cut_while(self, is_busy: Callable[[], bool]) -> None:
        """Shut each connection down, again and again, until nobody uses one any more."""
        while is_busy():
            for connection in tuple(self._open):
                with suppress(OSError, TypeError, AttributeError):  # it has just closed
                    socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)
            time.sleep(_LOOK_AGAIN_S)  # one may just have connected

    def known(self, pool: type[Any]) -> type[Any]:
        """A pool whose connections are known here from their beginning to their end."""
        known = self._open

        class Known(pool.ConnectionCls):  # type: ignore[misc, name-defined]
            def connect(self) -> None:
                known.add(self)
                super().connect()

            def close(self) -> None:
                known.discard(self)
                super().close()

        return type(pool.__name__, (pool,), {"ConnectionCls": Known})


class Session(URLLib3Session):  # type: ignore[misc]
    """Sends requests, through `proxy` if that is not empty.

    Args:
        timeout_s: Of each wait for an answer.
        tls: None for a store that is spoken to without.
    """

    def __init__(
        self, connections: Connections, proxy: str, timeout_s: float, tls: ssl.SSLContext | None
    ) -> None:
        self._tls = tls
        super().__init__(
            proxies=dict.fromkeys(("http", "https"), proxy) if proxy else {},
            timeout=(_CONNECT_TIMEOUT_S, timeout_s),
            max_pool_connections=_MOST_CONNECTIONS,
            socket_options=socket_options(),
        )
        self._pool_classes_by_scheme = {
            "http": connections.known(AWSHTTPConnectionPool),
            "https": connections.known(AWSHTTPSConnectionPool),
        }
        self._manager.pool_classes_by_scheme = self._pool_classes_by_scheme

    def send(self, request: Any) -> Any:
        """Send a request; an answer that is read at once is compared with the length it told.

        Raises:
            Damaged: it is shorter; botocore would take what came for all of it.
        """
        answer = super().send(request)
        if not request.stream_output and request.method != "HEAD":
            _require_whole(answer)
        return answer

    def _get_ssl_context(self) -> ssl.SSLContext:
        return self._tls or super()._get_ssl_context()

    def _setup_ssl_cert(self, conn: Any, url: str, verify: object) -> None:
        if url.lower().startswith("https"):
            conn.cert_reqs, conn.ca_certs = "CERT_REQUIRED", None


def _require_whole(answer: Any) -> None:
    length, content = answer.headers.get("content-length", ""), answer.content
    if length.isdecimal() and len(content) < int(length) and answer.status_code not in (204, 304):
        raise Damaged(f"{int(length) - len(content)} bytes are missing at the end")
