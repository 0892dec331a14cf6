"""Dense workspaces as layout 2 laid them, `dense/<GROUP>/`, go to `dense/<pipeline>/<GROUP>/`.

Records name their files from the scene's folder, and a stage that read points has their name in its
key: both are renewed, so that what was done stays done.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from maquette.pipelines import registry
from maquette.scene import outputs, stage_records
from maquette.scene.atomic import write_json
from maquette.scene.moving import move_folder
from maquette.scene.paths import Scene

FOLDER = "dense"
_FILES = frozenset({"pair.txt", "views.json", "fused.ply", "fused.ply.vis"})
_STEREO = frozenset(
    {"depth_maps", "normal_maps", "filtered", "patch-match.cfg", "fusion.cfg"}
)  # fmt: skip


def bring_up(scene: Scene, workspaces: Sequence[Path]) -> list[Path]:
    """Move old workspaces to the pipeline that made them, and name them so in all records.

    Again after a kill, it goes on where it was.

    Returns:
        The files that could not go: others are in their place.
    """
    files = sorted(scene.stages.glob("*/**/*.json"))
    owner = _owner(scene, files)
    left = [path for folder in workspaces for path in move_folder(folder, owner)]
    for path in files:
        _rename_in(path, owner)
    for name in registry.names():
        _renew_keys(scene.of(name), owner)
    if scene.of(owner).results.is_dir():
        outputs.renew(scene.of(owner))
    return left


def _owner(scene: Scene, files: Iterable[Path]) -> str:
    """The pipeline whose stages made the workspaces; without records, the one that needs any."""
    for path in files:
        if any(_is_old(name) or _is_new(name) for name in _json(path).get("outputs", ())):
            return path.relative_to(scene.stages).parts[0]
    return next(
        pipeline.name
        for pipeline in registry.all_pipelines()
        if any(pipeline.needs(step).startswith(f"{FOLDER}/") for step in pipeline.steps)
    )


def _is_old(name: str) -> bool:
    parts = name.split("/")
    if len(parts) < 3 or parts[0] != FOLDER:
        return False
    return parts[2] in _FILES or (parts[2] == "stereo" and parts[3:4] != [] and parts[3] in _STEREO)


def _is_new(name: str) -> bool:
    return name.startswith(f"{FOLDER}/") and not _is_old(name)


def _new_name(name: str, owner: str) -> str:
    return f"{FOLDER}/{owner}/{name.removeprefix(FOLDER + '/')}" if _is_old(name) else name


def _rename_in(path: Path, owner: str) -> None:
    """Rename the files that a record of a stage, a shard or a view says were made."""
    content = _json(path)
    renewed = dict(content)
    for key in ("outputs", "kinds", "files"):
        if isinstance(content.get(key), dict):
            renewed[key] = {_new_name(name, owner): value for name, value in content[key].items()}
    if renewed != content:
        write_json(path, renewed)


def _renew_keys(scene: Scene, owner: str) -> None:
    """Let the stages that read points, and those after them, stand under the points' new name."""
    keys: dict[str, str] = {}
    changed = []
    for record in stage_records.read_all(scene, scene.pipeline):
        inputs = {
            _new_name(name, owner): _renewed(value, keys) for name, value in record.inputs.items()
        }
        if inputs != record.inputs:
            key = stage_records.key_with(record, inputs)
            keys[record.key] = key
            changed.append(replace(record, key=key, inputs=inputs))
    for record in reversed(changed):  # a kill in between leaves those for whom it can be told
        stage_records.write(scene, scene.pipeline, record)


def _renewed(value: str, keys: dict[str, str]) -> str:
    key, sign, times = value.partition("+")
    return keys.get(key, key) + sign + times


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
