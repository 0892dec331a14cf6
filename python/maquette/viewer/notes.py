"""Marks that people set in a scene's page, kept with the scene."""

from __future__ import annotations

import json
from typing import Any

from maquette.errors import BadInput
from maquette.scene.atomic import write_json
from maquette.scene.paths import Scene
from maquette.viewer import page_data

FILE = "annotations.json"
_MOST_BYTES = 1 << 20


def read(scene: Scene) -> list[dict[str, Any]]:
    """The marks that people left in the scene."""
    try:
        found = json.loads((scene.root / page_data.FOLDER / FILE).read_text(encoding="utf-8"))
        return list(found["annotations"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def keep(scene: Scene, content: bytes) -> None:
    """Write down the marks of a scene, as the page sends them.

    Raises:
        BadInput: that are none.
    """
    try:
        found: Any = json.loads(content) if len(content) <= _MOST_BYTES else None
        marks = [
            {"title": str(mark.get("title", "")), "text": str(mark.get("text", "")),
             "position": [float(value) for value in mark["position"]]}
            for mark in found["annotations"]
        ]  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput("these are no annotations") from error
    write_json(scene.root / page_data.FOLDER / FILE, {"annotations": marks})
