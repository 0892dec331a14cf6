"""What Meshroom left in a scene."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from maquette.errors import NotFound
from maquette.scene.paths import Scene


def result_files(scene: Scene, group: str) -> tuple[Path, Path, Path, Path]:
    """The raw mesh, filtered mesh, textured mesh and cameras of Meshroom's last run.

    Raises:
        NotFound: one of them is not there.
    """
    folder = scene.root / "meshroom" / group
    return (
        _of_last_run(folder, "cache/Meshing/*/mesh.obj"),
        _of_last_run(folder, "cache/MeshFiltering/*/mesh.obj"),
        _of_last_run(folder, "published/texturedMesh.obj"),
        _of_last_run(folder, "cache/*/*/cameras.sfm"),
    )


def input_files(scene: Scene, group: str) -> Iterable[Path]:
    """These, and what the textured mesh is painted with."""
    files = result_files(scene, group)
    beside = files[2].parent
    return [*files, *sorted(beside.glob("*.mtl")), *sorted(beside.glob("*.png"))]


def _of_last_run(folder: Path, pattern: str) -> Path:
    """The newest file of the last run's nodes; the newest of all where these are not known.

    The cache keeps what runs with other settings made, which a later run may take up again.
    """
    uids = _uids(folder / "extracted.mg")
    found = sorted(
        folder.glob(pattern), key=lambda path: (path.parent.name in uids, path.stat().st_mtime_ns)
    )
    if not found:
        raise NotFound(
            f"Meshroom left no `{pattern}` in `meshroom/{folder.name}/` of the scene",
            hint="its own log is beside the job's document: `make extract-logs`",
        )
    return found[-1]


def _uids(project: Path) -> frozenset[str]:
    """The uids of a project's nodes; none where it does not tell."""
    try:
        nodes = json.loads(project.read_text(encoding="utf-8"))["graph"].values()
        return frozenset(str(node["uid"]) for node in nodes)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return frozenset()
