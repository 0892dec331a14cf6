"""What a step is made of is known without what computes: that takes seconds to import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from command_line import environment
from maquette.pipelines.pipeline import OURS
from maquette.pipelines.registry import get_pipeline, owner_of
from maquette.recon.report_page.writing import write_page
from maquette.scene import layout
from maquette.scene.atomic import write_json
from maquette.scene.colmap_model import FILES
from maquette.scene.events import Progress
from maquette.scene.layout import open_scene
from maquette.scene.paths import Scene
from maquette.scene.report import write_report
from maquette.stages.declaring import find_stage
from maquette.stages.running import run_stages
from maquette.stages.stage import Report, Sharding, Stage
from synthetic_scene import write_posed_scene
from turns import linked_copy, made_once

ROOMS = ("aerial", "common", "dense", "mvsnet", "splat", "surface")
SLOW = {
    "PIL", "av", "cv2", "embreex", "pycolmap", "pydantic", "scipy", "skimage", "torch", "trimesh",
    "typer", "warp",
}  # fmt: skip
AFTER_MAIN = (
    "import sys\nfrom maquette.recon.step import main\ncode = main(sys.argv[1:])\n"
    "print('LOADED', *sys.modules, file=sys.stderr)\nsys.exit(code)\n"
)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    def write(base: Path) -> None:
        write_posed_scene(base / "thing", count=4, width=96, height=72)

    root = linked_copy(made_once("posed for declarations", write), tmp_path / "base") / "thing"
    for name in FILES:
        (root / "sparse" / "0").mkdir(parents=True, exist_ok=True)
        (root / "sparse" / "0" / name).write_bytes(b"points")
    return Scene(root, "")


@pytest.mark.parametrize("pipeline", ["neuralangelo", "photogrammetry", "splat"])
def test_a_step_with_nothing_to_do_loads_nothing_that_computes(scene: Scene, pipeline: str) -> None:
    options = finish(scene.of(pipeline), "process")
    done = subprocess.run(
        [sys.executable, "-c", AFTER_MAIN, pipeline, "process", "--scene", str(scene.root),
         "--options", str(options)],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"event": "skipped"' in done.stdout and '"event": "started"' not in done.stdout
    loaded = {name.split(".")[0] for name in done.stderr.split("LOADED")[1].split()}
    assert not loaded & SLOW


def finish(scene: Scene, step: str) -> Path:
    """Leave the records of a step in which every stage has run; its options file."""
    method = get_pipeline(scene.pipeline)
    scene.stages.mkdir(parents=True, exist_ok=True)
    open_scene(scene.root, scene.pipeline)
    layout.mark(scene)
    names = method.stages_of(step, OURS, scene.root)
    declared = [find_stage(name, "maquette.recon.stages") for name in names]
    stages = [replace(one, run=lambda *told: Report(()), packages=()) for one in declared]
    options = method.steps[step].options()
    run_stages(stages, step, scene, options, Progress(None), owner_of(scene.pipeline, step))
    write_report(scene, step, OURS.licence)
    write_page(scene)
    path = scene.root / "options.json"
    write_json(path, {})
    return path


def parts_of(stage: Stage) -> tuple[Callable[..., Any], ...]:
    """The functions that do a stage's work."""
    work = stage.run
    return (work.split, work.run, work.merge) if isinstance(work, Sharding) else (work,)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_declares_what_its_modules_do(room: str) -> None:
    """Each stage has a module, each module a stage, and no function is named that is not there.

    A room may have stages of other rooms too, which do their work with options of its own.
    """
    package = import_module(f"maquette.recon.stages.{room}")
    folder = Path(package.__file__).parent
    declared: dict[str, Stage] = dict(package.STAGES)
    for name, stage in package.STAGES.items():
        home, _, module = parts_of(stage)[0].__module__.rpartition(".")
        if home != package.__name__:
            theirs = import_module(home).STAGES[module]
            assert name == module and declared.pop(name).run is theirs.run
            assert stage.own_options is not theirs.own_options
    assert sorted(declared) == sorted(p.stem for p in folder.glob("*.py") if p.stem != "__init__")
    for name, stage in declared.items():
        parts = parts_of(stage)
        assert {part.__module__ for part in parts} == {f"{package.__name__}.{name}"}
        tree = ast.parse((folder / f"{name}.py").read_text(encoding="utf-8"))
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert {part.__name__ for part in parts} <= defined


def test_a_stage_may_declare_itself_in_its_own_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = tmp_path / "a_room_of_another_package"
    room.mkdir()
    (room / "__init__.py").write_text("")
    (room / "one.py").write_text("STAGE = 'declared here'\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert find_stage(f"{room.name}.one") == "declared here"
    assert find_stage(".one", room.name) == "declared here"
    with pytest.raises(ModuleNotFoundError):
        find_stage(f"{room.name}.other")
