"""Data stores by alias: endpoint, region and addressing, kept per person and without secrets."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from maquette.addresses import address_parts
from maquette.errors import ConfigError, NotFound
from maquette.person import home
from maquette.scene.atomic import write_json
from maquette.storage.object_store import StoreLocation


@dataclass(frozen=True)
class DataStore:
    """A place that speaks S3.

    Args:
        addressing: Buckets as part of the path or of the host name; auto: host at AWS, else path.
        profile: Of the AWS files, to take the keys from; empty: environment, .env, default.
    """

    endpoint: str
    region: str
    addressing: str = "auto"
    profile: str = ""

    @property
    def location(self) -> StoreLocation:
        """Where its requests go."""
        host = urlsplit(self.endpoint).hostname or ""
        at_aws = host.endswith(".amazonaws.com")
        style = self.addressing if self.addressing != "auto" else "host" if at_aws else "path"
        return StoreLocation(self.endpoint, self.region, style == "host")


def known(file: Path | None = None) -> dict[str, DataStore]:
    """All data stores by alias.

    Raises:
        ConfigError: the file that holds them is damaged.
    """
    file = file or default_file()
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {alias: DataStore(**values) for alias, values in content.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"the list of data stores is damaged: `{file}`",
            detail=str(error),
            hint="correct or delete it, then `maquette datastore add` again",
        ) from error


def add(alias: str, store: DataStore, file: Path | None = None) -> None:
    """Keep a data store under an alias; one of the same name is replaced.

    Raises:
        ConfigError: the endpoint is not one, or holds a password; or the alias is no word.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", alias):
        raise ConfigError(
            f"not a name for a data store: `{alias}`",
            hint="letters, digits, `.`, `_` and `-`, for example NEURALANGELO",
        )
    parts = address_parts(store.endpoint, f"the endpoint of `{alias}`")
    if "@" in store.endpoint:
        raise ConfigError(
            f"the endpoint of `{alias}` holds a user or a password",
            hint="give keys as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or with --profile",
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise ConfigError(
            f"the endpoint of `{alias}` is not an http(s) address: "
            f"`{store.endpoint.partition('?')[0]}`",
            hint="an endpoint looks like https://s3.gra.io.cloud.ovh.net",
        )
    _write({**known(file), alias: store}, file)


def remove(alias: str, file: Path | None = None) -> None:
    """Forget an alias; what it holds stays in the store.

    Raises:
        NotFound: there is no such alias.
    """
    stores = known(file)
    if stores.pop(alias, None) is None:
        raise NotFound(
            f"there is no data store `{alias}`", hint="`maquette datastore list` shows them"
        )
    _write(stores, file)


def find(alias: str, file: Path | None = None) -> DataStore:
    """The data store of an alias.

    Raises:
        NotFound: there is no such alias.
    """
    stores = known(file)
    if alias not in stores:
        raise NotFound(
            f"there is no data store `{alias}`",
            detail=f"there are: {', '.join(sorted(stores)) or 'none'}",
            hint=f"`maquette datastore add {alias} --endpoint https://… --region …`",
        )
    return stores[alias]


def alias_of(endpoint: str, region: str) -> str:
    """The alias under which a place is known here; empty where it is not."""
    place = (endpoint, region)
    found = (alias for alias, one in known().items() if (one.endpoint, one.region) == place)
    return next(found, "")


def default_file() -> Path:
    """The person's own file, outside of any project."""
    base = os.environ.get("XDG_CONFIG_HOME") or home() / ".config"
    return Path(base) / "maquette" / "datastores.json"


def _write(stores: dict[str, DataStore], file: Path | None) -> None:
    write_json(file or default_file(), {alias: asdict(store) for alias, store in stores.items()})
