"""The person's own names of photos, which prepare renames to 000001.jpg …"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from maquette.scene.paths import Scene

SHOWN = 5


def is_video(scene: Scene) -> bool:
    """Whether the pictures are frames of a video."""
    return bool(_mapping(scene).get("source") == "video")


def without_pose(scene: Scene, posed: Collection[str]) -> list[str]:
    """The photos that are not among the `posed` pictures, by the person's own names.

    Empty for a video, whose frames nobody knows by name.
    """
    mapping = _mapping(scene)
    if mapping.get("source") != "photos":
        return []
    known = set(posed)
    return [entry["original"] for entry in mapping["images"] if entry["name"] not in known]


def names(scene: Scene, posed: Sequence[str]) -> list[str]:
    """What the person calls each of the `posed` pictures; frames of a video keep our names."""
    mapping = _mapping(scene)
    if mapping.get("source") != "photos":
        return list(posed)
    known = {str(entry["name"]): str(entry["original"]) for entry in mapping["images"]}
    return [known.get(name, name) for name in posed]


def by_picture(scene: Scene) -> dict[str, str]:
    """The person's own name of each picture."""
    return {str(entry["name"]): str(entry["original"]) for entry in _mapping(scene)["images"]}


def titles(scene: Scene) -> dict[str, str]:
    """What a person calls each picture in `images_raw/`: a photo's own name, a frame's time."""
    found = {}
    for entry in _mapping(scene).get("images", ()):
        name, time_s = str(entry["name"]), entry.get("time_s")
        found[name] = f"{name}, {time_s:.2f} s" if time_s is not None else str(entry["original"])
    return found


def sentence(names: Sequence[str], images: int) -> str:
    """Say which of the photos have no pose."""
    shown = ", ".join(names[:SHOWN])
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)} of {images} photos without a pose: {shown}{more}"


def _mapping(scene: Scene) -> dict[str, Any]:
    """What `images_raw.json` tells; nothing in a workspace of another program."""
    try:
        content = json.loads((scene.root / "images_raw.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def camera(scene: Scene) -> tuple[str, str] | None:
    """COLMAP's model and parameters of the pictures' camera, where prepare made them itself."""
    found = _mapping(scene).get("camera")
    return (found["model"], found["params"]) if found else None
