"""AWS Signature Version 4, as every S3 store expects it; pure.

Source: Amazon S3 API reference, "Authenticating Requests: Using the Authorization Header";
differs: the payload is not hashed, Content-MD5 guards it and is itself signed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Protocol
from urllib.parse import quote

UNSIGNED = "UNSIGNED-PAYLOAD"


@dataclass(frozen=True)
class Credentials:
    """A key pair; its text forms never show the secret parts.

    Args:
        token: Of a session; empty for keys that last.
        expires_at: When it ends, with a time zone; None where nobody told.
    """

    access_key: str
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)
    expires_at: datetime | None = field(default=None, compare=False)

    def current(self) -> Credentials:
        """Itself: a `KeySource` that never changes."""
        return self

    def renew(self, used: Credentials) -> bool:
        """There is nothing to look for."""
        return False


class KeySource(Protocol):
    """Where requests take their keys from, each time anew: those of a session end."""

    def current(self) -> Credentials:
        """The keys to sign with now; any thread may ask.

        Raises:
            CredentialsError: they have ended, and no others are found.
        """

    def renew(self, used: Credentials) -> bool:
        """Look for others where a store says that those `used` have ended; whether there are."""


def quoted_path(path: str) -> str:
    """Encode an absolute path once, as S3 does: all but letters, digits and `-._~/`."""
    return quote(path, safe="/-._~")


def quoted_query(query: Mapping[str, str]) -> str:
    """Encode a query in the order the signature needs."""
    return "&".join(
        f"{quote(key, safe='-._~')}={quote(value, safe='-._~')}"
        for key, value in sorted(query.items())
    )


def signed_headers(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    region: str,
    credentials: Credentials,
    now: datetime,
) -> dict[str, str]:
    """Return the headers of a request with its signature added.

    Args:
        path: Already encoded, see `quoted_path`.
        query: Already encoded and sorted, see `quoted_query`.
        headers: Lower-case names; must hold `host`. All of them are signed.
        now: UTC.
    """
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    signed = {**headers, "x-amz-date": stamp, "x-amz-content-sha256": UNSIGNED}
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(signed))
    lines = [f"{name}:{' '.join(signed[name].split())}" for name in sorted(signed)]
    canonical = "\n".join([method, path, query, *lines, "", names, UNSIGNED])
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    signature = _signature(canonical, stamp, region, credentials)
    signed["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope},"
        f"SignedHeaders={names},Signature={signature}"
    )
    return signed


def signed_query(
    path: str,
    host: str,
    region: str,
    credentials: Credentials,
    now: datetime,
    lifetime_s: int,
    content_type: str = "",
) -> str:
    """Return the query with which anybody may GET an object, once or often, for a while.

    Source: Amazon S3 API reference, "Authenticating Requests: Using Query Parameters".

    Args:
        path: Already encoded, see `quoted_path`.
        now: UTC.
        lifetime_s: At most a week.
        content_type: That the answer is to have, whatever the object was written with.
    """
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    given = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{credentials.access_key}/{stamp[:8]}/{region}/s3/aws4_request",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(lifetime_s),
        "X-Amz-SignedHeaders": "host",
    }
    if content_type:
        given["response-content-type"] = content_type
    if credentials.token:
        given["X-Amz-Security-Token"] = credentials.token
    query = quoted_query(given)
    canonical = "\n".join(["GET", path, query, f"host:{host}", "", "host", UNSIGNED])
    return f"{query}&X-Amz-Signature={_signature(canonical, stamp, region, credentials)}"


def _signature(canonical: str, stamp: str, region: str, credentials: Credentials) -> str:
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, digest])
    return _mac(_signing_key(credentials.secret_key, stamp[:8], region), text).hex()


@lru_cache(maxsize=8)
def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = _mac(key, part)
    return key


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
