"""The scenes of this machine, the newest first, as the gallery shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from maquette.scene import outputs
from maquette.scene.paths import IMAGE_SUFFIXES, Scene

_MARKS = ("transforms.json", "stages", "results", "images", "input")


def scenes(folder: Path) -> list[dict[str, Any]]:
    """Name, date, size of the results, photos and pipelines of each scene below a folder."""
    roots = [path for path in folder.iterdir() if is_scene(path)] if folder.is_dir() else []
    found = [_summary(Scene(root)) for root in roots]
    return sorted(found, key=lambda one: (-one["changed_s"], one["name"]))


def is_scene(path: Path) -> bool:
    """Whether a folder looks like one that prepare has begun."""
    return not path.name.startswith(".") and any((path / mark).exists() for mark in _MARKS)


def _summary(scene: Scene) -> dict[str, Any]:
    pipelines = outputs.pipelines_of(scene.root)
    made = [item for name in pipelines for item in outputs.read(scene.of(name))]
    times = [path.stat().st_mtime for path in (scene.root, *_dated(scene)) if path.exists()]
    return {
        "name": scene.name,
        "changed_s": max(times, default=0.0),
        "size_bytes": sum(item.size_bytes for item in made),
        "photos": photo_count(scene),
        "pipelines": pipelines,
        "numbers": {name: found for name in pipelines if (found := evaluation(scene.of(name)))},
        "has_cover": cover_source(scene) is not None,
    }


def _dated(scene: Scene) -> list[Path]:
    return [scene.report, scene.events, *scene.root.glob("results/*/outputs.json")]


def photo_count(scene: Scene) -> int:
    """How many posed photos there are."""
    try:
        return len(json.loads(scene.transforms.read_text(encoding="utf-8"))["frames"])
    except (OSError, ValueError, KeyError, TypeError):
        return len(photos(scene))


def photos(scene: Scene) -> list[Path]:
    """The undistorted photos, by name; those of the input before there are any."""
    for folder in (scene.images, scene.images_raw):
        found = [
            path for path in sorted(folder.glob("*")) if path.suffix.lower() in IMAGE_SUFFIXES
        ]  # fmt: skip
        if found:
            return found
    return []


def evaluation(scene: Scene) -> dict[str, float]:
    """What `make evaluate` measured; empty where it was not asked."""
    try:
        read = json.loads(scene.evaluation.read_text(encoding="utf-8"))
        return {name: value for name, value in read.items() if isinstance(value, (int, float))}
    except (OSError, ValueError, AttributeError):
        return {}


def cover_source(scene: Scene) -> Path | None:
    """The picture that stands for a scene: a contact sheet, else a photo."""
    for name in outputs.pipelines_of(scene.root):
        for item in outputs.read(scene.of(name)):
            if item.kind == outputs.PICTURE and item.path.endswith("_views.png"):
                return scene.root / item.path
    found = photos(scene)
    return found[len(found) // 2] if found else None
