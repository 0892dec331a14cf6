"""Endpoints that hold a bucket already, as consoles show them: every key would go elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from maquette.errors import ConfigError
from maquette.storage.object_store import StoreLocation

# Public services, where a path or a name before the endpoint's own can be nothing but a bucket.
_PUBLIC = (
    "amazonaws.com", "amazonaws.com.cn", "cloud.ovh.net", "cloud.ovh.us", "backblazeb2.com",
    "wasabisys.com", "scw.cloud", "r2.cloudflarestorage.com",
)  # fmt: skip
# Those whose endpoints have no label `s3`, with the number of labels of an endpoint.
_LABELS = {
    "storage.googleapis.com": 3, "digitaloceanspaces.com": 3, "linodeobjects.com": 3,
    "vultrobjects.com": 3, "your-objectstorage.com": 3,
}  # fmt: skip
_SERVICE_LABEL = re.compile(r"(s3|oss|cos)(-.+)?")


@dataclass(frozen=True)
class Held:
    """A bucket, or what looks like one, in an endpoint.

    Attributes:
        endpoint: The same without it.
        is_certain: At this service it can be nothing else.
    """

    bucket: str
    endpoint: str
    is_certain: bool


def held_bucket(endpoint: str) -> Held | None:
    """What in an endpoint looks like a bucket: names before `s3.…`, or the end of its path."""
    parts = urlsplit(endpoint)
    host, path = (parts.hostname or "").rstrip("."), parts.path.strip("/")
    own = _own_labels(host)
    name = host.removesuffix(own).rstrip(".")
    if not name and not path:
        return None
    bare = parts.netloc.rpartition("@")[2]
    bare = bare[len(name) + 1 :] if name else bare
    base = "" if name else f"/{path}".rpartition("/")[0]
    bucket = name or path.rpartition("/")[2]
    return Held(bucket, f"{parts.scheme}://{bare}{base}", _ends_with(host, (*_PUBLIC, *_LABELS)))


def require_without_bucket(location: StoreLocation, bucket: str) -> None:
    """Refuse an endpoint that holds the bucket, before anything goes there.

    Raises:
        ConfigError: it does.
    """
    held = held_bucket(location.endpoint)
    doubled = location.host_style and _host(location.endpoint).startswith(f"{bucket}.")
    if held and (held.is_certain or held.bucket == bucket):
        raise ConfigError(
            f"the endpoint of the data store holds the bucket `{held.bucket}` already: "
            f"`{without_password(location.endpoint)}`",
            detail="data would land under wrong keys: an endpoint is the service's alone",
            hint=f"`maquette datastore add ALIAS --endpoint {held.endpoint} --region …`, "
            f"then BUCKET_NAME={held.bucket}",
        )
    if doubled:
        raise ConfigError(
            f"the endpoint of the data store begins with the bucket `{bucket}` already: "
            f"`{without_password(location.endpoint)}`",
            hint="`maquette datastore add ALIAS --endpoint …` without it: it is put there",
        )


def without_password(endpoint: str) -> str:
    """An endpoint as it may be shown."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _own_labels(host: str) -> str:
    """The part of a host that is the service's own name."""
    labels = host.split(".")
    if "vpce" in labels or re.fullmatch(r"[\d.]+|.*:.*", host):
        return host
    for suffix, count in _LABELS.items():
        if _ends_with(host, (suffix,)):
            return ".".join(labels[-count:])
    found = (i for i, label in enumerate(labels[:-1]) if _SERVICE_LABEL.fullmatch(label))
    return ".".join(labels[next(found, 0) :])


def _ends_with(host: str, suffixes: tuple[str, ...]) -> bool:
    return any(host == suffix or host.endswith(f".{suffix}") for suffix in suffixes)


def _host(endpoint: str) -> str:
    return urlsplit(endpoint).hostname or ""
