"""What publish wrote where, so that it can be taken back exactly."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from maquette.errors import BadInput
from maquette.scene.atomic import write_json
from maquette.scene.paths import OWN_FOLDER, Scene

FILE = "maquette-published.json"  # beside what was published
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Record:
    """A publication.

    Attributes:
        files: Name → MD5 of what was written there.
        page_rule: Name of the bucket's CORS rule that was added; "" for none.
        expires_at: UTC; "" where the link has no end.
    """

    model: str
    files: dict[str, str] = field(default_factory=dict)
    public: bool = False
    page_rule: str = ""
    written_at: str = ""
    expires_at: str = ""
    schema_version: int = SCHEMA_VERSION

    def as_json(self) -> dict[str, Any]:
        """What is written."""
        return asdict(self)


def parse(text: str | bytes, where: str) -> Record:
    """Read a record.

    Raises:
        BadInput: it is damaged, or of a newer version.
    """
    try:
        read = json.loads(text)
        if read["schema_version"] > SCHEMA_VERSION:
            raise BadInput(f"a newer version published this: `{where}`", hint="update maquette")
        return Record(**read)
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"the record of what was published is damaged: `{where}`",
            detail=str(error),
            hint="remove what was published there by hand",
        ) from error


def places(scene: Scene) -> list[dict[str, str]]:
    """Where the scene is published, as this machine knows: `to` and `datastore` of each."""
    try:
        read = json.loads(_places_file(scene).read_text(encoding="utf-8"))
        return [dict(place) for place in read["places"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def note_place(scene: Scene, to: str, datastore: str, *, is_there: bool) -> None:
    """Remember a place, or forget it."""
    place = {"to": to, "datastore": datastore}
    others = [known for known in places(scene) if known != place]
    if scene.root.is_dir():
        write_json(_places_file(scene), {"places": [*others, *([place] if is_there else [])]})


def _places_file(scene: Scene) -> Path:
    return scene.root / OWN_FOLDER / "published.json"
