"""Facts of a scene that a person may edit, each with a digest of its content.

Stages depend on the facts they read, not on the file that holds them: a changed region makes only
its readers run again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from maquette.scene import georeference, transforms
from maquette.scene.paths import Scene

# The stages that first write them.
SOURCES = {
    "cameras": "dataset",
    "region": "region",
    "sphere": "region",
    "georeference": "georeference",
}
_OF_PLACE = (transforms.UP_KEY, transforms.GEOREFERENCE_KEY)
_SPHERE = ("sphere_center", "sphere_radius", "readjust")
_REGION = (*_SPHERE, "aabb_range", "aabb_scale")


def digest(scene: Scene, name: str) -> str:
    """SHA-256 of a fact, one of `_FACTS`; what is not there counts as empty."""
    return hashlib.sha256(_FACTS[name](scene)).hexdigest()


def counts(scene: Scene, name: str) -> bool:
    """Whether a fact is part of keys: `georeference` came later, and only where there is one.

    So a scene without it keeps the keys that it had before there was such a thing.
    """
    return name != "georeference" or _georeference(scene) != _canonical({})


def _cameras(scene: Scene) -> bytes:
    document = _transforms(scene)
    others = (*_REGION, *_OF_PLACE)
    return _canonical({key: document[key] for key in document if key not in others})


def _region(scene: Scene) -> bytes:
    document = _transforms(scene)
    return _canonical({key: document[key] for key in _REGION if key in document})


def _sphere(scene: Scene) -> bytes:
    """The part of the region that training depends on: its box may change without it."""
    document = _transforms(scene)
    return _canonical({key: document[key] for key in _SPHERE if key in document})


def _masks(scene: Scene) -> bytes:
    found = hashlib.sha256()
    for folder in (scene.masks, scene.masks_input):
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if path.is_file():
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                found.update(f"{path.relative_to(folder)} {content}\n".encode())
    return found.digest()


def _georeference(scene: Scene) -> bytes:
    document = _read(scene.georeference)
    known = {key: document.get(key) for key in georeference.TELLING}
    return _canonical({key: value for key, value in known.items() if value is not None})


_FACTS: dict[str, Callable[[Scene], bytes]] = {
    "cameras": _cameras,
    "region": _region,
    "sphere": _sphere,
    "masks": _masks,
    "georeference": _georeference,
}


def _transforms(scene: Scene) -> dict[str, Any]:
    return _read(scene.transforms)


def _read(path: Path) -> dict[str, Any]:
    """The document as it is: who reads it says what is wrong with it."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True).encode()
