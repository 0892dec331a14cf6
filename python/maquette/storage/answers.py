"""What a store's refusals mean: every provider word, in one table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape

from maquette.errors import (
    ConfigError,
    CredentialsError,
    JobFailed,
    MaquetteError,
    NotFound,
)

_KEYS = "check the access key and the secret key (`maquette datastore check`)"
_RIGHTS = "ask for the right to read, write, list and delete in this bucket"
_REGION = "give the bucket's own region: `maquette datastore add NAME --endpoint … --region …`"

_WORDS: dict[str, tuple[type[MaquetteError], str, str]] = {
    "InvalidAccessKeyId": (CredentialsError, "the store does not know the access key", _KEYS),
    "SignatureDoesNotMatch": (CredentialsError, "the secret key does not fit", _KEYS),
    "InvalidToken": (CredentialsError, "the session token is refused", _KEYS),
    "ExpiredToken": (CredentialsError, "the session token has expired", "log in again"),
    "AccessDenied": (CredentialsError, "this key may not do that", _RIGHTS),
    "AllAccessDisabled": (CredentialsError, "all access is switched off there", _RIGHTS),
    "QuotaExceeded": (CredentialsError, "the store's quota is used up", "delete or order space"),
    "RequestTimeTooSkewed": (
        ConfigError,
        "this machine's clock differs too much from the store's",
        "set the clock (`timedatectl set-ntp true`), then run the same command again",
    ),
    "AuthorizationHeaderMalformed": (ConfigError, "the region is wrong", _REGION),
    "IllegalLocationConstraintException": (ConfigError, "the region is wrong", _REGION),
    "InvalidLocationConstraint": (ConfigError, "the region is wrong", _REGION),
    "PermanentRedirect": (ConfigError, "the bucket lives at another endpoint", _REGION),
    "TemporaryRedirect": (ConfigError, "the bucket lives at another endpoint", _REGION),
    "InvalidBucketName": (
        ConfigError,
        "the bucket's name is not allowed",
        "set BUCKET_NAME= to 3 to 63 lower-case letters, digits and dashes",
    ),
    "BucketAlreadyExists": (
        ConfigError,
        "the bucket's name is taken by somebody else",
        "set BUCKET_NAME= to another name",
    ),
    "NoSuchBucket": (
        NotFound,
        "there is no such bucket",
        "`make push-data` makes it; or set BUCKET_NAME=",
    ),
    "NoSuchKey": (NotFound, "there is no such object", "look with `make pull-data DRY_RUN=1`"),
}
_BY_STATUS = {
    301: "PermanentRedirect",
    307: "TemporaryRedirect",
    401: "AccessDenied",
    403: "AccessDenied",
    404: "NoSuchKey",
}
PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
PASSING_WORDS = frozenset({"SlowDown", "RequestTimeout", "BadDigest", "IncompleteBody"})


@dataclass(frozen=True)
class Refusal:
    """A store's error answer."""

    status: int
    word: str = ""
    message: str = ""

    @property
    def is_passing(self) -> bool:
        """Whether the same request may succeed a moment later."""
        return self.status in PASSING_STATUSES or self.word in PASSING_WORDS


def read_refusal(status: int, body: bytes) -> Refusal:
    """Take the store's own words out of an error body; an empty one gives those of its status."""
    text = body.decode("utf-8", errors="replace")
    return Refusal(
        status, _element(text, "Code") or _BY_STATUS.get(status, ""), _element(text, "Message")
    )


def explain(refusal: Refusal, doing: str) -> MaquetteError:
    """Turn a refusal into a sentence; unknown words survive.

    Args:
        doing: What was asked for, as in "listing `s3://bucket/owl`".
    """
    own = f"{refusal.status} {refusal.word}: {refusal.message}".rstrip(": ")
    if refusal.word in _WORDS:
        kind, sentence, hint = _WORDS[refusal.word]
        return kind(f"{sentence}, while {doing}", detail=f"the store says: {own}", hint=hint)
    return JobFailed(
        f"the store refused while {doing}: {own}",
        hint="run the same command again: it continues; `maquette datastore check` looks closer",
    )


def _element(text: str, name: str) -> str:
    match = re.search(rf"<{name}>([^<]*)</{name}>", text)
    return unescape(match.group(1)).strip() if match else ""
