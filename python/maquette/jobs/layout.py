"""Job documents that the version before wrote: it kept those of all steps in one folder a scene."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from maquette.jobs.spec import folder_of
from maquette.pipelines import registry
from maquette.pipelines.pipeline import COMMON
from maquette.scene.atomic import write_json


def bring_up(logs: Path) -> None:
    """Move documents, copies and logs of steps that are a pipeline's own to that pipeline's folder.

    Documents that name a moved file name its new place afterwards. A job that still runs under the
    version before writes to the old place; the next call moves that too.
    """
    for folder in sorted(logs.glob("*/*/")):
        documents = [path for path in folder.glob("*_job.json") if _is_misplaced(path)]
        for document in documents:
            _move_step(logs, folder, document)


def _is_misplaced(document: Path) -> bool:
    return document.name.removesuffix("_job.json") not in registry.shared_steps()


def _move_step(logs: Path, folder: Path, document: Path) -> None:
    step = document.name.removesuffix("_job.json")
    owner = _pipeline_of(document)
    target = folder_of(logs, folder.parent.name, folder.name, owner)
    moves = {path: target / path.relative_to(folder) for path in _files_of(folder, step)}
    names = {str(path): str(place) for path, place in moves.items()}
    for path, place in moves.items():  # the current document is the last: it tells that all is done
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".json" and not _is_newer(path, place):
            path.unlink()
        elif path.suffix == ".json" and (content := _content(path)) is not None:
            write_json(place, _renamed(content, names))
            path.unlink()
        else:
            path.rename(place)


def _files_of(folder: Path, step: str) -> Iterator[Path]:
    yield from sorted(folder.glob(f"{step}-*.log"))
    yield from sorted((folder / "history").glob(f"{step}-*"))
    yield folder / f"{step}_job.json"


def _is_newer(path: Path, place: Path) -> bool:
    return not place.exists() or path.stat().st_mtime_ns >= place.stat().st_mtime_ns


def _pipeline_of(document: Path) -> str:
    content = _content(document) or {}
    named = content.get("maquette", {}).get("pipeline", registry.DEFAULT)
    return str(named) if named != COMMON else registry.DEFAULT


def _content(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """The same with the files' new places in all its texts."""
    if isinstance(value, dict):
        return {key: _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value
