"""`maquette publish`: share a scene with a link, a folder or a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from maquette.cli.arguments import AsJson, SettingWords, load_settings
from maquette.cli.published_places import open_place, require_bucket
from maquette.cli.workspaces import require_scene
from maquette.errors import UsageError, shown_path

if TYPE_CHECKING:
    from maquette.config.settings import Settings
    from maquette.publishing.fitting import Copy, Fitted, Request
    from maquette.publishing.site import Site


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    app.command("publish")(publish)


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
        require_bucket(chosen.data)
        _confirm_public(chosen)
    fitted = _fitted_site(chosen, as_json)
    result = _to_bucket(chosen, fitted.site) if is_remote else _to_disk(chosen, fitted.site)
    result["smaller_copies"] = [asdict(cost) for cost in fitted.costs]
    _notify(chosen, result)
    _tell(chosen, result, as_json)


def _fitted_site(settings: Settings, as_json: bool) -> Fitted:
    """The site, in which copies stand for what is too large; tells what each of them cost."""
    from maquette.cli.data_plane import run_program
    from maquette.pipelines.options import parse_size
    from maquette.publishing.fitting import site_of
    from maquette.publishing.options import PublishOptions
    from maquette.scene.paths import Scene
    from maquette.viewer import notes, page_data, web_build

    options, scene = settings.of(PublishOptions), Scene(settings.scene_dir)
    page = web_build.build()
    pipelines = [settings.pipeline] if "PIPELINE" in settings.sources else []
    manifest = page_data.renewed(scene, pipelines) | {"annotations": notes.read(scene)}
    if options.content_license:
        manifest["license"] = options.content_license

    def copies(requests: Sequence[Request]) -> Sequence[Copy]:
        if as_json:
            return page_data.smaller_copies(scene, requests)
        done = run_program(page_data.copies_command(scene, requests), "a smaller copy", False)
        made: list[Copy] = done["copies"]
        return made

    limit = parse_size(options.size_limit)
    fitted = site_of(scene, manifest, page, limit, copies, in_one_file=settings.html)
    for cost in fitted.costs:
        print(cost, file=sys.stderr if as_json else sys.stdout)
    return fitted


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
    with open_place(settings.data, settings.to) as opened:
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
