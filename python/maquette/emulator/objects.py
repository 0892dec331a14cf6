"""Copies between a data store and a job's volume, as the service makes them."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maquette.emulator.models import DataStoreSource, Volume
from maquette.storage.proxies import proxy_for

AT_ONCE = 8


@dataclass(frozen=True)
class Access:
    """Where a data store answers, and a key pair for it.

    Args:
        is_elsewhere: Else the built-in one, which no proxy could reach.
    """

    endpoint: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)
    is_elsewhere: bool = True


class StoreMissing(Exception):
    """There is no data store of an alias, or no keys for it."""


Stores = Callable[[str], AbstractContextManager[Access]]
FileFacts = dict[str, tuple[int, int]]


@dataclass
class CopyProgress:
    """The progress of a copy, in the service's terms."""

    total: int = 0
    completed: int = 0
    skipped: int = 0
    deleted: int = 0
    failed: int = 0
    bytes: int = 0

    def to_json(self) -> dict[str, int]:
        """The numbers of `dataSync[].status.progress[]`."""
        return {
            "total": self.total,
            "processed": self.completed + self.skipped + self.failed,
            "completed": self.completed,
            "skipped": self.skipped,
            "failed": self.failed,
            "deleted": self.deleted,
            "transferredBytes": self.bytes,
        }


def pull(stores: Stores, volume: Volume, folder: Path, progress: CopyProgress) -> None:
    """Download a volume's objects into its folder; other files there stay.

    Raises:
        StoreMissing: nobody knows the alias.
        botocore.exceptions.ClientError: the store refused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = volume.store
    if source is None:
        return
    with stores(source.alias) as access:
        client = _client(access)
        _ensure_container(client, source.container)
        prefix = _prefix(source)
        keys = _list(client, source.container, prefix)
        progress.total = len(keys)

        def fetch(item: tuple[str, int]) -> None:
            path = folder / item[0].removeprefix(prefix)
            path.parent.mkdir(parents=True, exist_ok=True)
            client.download_file(source.container, item[0], str(path), Config=_transfer())
            progress.completed += 1
            progress.bytes += item[1]

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(fetch, keys))
    fetched = {key.removeprefix(prefix) for key, _ in keys}
    files = {path: facts for path, facts in _files(folder).items() if path in fetched}
    _note(folder, _known(folder) | files)


def push(stores: Stores, volume: Volume, folder: Path, progress: CopyProgress) -> None:
    """Upload a volume's changes to its objects: RO none, RW no deletions, RWD deletions too.

    Raises:
        StoreMissing: nobody knows the alias.
        botocore.exceptions.ClientError: the store refused.
    """
    source = volume.store
    if source is None or volume.permission == "RO":
        return
    before, files = _known(folder), _files(folder)
    changed = [path for path, facts in files.items() if before.get(path) != facts]
    progress.total, progress.skipped = len(files), len(files) - len(changed)
    with stores(source.alias) as access:
        client = _client(access)
        _ensure_container(client, source.container)

        def send(path: str) -> None:
            try:
                key = _prefix(source) + path
                client.upload_file(str(folder / path), source.container, key, Config=_transfer())
            except FileNotFoundError:  # the job removed it meanwhile
                progress.skipped += 1
                return
            progress.completed += 1
            progress.bytes += files[path][0]

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(send, changed))
        if volume.permission == "RWD":
            for path in before.keys() - files.keys():
                client.delete_object(Bucket=source.container, Key=_prefix(source) + path)
                progress.deleted += 1
    _note(folder, files)


def _client(access: Access) -> Any:
    import boto3
    from botocore.config import Config

    proxy = proxy_for(access.endpoint) if access.is_elsewhere else None
    return boto3.client(
        "s3",
        endpoint_url=access.endpoint,
        region_name=access.region,
        aws_access_key_id=access.access_key,
        aws_secret_access_key=access.secret_key,
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"max_attempts": 3},
            max_pool_connections=2 * AT_ONCE,
            proxies={access.endpoint.partition(":")[0]: proxy.url} if proxy else {},
        ),
    )


def _transfer() -> Any:
    """How files move: never by the library that may not know the endpoint."""
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(preferred_transfer_client="classic")


def _prefix(source: DataStoreSource) -> str:
    return f"{source.prefix.rstrip('/')}/" if source.prefix else ""


def _ensure_container(client: Any, name: str) -> None:
    from botocore.exceptions import ClientError

    try:
        client.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") != 404:
            raise
        taken = (client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou)
        with contextlib.suppress(*taken):  # another job made it just now
            client.create_bucket(Bucket=name)


def _list(client: Any, container: str, prefix: str) -> list[tuple[str, int]]:
    found = []
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=container, Prefix=prefix):
        for item in page.get("Contents", ()):
            is_safe = ".." not in item["Key"].split("/") and not item["Key"].endswith("/")
            if is_safe:
                found.append((str(item["Key"]), int(item["Size"])))
    return found


def _files(folder: Path) -> FileFacts:
    found = {}
    for place, _, names in os.walk(folder):
        for path in (Path(place) / name for name in names):
            with contextlib.suppress(FileNotFoundError):  # the job works there meanwhile
                facts = path.lstat()
                if stat.S_ISREG(facts.st_mode):
                    key = path.relative_to(folder).as_posix()
                    found[key] = (facts.st_size, facts.st_mtime_ns)
    return found


def _note(folder: Path, files: FileFacts) -> None:
    """Remember what both sides hold, to tell changes from it later."""
    folder.with_name(f"{folder.name}.json").write_text(json.dumps(files), encoding="utf-8")


def _known(folder: Path) -> FileFacts:
    file = folder.with_name(f"{folder.name}.json")
    content = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return {path: (facts[0], facts[1]) for path, facts in content.items()}
