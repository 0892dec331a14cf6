"""Where a scene's data set lies, which is not copied, and what is in it.

dataset/location.json   its folder on this machine
dataset/listing.json    names and sizes of its files: what prepare depends on
dataset/index.json      what there is, once it has been checked
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from maquette.errors import BadInput, NotFound
from maquette.scene.atomic import write_json
from maquette.scene.paths import Scene

FOLDER = "dataset"


def listing_file(scene: Scene) -> Path:
    """Names and sizes of the data's files."""
    return scene.root / FOLDER / "listing.json"


def index_file(scene: Scene) -> Path:
    """What the data hold."""
    return scene.root / FOLDER / "index.json"


def note(scene: Scene, given: str) -> None:
    """Write down where the data lie and which files they have; "" for where they lay before.

    Raises:
        NotFound: there is no such folder.
    """
    root = (scene.root / given).resolve() if given else root_of(scene)
    if not root.is_dir():
        raise _gone(scene, root)
    write_json(_location_file(scene), {"root": _written(scene, root)})
    files = {
        path.relative_to(root).as_posix(): path.stat().st_size
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
    write_json(listing_file(scene), files)


def root_of(scene: Scene) -> Path:
    """The folder of the data.

    Raises:
        NotFound: it is not known, or not there.
    """
    try:
        told = json.loads(_location_file(scene).read_text(encoding="utf-8"))["root"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotFound(f"scene `{scene.name}` has no data set", hint=_HINT) from error
    root = scene.root / str(told)
    if not root.is_dir():
        raise _gone(scene, root)
    return root


def write_index(scene: Scene) -> dict[str, Any]:
    """Check the data and write what there is.

    Raises:
        BadInput: they are not whole.
    """
    from maquette.recon.mvsnet.datasets import opening  # slow to import, as it reads pictures

    found = opening.index(root_of(scene))
    write_json(index_file(scene), found)
    return found


def read_index(scene: Scene) -> dict[str, Any]:
    """What `write_index` found.

    Raises:
        BadInput: the file is damaged.
    """
    try:
        found = json.loads(index_file(scene).read_text(encoding="utf-8"))
        return {**found, "kind": found["kind"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"`{index_file(scene)}` is damaged: {error}", hint=_HINT) from error


_HINT = "`make prepare PIPELINE=mvsnet INPUT=…` with the folder of the data"


def _location_file(scene: Scene) -> Path:
    return scene.root / FOLDER / "location.json"


def _written(scene: Scene, root: Path) -> str:
    """Below the scene relative to it, so that it can be moved."""
    scene_root = scene.root.resolve()
    return root.relative_to(scene_root).as_posix() if root.is_relative_to(scene_root) else str(root)


def _gone(scene: Scene, root: Path) -> NotFound:
    return NotFound(f"the data set of scene `{scene.name}` is not there: `{root}`", hint=_HINT)
