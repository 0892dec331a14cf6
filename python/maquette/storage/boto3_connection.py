"""One store through boto3: botocore's requests with our own patience, sentences and Ctrl-C."""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore import handlers
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ProxyConnectionError
from urllib3.exceptions import HTTPError

from maquette.errors import JobFailed
from maquette.storage.boto3_session import Connections, Session
from maquette.storage.connection import Damaged
from maquette.storage.error_responses import ErrorResponse, error_of, translate
from maquette.storage.object_store import ATTEMPTS, Answer, Stopped, StoreLocation
from maquette.storage.proxies import Proxy
from maquette.storage.signing import Credentials, KeySource
from maquette.storage.wire import LONG_TIMEOUT_S, TIMEOUT_S, pause_s

_MAKING = threading.Lock()  # of clients, which boto3 makes in one thread at a time only
_OF_PROXIES = (403, 407)  # where they come without a word of S3
_UNTRUSTED, _TUNNEL = "CERTIFICATE_VERIFY_FAILED", "Tunnel connection failed"


class Boto3Connection:
    """One store, reachable by any number of threads.

    `client` is a boto3 client that reads no file and no variable: all it needs is given here. It
    repeats nothing and follows no redirect by itself; `request` has that patience. Ask for it anew
    for each call: keys end.

    Args:
        proxy: Goes there, and nowhere else; None: to the store itself.
        stop: Set it to end waiting and retrying in every thread.
    """

    def __init__(
        self,
        location: StoreLocation,
        keys: KeySource,
        proxy: Proxy | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.location = location
        self.stop = stop or threading.Event()
        self.round_trip_s = 0.0
        self._proxy = proxy
        self._busy: set[object] = set()
        self._is_cut = False
        self._connections = Connections()
        tls = _trusting() if location.endpoint.startswith("https:") else None
        self._quick, self._patient = (
            Session(self._connections, proxy.url if proxy else "", timeout_s, tls)
            for timeout_s in (TIMEOUT_S, LONG_TIMEOUT_S)
        )
        self._keys = keys
        self._made: tuple[Credentials, Any] | None = None

    @property
    def client(self) -> Any:
        """A boto3 client with the keys of now."""
        keys = self._keys.current()
        if self._made is None or self._made[0] != keys:
            client = _client(self.location, keys)
            events = client.meta.events
            events.register("before-send.s3", self._send)
            events.register("before-call.s3", _adjust)
            events.unregister("before-parameter-build.s3", handlers.validate_bucket_name)
            self._made = keys, client
        return self._made[1]

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
            begun, keys = time.monotonic(), self._keys.current()
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
                if self._proxy and refusal.status in _OF_PROXIES and not refusal.code:
                    raise self._barred(self._proxy, f"{refusal.status}", doing)
                again = refusal.is_transient or (refusal.may_be_expired and self._keys.renew(keys))
                if not again or attempt == attempts:
                    raise translate(refusal, doing)
            self.stop.wait(pause_s(attempt))
        raise AssertionError("unreachable")

    def cut(self) -> None:
        """Make every request fail for good, those under way too; returns when none is left."""
        self._is_cut = True
        self.stop.set()
        self._connections.cut_while(lambda: bool(self._busy))

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
            return _refused(error, self._proxy is not None)
        finally:
            self._busy.discard(ticket)

    def _send(self, request: Any, **_: Any) -> Any:
        """Send what botocore has signed; parts and their end may take the store its time."""
        return (self._patient if "uploadId=" in request.url else self._quick).send(request)

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


def _trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))


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


def _refused(error: ClientError, through_proxy: bool) -> Answer:
    told, meta = dict(error.response.get("Error", {})), error.response["ResponseMetadata"]
    if str(told.get("Code", "")).isdecimal():  # botocore's own words for an answer without a body
        told = {}
    status, headers = meta["HTTPStatusCode"], meta.get("HTTPHeaders", {})
    has_words = bool(told.get("Code")) or error.operation_name.startswith("Head")
    if through_proxy and status in _OF_PROXIES and not has_words:
        return Answer(status, headers, ErrorResponse(status))
    return Answer(status, headers, error_of(status, told, headers, time.time()))


def _reason(error: Exception) -> str:
    """What went wrong, in the words of the innermost error that botocore wraps."""
    inner = getattr(error, "kwargs", {}).get("error", error)
    return str(inner) or type(inner).__name__
