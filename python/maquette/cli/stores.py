"""Commands about data stores, and about the store that is built in."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from maquette.cli.arguments import AsJson, SettingWords

if TYPE_CHECKING:
    from pathlib import Path


class Addressing(StrEnum):
    """Where a bucket's name goes; auto: into the host name at AWS, else into the path."""

    AUTO = "auto"
    PATH = "path"
    HOST = "host"


Alias = Annotated[str, typer.Argument(help="the data store's name, e.g. NEURALANGELO")]
Endpoint = Annotated[str, typer.Option(help="e.g. https://s3.gra.io.cloud.ovh.net")]
Region = Annotated[str, typer.Option(help="e.g. gra, eu-west-1")]
AddressingOption = Annotated[Addressing, typer.Option(help="where the bucket's name goes")]
Profile = Annotated[str, typer.Option(help="take the keys from this profile of ~/.aws")]


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    group = typer.Typer(help="Data stores by alias (DATASTORE=alias).", no_args_is_help=True)
    group.command("add")(add)
    group.command("list")(list_stores)
    group.command("check")(check)
    group.command("remove")(remove)
    app.add_typer(group, name="datastore")
    app.command("store")(store)


def add(
    alias: Alias,
    endpoint: Endpoint,
    region: Region = "us-east-1",
    addressing: AddressingOption = Addressing.AUTO,
    profile: Profile = "",
) -> None:
    """Keep a data store under an alias; keys stay in the environment, .env or a profile."""
    from maquette.storage import datastores
    from maquette.storage.endpoints import held_bucket

    datastores.add(alias, datastores.DataStore(endpoint, region, addressing.value, profile))
    if held := held_bucket(endpoint):
        print(
            f"warning: `{held.bucket}` in this endpoint looks like a bucket: if it is one, give "
            f"--endpoint {held.endpoint}, and BUCKET_NAME={held.bucket} with push and pull",
            file=sys.stderr,
        )
    print(f"{alias}: {endpoint}, region {region}; kept in {datastores.default_file()}")
    print(f"try it: maquette datastore check {alias}")


def list_stores(as_json: AsJson = False) -> None:
    """List the data stores."""
    from dataclasses import asdict

    from maquette.storage import datastores
    from maquette.ui.tables import print_rows

    known = datastores.known()
    if as_json:
        print(json.dumps({alias: asdict(item) for alias, item in known.items()}))
    elif not known:
        print("no data stores; push and pull use the built-in one (`maquette store`)")
    else:
        rows = [(alias, *map(str, asdict(item).values())) for alias, item in known.items()]
        print_rows(("alias", "endpoint", "region", "addressing", "profile"), rows)


def check(alias: Alias, settings: SettingWords = None) -> None:
    """Write, read, list and remove a test object; say what fails and why."""
    from maquette.config.loading import load
    from maquette.storage.scene_bucket import opened
    from maquette.storage.store_check import check

    chosen = load([f"DATASTORE={alias}", *(settings or ())])
    with opened(chosen.data) as bucket:
        for said in check(bucket):
            print(said)
    print(f"{alias} works")


def remove(alias: Alias) -> None:
    """Forget an alias; what the store holds stays there."""
    from maquette.storage import datastores

    datastores.remove(alias)
    print(f"{alias} is forgotten; its buckets are untouched")


def store(settings: SettingWords = None, as_json: AsJson = False) -> None:
    """Show where the built-in store keeps its buckets, and how much is in them."""
    from maquette.config.loading import load
    from maquette.errors import shown_path
    from maquette.storage.scene_bucket import STORE_FOLDER, uses_embedded_store
    from maquette.ui import text
    from maquette.ui.tables import print_rows

    chosen = load(settings or ())
    folder = (chosen.base_dir / STORE_FOLDER).resolve()
    used = uses_embedded_store(chosen.data)
    buckets = [_facts(path) for path in sorted((folder / "buckets").glob("*")) if path.is_dir()]
    if as_json:
        print(json.dumps({"folder": str(folder), "is_used": used, "buckets": buckets}))
        return
    print(f"built-in store: {shown_path(folder)}/buckets, one folder per bucket")
    print("an S3 server on this machine alone, started by push and pull, stopped when they end")
    if not used:
        print(f"not used now: DATASTORE={chosen.datastore} is a data store")
    if buckets:
        rows = [(str(b["name"]), str(b["files"]), text.size(float(b["bytes"]))) for b in buckets]
        print_rows(("bucket", "files", "size"), rows)


def _facts(bucket: Path) -> dict[str, str | int]:
    files = [path for path in bucket.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    return {"name": bucket.name, "files": len(files), "bytes": size}
