"""One store through boto3: botocore's requests with our own patience, sentences and Ctrl-C."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore import handlers
from botocore.awsrequest import AWSHTTPConnectionPool, AWSHTTPSConnectionPool
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ProxyConnectionError
from botocore.httpsession import URLLib3Session
from urllib3.exceptions import HTTPError

from maquette.errors import JobFailed
from maquette.storage.connection import Damaged, socket_options
from maquette.storage.error_responses import ErrorResponse, error_of, translate
from maquette.storage.object_store import ATTEMPTS, Answer, Stopped, StoreLocation
from maquette.storage.proxies import Proxy
from maquette.storage.signing import Credentials
from maquette.storage.wire import LONG_TIMEOUT_S, TIMEOUT_S, pause_s

_CONNECT_TIMEOUT_S = 15.0
_MOST_CONNECTIONS = 160  # what a transfer has in flight at most
_LOOK_AGAIN_S = 0.02
_MAKING = threading.Lock()  # of clients, which boto3 makes in one thread at a time only
_PROXY_WANTS_A_PASSWORD = 407
_UNTRUSTED, _TUNNEL = "CERTIFICATE_VERIFY_FAILED", "Tunnel connection failed"


class Boto3Connection:
    """One store, reachable by any number of threads.

    `client` is a boto3 client that reads no file and no variable: all it needs is given here. It
    repeats nothing and follows no redirect by itself; `request` has that patience.

    Args:
        proxy: Goes there, and nowhere else; None: to the store itself.
        stop: Set it to end waiting and retrying in every thread.
    """

    def __init__(
        self,
        location: StoreLocation,
        credentials: Credentials,
        proxy: Proxy | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.location = location
        self.stop = stop or threading.Event()
        self.round_trip_s = 0.0
        self._proxy = proxy
        self._open: set[Any] = set()
        self._busy: set[object] = set()
        self._is_cut = False
        self._tls: ssl.SSLContext | None = None
        if location.endpoint.startswith("https:"):
            self._tls = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
        self._quick, self._patient = (self._session(t) for t in (TIMEOUT_S, LONG_TIMEOUT_S))
        self.client = _client(location, credentials)
        events = self.client.meta.events
        events.register("before-send.s3", self._send)
        events.register("before-call.s3", _adjust)
        events.unregister("before-parameter-build.s3", handlers.validate_bucket_name)

    def request(
        self,
        doing: str,
        call: Callable[[], Answer],
        *,
        fine: tuple[int, ...] = (),
        attempts: int = ATTEMPTS,
    ) -> Answer:
        """Make a call of `client` until it is answered, with growing pauses in between.

        Args:
            doing: As in "reading `s3://bucket/owl`".
            call: Called anew for each attempt. May raise Damaged.
            fine: Error statuses that are an answer, not an error.

        Raises:
            MaquetteError: refused for good, or still failing after `attempts`.
            Stopped: `stop` was set, or the connection is cut.
        """
        for attempt in range(1, attempts + 1):
            if self.stop.is_set():
                raise Stopped
            begun = time.monotonic()
            try:
                answer = self._once(call)
            except (BotoCoreError, HTTPError, OSError, Damaged) as error:
                if attempt == attempts or _UNTRUSTED in _reason(error):
                    raise self._broken(error, doing, attempt) from error
            else:
                self.round_trip_s = self.round_trip_s or time.monotonic() - begun
                if answer.status < 300 or answer.status in fine:
                    return answer
                refusal: ErrorResponse = answer.body
                if refusal.status == _PROXY_WANTS_A_PASSWORD and self._proxy:
                    raise self._barred(self._proxy, f"{refusal.status}", doing)
                if not refusal.is_transient or attempt == attempts:
                    raise translate(refusal, doing)
            self.stop.wait(pause_s(attempt))
        raise AssertionError("unreachable")

    def cut(self) -> None:
        """Make every request fail for good, those under way too; returns when none is left."""
        self._is_cut = True
        self.stop.set()
        while self._busy:
            for connection in tuple(self._open):
                with suppress(OSError, TypeError, AttributeError):  # it has just closed
                    socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)
            time.sleep(_LOOK_AGAIN_S)  # one may just have connected

    def close(self) -> None:
        """Close the kept connections."""
        self._quick.close()
        self._patient.close()

    def _once(self, call: Callable[[], Answer]) -> Answer:
        ticket = object()
        self._busy.add(ticket)
        try:
            if self._is_cut:  # asked only now, so that `cut` sees every request that goes on
                raise Stopped
            return call()
        except ClientError as error:
            return _refused(error)
        finally:
            self._busy.discard(ticket)

    def _session(self, timeout_s: float) -> URLLib3Session:
        proxies = dict.fromkeys(("http", "https"), self._proxy.url) if self._proxy else {}
        return _Session(self._open, proxies, (_CONNECT_TIMEOUT_S, timeout_s), self._tls)

    def _send(self, request: Any, **_: Any) -> Any:
        """Send what botocore has signed; parts and their end may take the store its time."""
        answer = (self._patient if "uploadId=" in request.url else self._quick).send(request)
        if not request.stream_output and request.method != "HEAD":
            _require_whole(answer)
        return answer

    def _broken(self, error: Exception, doing: str, attempt: int) -> Exception:
        if isinstance(error, OSError) and error.filename is not None:
            return error  # a local file's error, not the network's
        reason = _reason(error)
        detail = f"{self._where()}: {reason} ({attempt} attempts)"
        hint = "check endpoint and network, then run the same command again: it continues"
        if self._proxy and _TUNNEL in reason:
            return self._barred(self._proxy, reason, doing)
        if self._proxy and isinstance(error, ProxyConnectionError):
            return JobFailed(
                f"the proxy can not be reached: {self._proxy}, while {doing}",
                detail=detail,
                hint=self._around(self._proxy),
            )
        if self._proxy:
            hint = f"the way goes through the proxy {self._proxy}; {hint}"
        return JobFailed(
            f"the store does not answer as it should, while {doing}", detail=detail, hint=hint
        )

    def _barred(self, proxy: Proxy, reason: str, doing: str) -> JobFailed:
        return JobFailed(
            f"the proxy does not let us through to the store: {proxy}, while {doing}",
            detail=f"{self._where()}: {reason}",
            hint=self._around(proxy),
        )

    def _around(self, proxy: Proxy) -> str:
        host = urlsplit(self.location.endpoint).hostname
        return f"correct {proxy.variable}, or go to the store directly: `export NO_PROXY={host}`"

    def _where(self) -> str:
        parts = urlsplit(self.location.endpoint)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


class _Session(URLLib3Session):  # type: ignore[misc]
    """botocore's HTTP, which trusts whom our own wire trusts, and whose connections are known.

    Args:
        known: Holds every connection while it is open.
        timeout_s: To connect, and of each wait for an answer.
        tls: None for a store that is spoken to without.
    """

    def __init__(
        self,
        known: set[Any],
        proxies: dict[str, str],
        timeout_s: tuple[float, float],
        tls: ssl.SSLContext | None,
    ) -> None:
        self._tls = tls
        super().__init__(
            proxies=proxies,
            timeout=timeout_s,
            max_pool_connections=_MOST_CONNECTIONS,
            socket_options=socket_options(),
        )
        self._pool_classes_by_scheme = {
            "http": _known_by(known, AWSHTTPConnectionPool),
            "https": _known_by(known, AWSHTTPSConnectionPool),
        }
        self._manager.pool_classes_by_scheme = self._pool_classes_by_scheme

    def _get_ssl_context(self) -> ssl.SSLContext:
        return self._tls or super()._get_ssl_context()

    def _setup_ssl_cert(self, conn: Any, url: str, verify: object) -> None:
        if url.lower().startswith("https"):
            conn.cert_reqs, conn.ca_certs = "CERT_REQUIRED", None


def _known_by(known: set[Any], pool: type[Any]) -> type[Any]:
    class Known(pool.ConnectionCls):  # type: ignore[misc, name-defined]
        def connect(self) -> None:
            known.add(self)
            super().connect()

        def close(self) -> None:
            known.discard(self)
            super().close()

    return type(pool.__name__, (pool,), {"ConnectionCls": Known})


@cache
def _library() -> boto3.session.Session:
    """boto3 without any file of settings; what it reads of its own is read once."""
    nothing = {"profile": (None, None, None, None), "config_file": (None, None, "", None)}
    core = botocore.session.Session(session_vars=nothing)
    return boto3.session.Session(botocore_session=core)


def _client(location: StoreLocation, credentials: Credentials) -> Any:
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "virtual" if location.host_style else "path"},
        retries={"mode": "standard", "total_max_attempts": 1},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        proxies={},
    )
    with _MAKING:
        return _library().client(
            "s3",
            endpoint_url=location.endpoint,
            region_name=location.region,
            aws_access_key_id=credentials.access_key,
            aws_secret_access_key=credentials.secret_key,
            aws_session_token=credentials.token or None,
            config=config,
        )


def _adjust(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    """Take two habits from botocore before it sends.

    A redirect is told, never followed, so it is to believe that it did. And it would wait a second
    for "100 Continue" before each body, which most proxies keep to themselves.
    """
    context.setdefault("s3_redirect", {})["redirected"] = True
    params["headers"].pop("Expect", None)


def _require_whole(answer: Any) -> None:
    """Compare an answer with the length that its head told; botocore does not."""
    length, content = answer.headers.get("content-length", ""), answer.content
    if length.isdecimal() and len(content) < int(length) and answer.status_code not in (204, 304):
        raise Damaged(f"{int(length) - len(content)} bytes are missing at the end")


def _refused(error: ClientError) -> Answer:
    told, meta = dict(error.response.get("Error", {})), error.response["ResponseMetadata"]
    if str(told.get("Code", "")).isdecimal():  # botocore's own words for an answer without a body
        told = {}
    status, headers = meta["HTTPStatusCode"], meta.get("HTTPHeaders", {})
    return Answer(status, headers, error_of(status, told, headers, time.time()))


def _reason(error: Exception) -> str:
    """What went wrong, in the words of the innermost error that botocore wraps."""
    inner = getattr(error, "kwargs", {}).get("error", error)
    return str(inner) or type(inner).__name__
