"""Signed HTTP requests to one store, many at once, over kept connections.

Bulk data goes through here and rare calls through boto3, see docs/decisions/0003-storage.md.
Nothing is ever sent anywhere but the configured endpoint: redirects are not followed, and where a
proxy is set, `boto3_store` goes its way instead.
"""

from __future__ import annotations

import contextlib
import os
import queue
import random
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from maquette.errors import JobFailed
from maquette.storage import signing
from maquette.storage.connection import Connection, Damaged, Response
from maquette.storage.error_responses import ErrorResponse, read_error, translate
from maquette.storage.object_store import ATTEMPTS, Answer, Reader, Stopped, StoreLocation
from maquette.storage.signing import Credentials, KeySource

TIMEOUT_S = 60.0
LONG_TIMEOUT_S = 900.0
_NO_TIMEOUT_S = 24 * 3600.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 4.0
_LOOK_AGAIN_S = 0.02
_MOST_ERROR_BYTES = 1 << 16
_BY_PATH = " else: `maquette datastore add NAME --endpoint … --addressing path`"


@dataclass
class Wire:
    """One store, reachable by any number of threads.

    Args:
        stop: Set it to end waiting and retrying in every thread.
    """

    location: StoreLocation
    keys: KeySource
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        parts = urlsplit(self.location.endpoint)
        self._parts = parts
        self._tls: ssl.SSLContext | None = None
        if parts.scheme == "https":
            self._tls = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
        self._idle: queue.LifoQueue[Connection] = queue.LifoQueue()
        self._busy: set[Connection] = set()
        self._is_cut = False
        self.round_trip_s = 0.0

    @property
    def patience_s(self) -> float:
        """How long to wait for an answer that may take its time: of parts, and of their end.

        A store may put thousands of parts together before it answers; rclone's server keeps the
        answer to one part back while it writes all that came after it. A connection that is lost
        is noticed sooner, see `connection`.
        """
        return _NO_TIMEOUT_S if self.location.is_ours_alone else LONG_TIMEOUT_S

    def request(
        self,
        method: str,
        bucket: str,
        key: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | memoryview = b"",
        reader: Reader | None = None,
        fine: tuple[int, ...] = (),
        attempts: int = ATTEMPTS,
        timeout_s: float = 0.0,
    ) -> Answer:
        """Send a request until it is answered, with growing pauses between the attempts.

        Args:
            key: Of the object; empty for the bucket itself.
            reader: Reads the body of a success; called anew for each attempt. May raise Damaged.
            fine: Error statuses that are an answer, not an error.
            timeout_s: Of each wait for the store; 0: `TIMEOUT_S`.

        Raises:
            MaquetteError: refused for good, or still failing after `attempts`.
            Stopped: `stop` was set, or the wire is cut.
        """
        verb = _VERBS[method] if key or method != "GET" else "listing"
        doing = f"{verb} `s3://{bucket}/{key}`"
        call = _Call(
            method,
            *self._address(bucket, key),
            dict(query or {}),
            dict(headers or {}),
            timeout_s or TIMEOUT_S,
        )
        for attempt in range(1, attempts + 1):
            if self.stop.is_set():
                raise Stopped
            begun, keys = time.monotonic(), self.keys.current()
            try:
                answer = self._once(call, keys, body, reader)
            except (OSError, Damaged) as error:
                if attempt == attempts or isinstance(error, ssl.SSLCertVerificationError):
                    raise self._broken(error, doing, call.host, attempt) from error
            else:
                self.round_trip_s = self.round_trip_s or time.monotonic() - begun
                if answer.status < 300 or answer.status in fine:
                    return answer
                refusal: ErrorResponse = answer.body
                again = refusal.is_transient or (refusal.may_be_expired and self.keys.renew(keys))
                if not again or attempt == attempts:
                    raise translate(refusal, doing)
            self.stop.wait(pause_s(attempt))
        raise AssertionError("unreachable")

    def address_to_read(
        self, bucket: str, key: str, lifetime_s: int, content_type: str = ""
    ) -> str:
        """An address under which anybody may read an object for a while; a secret therefore."""
        host, path = self._address(bucket, key)
        path, now = signing.quoted_path(path), datetime.now(UTC)
        query = signing.signed_query(
            path, host, self.location.region, self.keys.current(), now, lifetime_s, content_type
        )
        return f"{self._parts.scheme}://{host}{path}?{query}"

    def _address(self, bucket: str, key: str) -> tuple[str, str]:
        host, base = self._parts.netloc.rpartition("@")[2], self._parts.path.rstrip("/")
        if self.location.host_style:
            return f"{bucket}.{host}", f"{base}/{key}"
        return host, f"{base}/{bucket}" + (f"/{key}" if key else "")

    def _once(
        self, call: _Call, keys: Credentials, body: bytes | memoryview, reader: Reader | None
    ) -> Answer:
        target, headers = call.signed(self.location.region, keys)
        connection = self._connection(call.host)
        self._busy.add(connection)
        try:
            if self._is_cut:  # asked only now, so that `cut` sees every connection that goes on
                raise Stopped
            response = connection.ask(call.method, target, headers, body, call.timeout_s)
            answer = _read(response, reader)
        except BaseException:
            connection.close()
            raise
        finally:
            self._busy.discard(connection)
        if response.leaves_connection:
            self._idle.put(connection)
        else:
            connection.close()
        return answer

    def _connection(self, host: str) -> Connection:
        with contextlib.suppress(queue.Empty):
            while True:
                kept = self._idle.get_nowait()
                if kept.host == host and not kept.is_lost():
                    return kept
                kept.close()
        return Connection(host, self._tls)

    def cut(self) -> None:
        """Make every request fail for good, those under way too; returns when none is left.

        What was being written may be in the store or not.
        """
        self._is_cut = True
        self.stop.set()
        while self._busy:
            for connection in tuple(self._busy):
                connection.abort()
            time.sleep(_LOOK_AGAIN_S)  # one may just have connected

    def close(self) -> None:
        """Close the kept connections."""
        while not self._idle.empty():
            self._idle.get().close()

    def _broken(self, error: Exception, doing: str, host: str, attempt: int) -> Exception:
        if isinstance(error, OSError) and error.filename is not None:
            return error  # a local file's error, not the network's
        where = f"{self._parts.scheme}://{host}"
        hint = "check endpoint and network, then run the same command again: it continues"
        if isinstance(error, socket.gaierror) and self.location.host_style:
            hint = f"look at the endpoint; does it take buckets in host names?{_BY_PATH}"
        return JobFailed(
            f"the store does not answer as it should, while {doing}",
            detail=f"{where}: {error or type(error).__name__} ({attempt} attempts)",
            hint=hint,
        )


_VERBS = {
    "GET": "reading",
    "HEAD": "looking at",
    "PUT": "writing",
    "DELETE": "removing",
    "POST": "changing",
}


@dataclass(frozen=True)
class _Call:
    method: str
    host: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    timeout_s: float

    def signed(self, region: str, credentials: Credentials) -> tuple[str, dict[str, str]]:
        path, query = signing.quoted_path(self.path), signing.quoted_query(self.query)
        headers = {**self.headers, "host": self.host}
        signed = signing.signed_headers(
            self.method, path, query, headers, region, credentials, datetime.now(UTC)
        )
        return (f"{path}?{query}" if query else path), signed


def _read(response: Response, reader: Reader | None) -> Answer:
    if response.status >= 300:
        body = response.read(_MOST_ERROR_BYTES)
        refusal = read_error(response.status, body, response.headers, time.time())
        return Answer(response.status, response.headers, refusal)
    return Answer(
        response.status, response.headers, reader(response) if reader else response.read()
    )


def pause_s(attempt: int) -> float:
    """How long to wait after an attempt: longer each time, at random so that not all come back."""
    longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt)
    return random.uniform(longest / 2, longest)
