"""INPUT=s3://…: the address, and where its objects lie once they have been brought here; pure."""

from __future__ import annotations

import hashlib
from pathlib import Path

from maquette.errors import ConfigError

SCHEME = "s3://"


def is_bucket_address(text: str) -> bool:
    """Whether an input names objects in a bucket."""
    return text.lower().startswith(SCHEME)


def split(url: str) -> tuple[str, str]:
    """Bucket and key (or prefix, without its last slash) of an address.

    Raises:
        ConfigError: no bucket is named.
    """
    bucket, _, key = url[len(SCHEME) :].partition("/")
    if not bucket:
        raise ConfigError(f"INPUT={url} names no bucket", hint="INPUT=s3://bucket/prefix")
    return bucket, key.strip("/")


def folder_of(scene: Path, url: str) -> Path:
    """The folder, in the scene, for the objects of an address."""
    return scene / ".maquette" / "input" / hashlib.sha256(url.encode()).hexdigest()[:12]


def place_of(scene: Path, url: str) -> Path:
    """What the step reads: the one file when the key has a suffix, else the folder."""
    name = split(url)[1].rpartition("/")[2]
    return folder_of(scene, url) / name if Path(name).suffix else folder_of(scene, url)
