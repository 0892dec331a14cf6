"""Facts of a scene that a person may edit, each with a digest of its content.

Stages depend on the facts they read, not on the file that holds them: a changed region makes only
its readers run again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from maquette.scene.paths import Scene

SOURCES = {"cameras": "dataset", "region": "region"}  # the stages that first write them
_REGION = ("sphere_center", "sphere_radius", "aabb_range", "aabb_scale", "readjust")


def digest(scene: Scene, name: str) -> str:
    """SHA-256 of a fact: `cameras`, `region` or `masks`; what is not there counts as empty."""
    return hashlib.sha256(_FACTS[name](scene)).hexdigest()


def _cameras(scene: Scene) -> bytes:
    document = _transforms(scene)
    return _canonical({key: document[key] for key in document if key not in _REGION})


def _region(scene: Scene) -> bytes:
    document = _transforms(scene)
    return _canonical({key: document[key] for key in _REGION if key in document})


def _masks(scene: Scene) -> bytes:
    found = hashlib.sha256()
    for folder in (scene.masks, scene.masks_input):
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if path.is_file():
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                found.update(f"{path.relative_to(folder)} {content}\n".encode())
    return found.digest()


_FACTS: dict[str, Callable[[Scene], bytes]] = {
    "cameras": _cameras,
    "region": _region,
    "masks": _masks,
}


def _transforms(scene: Scene) -> dict[str, Any]:
    """The document as it is: who reads it says what is wrong with it."""
    try:
        document = json.loads(scene.transforms.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True).encode()
