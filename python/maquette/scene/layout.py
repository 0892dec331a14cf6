"""How a scene is laid out on disk, by version; a scene of the version before is brought up once.

Layout 3 keeps dense workspaces by pipeline too (`dense_layout.py`); layout 2 runs, results and
records. Layout 1 had one pipeline: `mesh/`, `runs/<GROUP>/`, `evaluation.json`,
`stages/<stage>.json`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from maquette.counting import counted
from maquette.errors import BadInput
from maquette.pipelines import registry
from maquette.resources import version
from maquette.scene import dense_layout, lock, outputs, stage_records
from maquette.scene.atomic import write_json
from maquette.scene.moving import move, move_folder, remove_if_empty
from maquette.scene.paths import OWN_FOLDER, Scene
from maquette.scene.stage_records import StageRecord, key_with

LAYOUT = 3
_MARK = "layout.json"
_LEFT = "left_by_layout.json"  # old files that differ from those in their place; of this machine
_SHOWN = 3

Say = Callable[[str], None]


def _to_stderr(sentence: str) -> None:
    print(f"note: {sentence}", file=sys.stderr)


def open_scene(
    root: Path, pipeline: str, *, is_locked: bool = False, say: Say = _to_stderr
) -> Scene:
    """A scene as one of its pipelines sees it, in the layout of now.

    Args:
        is_locked: The caller holds the scene's lock. Otherwise a scene in which a step is at work
            is brought up another time.
        say: Is told, once, of old files that stay beside others of now.

    Raises:
        BadInput: a newer version wrote it.
    """
    scene = Scene(root, pipeline)
    if not root.is_dir():
        return scene
    _refuse_newer(scene)
    if not _is_old(scene):
        return scene
    if is_locked:
        _bring_up(scene, say)
    else:
        with lock.held_if_free(scene) as is_ours:
            if is_ours:
                _bring_up(scene, say)
    return scene


def mark(scene: Scene) -> None:
    """Write down which layout a scene has, and which version of the program that was."""
    wanted = {"layout": LAYOUT, "maquette": version()}
    if _marked(scene) != wanted:
        write_json(scene.stages / _MARK, wanted)


def is_scene(folder: Path) -> bool:
    """Whether prepare has worked in a folder."""
    return (Scene(folder).stages / _MARK).is_file()


def _refuse_newer(scene: Scene) -> None:
    found = _marked(scene)
    layout = found.get("layout", 0)
    if isinstance(layout, int) and layout > LAYOUT:
        raise BadInput(
            f"a newer maquette wrote the scene `{scene.name}`",
            detail=f"layout {layout} of maquette {found.get('maquette', '?')}; "
            f"this is {version()}, which knows layouts up to {LAYOUT}",
            hint="upgrade maquette here; nothing was changed",
        )


def _marked(scene: Scene) -> dict[str, Any]:
    try:
        content = json.loads((scene.stages / _MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_old(scene: Scene) -> bool:
    return bool(_old_files(scene) or _old_records(scene) or _old_runs(scene) or _old_dense(scene))


def _old_files(scene: Scene) -> list[Path]:
    mesh, evaluation = scene.root / "mesh", scene.root / "evaluation.json"
    files = [*(mesh.rglob("*") if mesh.is_dir() else []), evaluation]
    return _not_left(scene, files)


def _old_runs(scene: Scene) -> list[Path]:
    """Runs that hold files themselves; a pipeline's folder holds only folders."""
    return _holding_files(scene, "runs")


def _old_dense(scene: Scene) -> list[Path]:
    """Dense workspaces without a pipeline's folder; all there are, until their records name it."""
    found = _holding_files(scene, dense_layout.FOLDER)
    if not found and _marked(scene).get("layout", 0) < LAYOUT:
        found = [path for path in (scene.root / dense_layout.FOLDER).glob("*/") if path.is_dir()]
    return found


