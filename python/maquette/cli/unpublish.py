"""`maquette unpublish`: take back what publish wrote."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from maquette.cli.arguments import AsJson, SettingWords, load_settings
from maquette.cli.published_places import open_place, require_bucket
from maquette.errors import NotFound, UsageError

if TYPE_CHECKING:
    from maquette.config.settings import Settings
    from maquette.scene.data_location import DataLocation


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    app.command("unpublish")(unpublish)


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
        require_bucket(data)
        with open_place(data, to) as opened:
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
