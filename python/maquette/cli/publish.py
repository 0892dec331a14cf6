"""`maquette publish` and `maquette unpublish`: share a scene with a link, and take it back."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from maquette.cli.arguments import AsJson, SettingWords, load_settings
from maquette.cli.workspaces import require_scene
from maquette.errors import ConfigError, NotFound, UsageError, shown_path

if TYPE_CHECKING:
    from maquette.config.settings import Settings
    from maquette.publishing.site import Site
    from maquette.scene.data_location import DataLocation
    from maquette.storage.object_store import ObjectStore

_BUCKET = r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?"


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    app.command("publish")(publish)
    app.command("unpublish")(unpublish)


def publish(settings: SettingWords = None, as_json: AsJson = False) -> None:
    """Write MODEL as a web site to TO (a folder or s3://bucket/prefix), or as one HTML file."""
    from maquette.publishing.options import PublishOptions

    chosen = load_settings(settings, PublishOptions)
    require_scene(chosen)
    if not (chosen.to or chosen.html):
        raise UsageError(
            "TO= says where to publish, and was not given",
            hint=f"make publish MODEL={chosen.model} TO=s3://bucket/prefix, TO=folder, or HTML=1",
        )
    is_remote = chosen.to.startswith("s3://")
    if chosen.html and is_remote:
        raise UsageError("HTML=1 writes a file here", hint="leave out HTML=1, or give TO=owl.html")
    if chosen.public and not is_remote:
        raise UsageError(
            "PUBLIC=1 is about a bucket; who reads a folder is decided by who serves it",
            hint="leave it out, or give TO=s3://bucket/prefix",
        )
    if is_remote:
        _require_bucket(chosen.data)
        _confirm_public(chosen)
    site = _site(chosen)
    result = _to_bucket(chosen, site) if is_remote else _to_disk(chosen, site)
    _notify(chosen, result)
    _tell(chosen, result, as_json)


def unpublish(settings: SettingWords = None, as_json: AsJson = False) -> None:
    """Remove exactly what publish wrote, at TO or where MODEL is published."""
    from maquette.publishing import folder, record
    from maquette.scene.paths import Scene

    chosen = load_settings(settings)
    scene = Scene(chosen.scene_dir)
    place = _place(record.places(scene), chosen)
    to = place["to"]
    if to.startswith("s3://"):
        from maquette.publishing import bucket

        data = _data(chosen, place["datastore"])
        _require_bucket(data)
        with _opened(data, to) as opened:
            known = bucket.read(opened)
            kept = bucket.remove(opened, known) if known else []
    else:
        known = folder.read(Path(to))
        kept = folder.remove(Path(to), known) if known else []
    if known is None:
        raise NotFound(
            f"nothing is published at `{to}`", hint="TO= names the place; `make publish` told it"
        )
    record.note_place(scene, to, place["datastore"], is_there=False)
    removed = len(known.files) - len(kept)
    if as_json:
        print(json.dumps({"removed": removed, "kept": kept, "to": to}))
        return
    print(f"removed {removed} files of `{known.model}` from {to}")
    for name in kept:
        print(f"kept {name}: it was changed since", file=sys.stderr)


def _place(places: list[dict[str, str]], settings: Settings) -> dict[str, str]:
    """Where to unpublish: at TO, or at the only place that is known.

    Raises:
        NotFound: none is known.
        UsageError: there are several.
    """
    model, to = settings.model, settings.to
    if to:
        here = to if to.startswith("s3://") else str(Path(to).expanduser().resolve())
        named = [place for place in places if place["to"] == here]
        return named[0] if named else {"to": here, "datastore": settings.datastore}
    if not places:
        raise NotFound(f"`{model}` is published nowhere that is known here", hint="give TO=")
    if len(places) > 1:
        raise UsageError(
            f"`{model}` is published at {len(places)} places",
            detail="\n".join(place["to"] for place in places),
            hint=f"make unpublish MODEL={model} TO={places[-1]['to']}",
        )
    return places[0]


def _data(settings: Settings, datastore: str) -> DataLocation:
    """Where to look: in the data store that is asked for, else in the one published to."""
    asked = "DATASTORE" in settings.sources
    return settings.data if asked else replace(settings.data, chosen_datastore=datastore)


def _site(settings: Settings) -> Site:
    from maquette.pipelines.options import parse_size
    from maquette.publishing.choosing import chosen
    from maquette.publishing.options import PublishOptions
    from maquette.publishing.site import compose
    from maquette.scene.paths import Scene
    from maquette.viewer import page_data, web_build

    options, scene = settings.of(PublishOptions), Scene(settings.scene_dir)
    page = web_build.build()
    pipelines = [settings.pipeline] if "PIPELINE" in settings.sources else []
    manifest = page_data.renewed(scene, pipelines)
    files = chosen(manifest, parse_size(options.size_limit), best_only=settings.html)
    if options.content_license:
        files["license"] = options.content_license
    return compose(scene, files, page)


def _to_disk(settings: Settings, site: Site) -> dict[str, Any]:
    from maquette.publishing import folder, record
    from maquette.publishing.single_file import everything_in_one
    from maquette.scene.atomic import replacing
    from maquette.scene.paths import Scene

    if not settings.html:
        target = Path(settings.to).expanduser()
        made = folder.write(site, target, settings.model)
        to = str(target.resolve())
        record.note_place(Scene(settings.scene_dir), to, settings.datastore, is_there=True)
        return {"to": settings.to, "files": len(made.files), "bytes": _bytes_in(target, made.files)}
    target = Path(settings.to or f"{settings.model}.html").expanduser()
    if target.is_dir():
        target = target / f"{settings.model}.html"
    content = everything_in_one(site)
    with replacing(target) as temporary:
        temporary.write_bytes(content)
    return {"to": str(target), "files": 1, "bytes": len(content), "link": target.resolve().as_uri()}


def _bytes_in(folder: Path, names: dict[str, str]) -> int:
    return sum((folder / name).stat().st_size for name in names)


def _to_bucket(settings: Settings, site: Site) -> dict[str, Any]:
    from maquette.publishing import bucket, record
    from maquette.publishing.options import lifetime
    from maquette.publishing.reading import why_not_public
    from maquette.scene.paths import Scene

    span = None if settings.public else lifetime(settings.expires)
    with _opened(settings.data, settings.to) as opened:
        made = bucket.publish(site, opened, settings.model, span, _show_progress)
        kept = bucket.read(opened)
    record.note_place(
        Scene(settings.scene_dir), settings.to, settings.datastore, is_there=True
    )  # fmt: skip
    return {
        "to": settings.to, "files": len(kept.files) if kept else 0, "link": made.link,
        "picture": made.picture, "expires_at": made.expires_at,
        "pages_elsewhere_may_read": made.has_page_rule,
        "problem": why_not_public(made.link) if settings.public else "",
    }  # fmt: skip


def _show_progress(done: int, total: int) -> None:
    """A line that moves, on a terminal."""
    if sys.stderr.isatty():
        end = "\r\x1b[K" if done == total else ""
        print(f"\r{done} of {total} files{end}", end="", file=sys.stderr, flush=True)


@contextmanager
def _opened(data: DataLocation, to: str) -> Iterator[ObjectStore]:
    from maquette.storage.scene_bucket import opened

    found = re.fullmatch(_BUCKET, to)
    if not found:
        raise ConfigError(f"not a bucket and a prefix: TO={to}", hint="TO=s3://bucket/prefix")
    with opened(data) as bucket:
        yield bucket.at(found[1], (found[2] or "").strip("/"))


def _require_bucket(data: DataLocation) -> None:
    from maquette.storage.scene_bucket import uses_embedded_store

    if uses_embedded_store(data):
        raise ConfigError(
            "the built-in store answers while a command runs, and to this machine alone: "
            "a link into it would lead nowhere",
            hint="`maquette datastore add` names one; or publish with TO=folder or HTML=1",
        )


def _confirm_public(settings: Settings) -> None:
    if not settings.public or settings.yes:
        return
    said = (
        f"everybody who knows or guesses the address may read `{settings.model}` at "
        f"{settings.to}, without end: its 3D model, small pictures of its photos, where the "
        "cameras stood, its name and licence"
    )
    if not (sys.stdin.isatty() and typer.confirm(f"{said}. Publish?")):
        raise UsageError(f"nothing was published: {said}", hint="add YES=1 to publish it")


def _notify(settings: Settings, result: dict[str, Any]) -> None:
    """Tell NOTIFY_URL of a link that others can open."""
    from maquette.agent.webhook import Webhook
    from maquette.publishing.options import PublishOptions

    if "expires_at" not in result:
        return
    url = settings.of(PublishOptions).notify_url.get_secret_value()
    facts = {key: result[key] for key in ("link", "picture", "expires_at")}
    webhook = Webhook(url, {"model": settings.model}, lambda told: print(told, file=sys.stderr))
    until = f", until {result['expires_at']}" if result["expires_at"] else ""
    words = f"{settings.model} is published{until}: {result['link']}"
    webhook.send("published", words, **facts)
    webhook.close()


def _tell(settings: Settings, result: dict[str, Any], as_json: bool) -> None:
    import webbrowser

    from maquette.counting import counted
    from maquette.ui import text

    link = result.get("link", "")
    if as_json:
        print(json.dumps(result))
    else:
        amount = f", {text.size(result['bytes'])}" if "bytes" in result else ""
        print(f"published {counted(result['files'], 'file')}{amount} to {result['to']}")
        if result.get("expires_at"):
            print(f"who has this link may read it until {result['expires_at']}:")
        if link:
            print(link)
        if result.get("problem"):
            print(f"warning: {result['problem']}", file=sys.stderr)
        if not (link or settings.html):
            here = shown_path(Path(settings.to).expanduser())
            print(f"any web server shows it: python3 -m http.server --directory {here} 8000")
    if settings.open and link:
        webbrowser.open(link)