def _holding_files(scene: Scene, name: str) -> list[Path]:
    parent = scene.root / name
    folders = [path for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []
    return [folder for folder in folders if _not_left(scene, folder.iterdir())]


def _not_left(scene: Scene, paths: Iterable[Path]) -> list[Path]:
    """Those that are files, without the ones that are known to differ from those of now."""
    files = [path for path in paths if path.is_file()]
    known = _left(scene) if files else {}
    return [path for path in files if known.get(scene.relative(path)) != _identity(path)]


def _left(scene: Scene) -> dict[str, list[int]]:
    try:
        found = json.loads((scene.root / OWN_FOLDER / _LEFT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _identity(path: Path) -> list[int]:
    """What changes when other content comes: size and time."""
    return [path.stat().st_size, path.stat().st_mtime_ns]


def _old_records(scene: Scene) -> list[Path]:
    """Records of stages, and what jobs were told, that lie directly in `stages/`."""
    found = [path for path in scene.stages.glob("*.json") if _is_record(path)]
    return found + list((scene.stages / "options").glob("*.json"))


def _is_record(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"stage", "key", "outputs"} <= content.keys()


def _bring_up(scene: Scene, say: Say) -> None:
    """Move what there is to its new place; each move is a rename, so a kill loses nothing."""
    owner = _former_pipeline(scene)
    workspaces = _old_dense(scene)
    left = [path for run in _old_runs(scene) for path in move_folder(run, owner)]
    for path in _old_files(scene):
        place = (
            path.relative_to(scene.root / "mesh") if path.name != "evaluation.json" else path.name
        )
        left += [] if move(path, scene.of(owner).results / place) else [path]
    if left:
        _leave(scene, left, say)
    for path in _old_records(scene):
        _move_record(scene.of(owner), path)
    if workspaces:
        old = _holding_files(scene, dense_layout.FOLDER)
        if kept := dense_layout.bring_up(scene, old):
            _leave(scene, kept, say)
    for name in ("mesh", "stages/options"):
        remove_if_empty(scene.root / name)
    outputs.read(scene.of(owner))  # which writes the list where there are results
    mark(scene)


def _leave(scene: Scene, left: list[Path], say: Say) -> None:
    """Note which old files differ from those in their place, so that they are told of once."""
    names = sorted(scene.relative(path) for path in left)
    now = {name: _identity(scene.root / name) for name in names}
    file = scene.root / OWN_FOLDER / _LEFT
    write_json(file, _left(scene) | now)
    shown = ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
    say(
        f"in `{scene.name}`, {counted(len(names), 'file')} of an older maquette left unused, for "
        f"others of the same name count, in `results/`, `runs/` and `dense/`: {shown}; keep or "
        "remove them"
    )


def _former_pipeline(scene: Scene) -> str:
    """The pipeline that a scene of layout 1 was made with."""
    try:
        named = json.loads(scene.report.read_text(encoding="utf-8"))["pipeline"]
    except (OSError, ValueError, KeyError, TypeError):
        return registry.DEFAULT
    return named if named in registry.names() else registry.DEFAULT


def _move_record(scene: Scene, path: Path) -> None:
    is_options = path.parent.name == "options"
    step = path.stem if is_options else json.loads(path.read_text(encoding="utf-8"))["step"]
    known = registry.get_pipeline(scene.pipeline).steps
    owner = registry.owner_of(scene.pipeline, step) if step in known else scene.pipeline
    target = scene.options_file(owner, step) if is_options else scene.records(owner) / path.name
    if not target.exists():
        if is_options:
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
            return
        record = stage_records.parse(json.loads(path.read_text(encoding="utf-8")))
        if record is not None:
            stage_records.write(scene, owner, _renewed(record, scene.pipeline))
    path.unlink()


def _renewed(record: StageRecord, pipeline: str) -> StageRecord:
    """A record that names the new places; a key that stood goes on standing."""
    inputs = {_new_path(name, pipeline): key for name, key in record.inputs.items()}
    outputs_now = {_new_path(name, pipeline): size for name, size in record.outputs.items()}
    results = f"results/{pipeline}/"
    return replace(
        record,
        key=key_with(record, inputs),
        inputs=inputs,
        outputs=outputs_now,
        kinds={path: outputs.kind_of(path) for path in outputs_now if path.startswith(results)},
    )


def _new_path(path: str, pipeline: str) -> str:
    for before, after in (("mesh/", f"results/{pipeline}/"), ("runs/", f"runs/{pipeline}/")):
        if path.startswith(before):
            return after + path.removeprefix(before)
    return path
