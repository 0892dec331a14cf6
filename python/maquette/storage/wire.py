"""Signed HTTP requests to one store, many at once, over kept connections.

Bulk data goes through here and rare calls through boto3, see docs/decisions/0003-storage.md.
Nothing is ever sent anywhere but the configured endpoint: redirects and proxies are not followed.
"""

from __future__ import annotations

import http.client
import os
import queue
import random
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from maquette.errors import ConfigError, JobFailed
from maquette.storage import signing
from maquette.storage.answers import Refusal, explain, read_refusal
from maquette.storage.signing import Credentials

ATTEMPTS = 8
TIMEOUT_S = 60.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 4.0
_MOST_ERROR_BYTES = 1 << 16

Reader = Callable[[http.client.HTTPResponse], Any]


class Damaged(Exception):
    """What came is not what was sent: truncated, or its checksum differs. Worth another try."""


class Stopped(Exception):
    """The whole transfer ends, so this request is not begun or repeated."""


@dataclass(frozen=True)
class Place:
    """Where a store answers.

    Args:
        host_style: Buckets are host names, not part of the path.
        identity: What stays the same when the endpoint moves; empty: the endpoint.
    """

    endpoint: str
    region: str = "us-east-1"
    host_style: bool = False
    identity: str = ""


@dataclass(frozen=True)
class Answer:
    """A store's answer; `body` is what the reader made of it."""

    status: int
    headers: Mapping[str, str]
    body: Any = b""

    @property
    def etag(self) -> str:
        return self.headers.get("etag", "").strip('"')


@dataclass
class Wire:
    """One store, reachable by any number of threads.

    Args:
        stop: Set it to end waiting and retrying in every thread.
    """

    place: Place
    credentials: Credentials
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        parts = urlsplit(self.place.endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise ConfigError(
                f"not an endpoint: `{parts.scheme}://{parts.netloc.rpartition('@')[2]}`",
                hint="an endpoint looks like https://s3.gra.io.cloud.ovh.net",
            )
        self._parts = parts
        self._tls: ssl.SSLContext | None = None
        if parts.scheme == "https":
            self._tls = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
        self._idle: queue.LifoQueue[tuple[str, http.client.HTTPConnection]] = queue.LifoQueue()
        self.round_trip_s = 0.0

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
    ) -> Answer:
        """Send a request until it is answered, with growing pauses between the attempts.

        Args:
            key: Of the object; empty for the bucket itself.
            reader: Reads the body of a success; called anew for each attempt. May raise Damaged.
            fine: Error statuses that are an answer, not an error.

        Raises:
            MaquetteError: refused for good, or still failing after `attempts`.
            Stopped: `stop` was set.
        """
        doing = f"{_VERBS[method]} `s3://{bucket}/{key}`"
        call = _Call(method, *self._address(bucket, key), dict(query or {}), dict(headers or {}))
        for attempt in range(1, attempts + 1):
            if self.stop.is_set():
                raise Stopped
            begun = time.monotonic()
            try:
                answer = self._once(call, body, reader)
            except (OSError, http.client.HTTPException, Damaged) as error:
                if attempt == attempts or isinstance(error, ssl.SSLCertVerificationError):
                    raise self._broken(error, doing, attempt) from error
            else:
                self.round_trip_s = self.round_trip_s or time.monotonic() - begun
                if answer.status < 300 or answer.status in fine:
                    return answer
                refusal: Refusal = answer.body
                if not refusal.is_passing or attempt == attempts:
                    raise explain(refusal, doing)
            self.stop.wait(_pause_s(attempt))
        raise AssertionError("unreachable")

    def _address(self, bucket: str, key: str) -> tuple[str, str]:
        host, base = self._parts.netloc.rpartition("@")[2], self._parts.path.rstrip("/")
        if self.place.host_style:
            return f"{bucket}.{host}", f"{base}/{key}"
        return host, f"{base}/{bucket}" + (f"/{key}" if key else "")

    def _once(self, call: _Call, body: bytes | memoryview, reader: Reader | None) -> Answer:
        target, headers = call.signed(self.place.region, self.credentials)
        connection = self._connection(call.host)
        try:
            # A store that refuses early answers, then hangs up: its answer is still to be read.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(call.method, target, body or None, headers)
            response = connection.getresponse()
            answer = _read(response, reader)
        except BaseException:
            connection.close()
            raise
        if response.will_close or not response.isclosed():
            connection.close()
        else:
            self._idle.put((call.host, connection))
        return answer

    def _connection(self, host: str) -> http.client.HTTPConnection:
        try:
            kept_host, connection = self._idle.get_nowait()
        except queue.Empty:
            pass
        else:
            if kept_host == host:
                return connection
            connection.close()
        if self._tls is None:
            return http.client.HTTPConnection(host, timeout=TIMEOUT_S, blocksize=1 << 18)
        return http.client.HTTPSConnection(
            host, timeout=TIMEOUT_S, context=self._tls, blocksize=1 << 18
        )

    def close(self) -> None:
        """Close the kept connections."""
        while not self._idle.empty():
            self._idle.get()[1].close()

    def _broken(self, error: Exception, doing: str, attempt: int) -> Exception:
        if isinstance(error, OSError) and error.filename is not None:
            return error  # a local file's error, not the network's
        return JobFailed(
            f"the store does not answer as it should, while {doing}",
            detail=f"{self.place.endpoint}: {error or type(error).__name__} ({attempt} attempts)",
            hint="check endpoint and network, then run the same command again: it continues",
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

    def signed(self, region: str, credentials: Credentials) -> tuple[str, dict[str, str]]:
        path, query = signing.quoted_path(self.path), signing.quoted_query(self.query)
        headers = {**self.headers, "host": self.host}
        signed = signing.signed_headers(
            self.method, path, query, headers, region, credentials, datetime.now(UTC)
        )
        return (f"{path}?{query}" if query else path), signed


def _read(response: http.client.HTTPResponse, reader: Reader | None) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    if response.status >= 300:
        refusal = read_refusal(response.status, response.read(_MOST_ERROR_BYTES))
        return Answer(response.status, headers, refusal)
    body = reader(response) if reader else response.read()
    return Answer(response.status, headers, body)


def _pause_s(attempt: int) -> float:
    """Grow from pause to pause, at random so that threads do not come back all at once."""
    longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt)
    return random.uniform(longest / 2, longest)
