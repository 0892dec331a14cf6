"""What a store's refusals mean: every provider word, in one table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from html import unescape

from maquette.counting import counted
from maquette.errors import (
    ConfigError,
    CredentialsError,
    JobFailed,
    MaquetteError,
    NotFound,
)

_KEYS = "check the access key and the secret key (`maquette datastore check`)"
_RIGHTS = "ask for the right to read, write, list and delete in this bucket"
_NEW_KEYS = "log in again, or get new keys; then the same command goes on where it stopped"
_SPACE = "delete something there (`make clear-data MODEL=…`) or order more, then the same command"
_ACCOUNT = "look at the account at the provider: it answers so for bills and suspended accounts"
_LOOK = (
    "`maquette datastore check ALIAS` looks closer; the same command alone would end in the same"
)
_REGION = "give the bucket's own region: `maquette datastore add NAME --endpoint … --region …`"

_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired")

_BY_CODE: dict[str, tuple[type[MaquetteError], str, str]] = {
    "InvalidAccessKeyId": (CredentialsError, "the store does not know the access key", _KEYS),
    "SignatureDoesNotMatch": (CredentialsError, "the secret key does not fit", _KEYS),
    "InvalidToken": (CredentialsError, "the session token is refused", _KEYS),
    **dict.fromkeys(_EXPIRED, (CredentialsError, "the session token has expired", _NEW_KEYS)),
    "AccessDenied": (CredentialsError, "this key may not do that", _RIGHTS),
    "AllAccessDisabled": (CredentialsError, "all access is switched off there", _RIGHTS),
    "QuotaExceeded": (CredentialsError, "the store's quota is used up", _SPACE),
    "InsufficientStorage": (CredentialsError, "the store is full", _SPACE),
    "TooManyBuckets": (
        CredentialsError,
        "the account may have no more buckets",
        "set BUCKET_NAME= to one that is there, or remove one",
    ),
    "AccountProblem": (CredentialsError, "the account is not served", _ACCOUNT),
    "RefusedKey": (CredentialsError, "the store can do nothing with these keys", _KEYS),
    "RequestExpired": (
        JobFailed,
        "the request came when its signature had expired",
        "set the clock (`timedatectl set-ntp true`); if it is right, something on the way to the "
        "store holds requests back",
    ),
    "EntityTooLarge": (
        JobFailed,
        "the store takes no file as large as this",
        "leave it out with a line in `.maquetteignore`, or take another data store",
    ),
    "MethodNotAllowed": (
        ConfigError,
        "what answers there does not do that",
        "is it the address of an S3 service? `maquette datastore list` shows it",
    ),
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
        "look at BUCKET_NAME; if it is right, the store may want the other --addressing "
        "(path or host): `maquette datastore add NAME --endpoint … --addressing …`",
    ),
    "AccessControlListNotSupported": (
        ConfigError,
        "the bucket takes no access lists, so nothing in it can be made public one by one",
        "let everybody read the prefix by a bucket policy, or publish without PUBLIC=1",
    ),
    "NoSuchKey": (NotFound, "there is no such object", "look with `make pull-data DRY_RUN=1`"),
}
_BY_STATUS = {
    301: "PermanentRedirect",
    307: "TemporaryRedirect",
    401: "AccessDenied",
    402: "AccountProblem",
    403: "AccessDenied",
    404: "NoSuchKey",
    405: "MethodNotAllowed",
    413: "EntityTooLarge",
    507: "InsufficientStorage",
}
_VAGUE = "RefusedKey"
_OF_KEYS = r"access.?key|credential|security|signature|authenticat|client.?token"
# What stores call the same, each in its own words; the first that fits counts.
_BY_WORDS = (
    (r"quota|(storage|transaction|download|usage).?cap|storage.?full", "QuotaExceeded"),
    (r"insufficient.?(storage|capacity|space)|no.?space", "InsufficientStorage"),
    (r"too.?many.?buckets", "TooManyBuckets"),
    (
        r"billing|payment|suspended|not.?signed.?up|account.*(disabled|closed|inactive)",
        "AccountProblem",
    ),
    (r"expired.*token|token.*expired", "ExpiredToken"),
    (r"(request|signature|policy).*expired|expired.*(request|signature)", "RequestExpired"),
    (r"too.?large|max.*size", "EntityTooLarge"),
    (_OF_KEYS, _VAGUE),
)
_UNSURE = (400, 401, 402, 403, 409, 413, 507)  # statuses where such words are looked for
TRANSIENT_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
TRANSIENT_CODES = frozenset({"SlowDown", "RequestTimeout", "BadDigest", "IncompleteBody"})


@dataclass(frozen=True)
class ErrorResponse:
    """A store's error answer.

    Args:
        region: The one that the store says is right; empty when it says none.
        endpoint: The one that the store says is right, without the bucket's name.
        clock_ahead_s: By how much this machine's clock is ahead of the store's.
    """

    status: int
    code: str = ""
    message: str = ""
    region: str = ""
    endpoint: str = ""
    clock_ahead_s: float = 0.0

    @property
    def is_transient(self) -> bool:
        """Whether the same request may succeed a moment later."""
        return self.status in TRANSIENT_STATUSES or self.code in TRANSIENT_CODES

    @property
    def may_be_expired(self) -> bool:
        """Whether newer keys may help; an answer to HEAD has no words."""
        said = _known_code(self) in _EXPIRED
        return said or (not self.message and self.status in (400, 401, 403))


def read_error(status: int, body: bytes, headers: Mapping[str, str], now_s: float) -> ErrorResponse:
    """Take the store's own words out of an error answer; without words, its status gives them.

    Args:
        headers: Lower-case names.
        now_s: This machine's time, Unix seconds.
    """
    text = body.decode("utf-8", errors="replace")
    names = ("Code", "Message", "Region", "Endpoint", "Bucket")
    return error_of(status, {name: _element(text, name) for name in names}, headers, now_s)


def error_of(
    status: int, told: Mapping[str, str], headers: Mapping[str, str], now_s: float
) -> ErrorResponse:
    """Put a refusal together out of the elements of an error answer and its headers."""
    region = _plain(headers.get("x-amz-bucket-region") or told.get("Region", ""))
    code = told.get("Code") or _BY_STATUS.get(status, "")
    if not code and status == 400 and region:
        code = "AuthorizationHeaderMalformed"  # an answer to HEAD has no body
    return ErrorResponse(
        status,
        code,
        told.get("Message", ""),
        region,
        _plain(told.get("Endpoint", "").removeprefix(f"{told.get('Bucket', '')}.")),
        now_s - _time_of(headers.get("date", ""), now_s),
    )


def translate(response: ErrorResponse, doing: str) -> MaquetteError:
    """Turn a refusal into a sentence; unknown words survive.

    Args:
        doing: What was asked for, as in "listing `s3://bucket/owl`".
    """
    own = f"{response.status} {response.code}: {response.message}".rstrip(": ")
    code = _known_code(response)
    if code in _BY_CODE:
        kind, sentence, hint = _BY_CODE[code]
        if code == "RequestTimeTooSkewed":
            sentence = _skew(response.clock_ahead_s) or sentence
        elif hint == _REGION:
            hint = _place_of(response) or hint
        return kind(f"{sentence}, while {doing}", detail=f"the store says: {own}", hint=hint)
    if response.status in (401, 403):
        return CredentialsError(f"the store refused while {doing}: {own}", hint=_RIGHTS)
    hint = "run the same command again: it continues" if response.is_transient else _LOOK
    return JobFailed(f"the store refused while {doing}: {own}", hint=hint)


def _known_code(response: ErrorResponse) -> str:
    """The word of our table for a refusal: its own, or the one that says the same."""
    code, told = response.code, f"{response.code} {response.message}".lower()
    if code == "AuthorizationHeaderMalformed" and not response.region:
        names_keys = re.search(_OF_KEYS, response.message.lower()) and "region" not in told
        return _VAGUE if names_keys else code
    if (code in _BY_CODE and code != "AccessDenied") or response.status not in _UNSURE:
        return code
    by_status = _BY_STATUS[response.status] if response.status in (402, 413, 507) else code
    found = next((known for words, known in _BY_WORDS if re.search(words, told)), by_status)
    return code if code == "AccessDenied" and found == _VAGUE else found


def _place_of(response: ErrorResponse) -> str:
    """How to go where the store points to; never done unasked."""
    endpoint, region = response.endpoint, response.region
    named = (("region", region), ("endpoint", endpoint))
    said = ", ".join(f"{name} {value}" for name, value in named if value)
    if not said:
        return ""
    words = f"--endpoint https://{endpoint or '…'} --region {region or '…'}"
    return f"it says: {said}; `maquette datastore add NAME {words}`"


def _skew(ahead_s: float) -> str:
    minutes = round(abs(ahead_s) / 60)
    if not minutes:
        return ""
    way = "ahead of" if ahead_s > 0 else "behind"
    return f"this machine's clock is {counted(minutes, 'minute')} {way} the store's"


def _time_of(date: str, now_s: float) -> float:
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return now_s


def _plain(text: str) -> str:
    """A region or host as the store gave it, if it is plain enough to be shown in a command."""
    return text if re.fullmatch(r"[A-Za-z0-9.:-]{1,100}", text) else ""


def _element(text: str, name: str) -> str:
    match = re.search(rf"<{name}>([^<]*)</{name}>", text)
    return unescape(match.group(1)).strip() if match else ""
