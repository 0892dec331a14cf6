"""Who may know whom: no generic room asks for a backend or a pipeline by its name."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest

from maquette.pipelines.options import ShardedStepOptions, StepOptions, options_of
from maquette.pipelines.registry import all_pipelines, names
from maquette.publishing.options import PublishOptions
from maquette.runners.registry import BACKENDS
from maquette.viewer.blender import build_addon

NUMPY = Path(numpy.__file__).parent
ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python" / "maquette"
OWN_FOLDERS = {
    **{name: f"python/maquette/runners/{name}/" for name in BACKENDS},
    **{name: f"python/maquette/pipelines/{name}/" for name in names()},
}
# Where a name stands all the same, and why.
ALLOWED = {
    ("python/maquette/runners/registry.py", "*"): "the one list of backends",
    ("python/maquette/pipelines/registry.py", "neuralangelo"): "which pipeline is the default",
    ("python/maquette/emulator/", "ovh"): "it plays that service and shares its words",
    ("python/maquette/containers/", "docker"): "the program of that name",
    ("python/maquette/storage/", "local"): "a side of a transfer",
    ("python/maquette/agent/scene_sync.py", "local"): "a side of a transfer",
    ("python/maquette/config/settings.py", "local"): "a side of a transfer",
    ("python/maquette/recon/splats/", "splat"): "the format of that name, and SplatWalk's word",
    ("python/maquette/recon/mvsnet/", "mvsnet"): "the network of that name, as it was published",
    ("python/maquette/recon/page_data/", "splat"): "the format of that name",
    ("python/maquette/pipelines/dense.py", "mvsnet"): "the network of that name, for DEPTH",
    ("python/maquette/recon/stages/dense/mvsnet_folder.py", "mvsnet"): "the form of that name",
    ("python/maquette/publishing/", "splat"): "the format of that name",
    ("tests/contract/conftest.py", "docker"): "a tier of tests",
}
SUITE = ("tests/contract/test_runner_contract.py", "tests/contract/conftest.py",
         "tests/job_making.py")  # fmt: skip


def sources() -> Iterator[Path]:
    yield from PACKAGE.rglob("*.py")
    yield from (ROOT / name for name in SUITE)


@pytest.mark.parametrize("name", sorted(OWN_FOLDERS))
def test_no_generic_room_knows_it_by_name(name: str) -> None:
    asked = re.compile(rf"[\"']{name}[\"']|maquette\.runners\.{name}\b")
    found = []
    for path in sources():
        place = path.relative_to(ROOT).as_posix()
        if place.startswith(OWN_FOLDERS[name]) or is_allowed(place, name):
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        found += [f"{place}:{n}: {line}" for n, line in enumerate(lines, 1) if asked.search(line)]
    assert not found, "ask the registry, or for a power of runners/base.py"


def test_no_generic_room_names_an_option_of_one_pipeline() -> None:
    """A hint, a table or a law of work comes from the pipeline's description."""
    own = "python/maquette/pipelines/", "python/maquette/recon/"
    for pipeline in all_pipelines():
        shared = [step.options for step in pipeline.steps.values() if step.is_shared]
        shared.append(PublishOptions)  # publish asks for them whatever the pipeline
        shared += [StepOptions, ShardedStepOptions]  # whose shards any backend may spread
        common = {option.setting for kind in shared for option in options_of(kind)}
        names = "|".join(sorted(pipeline.settings().keys() - common))
        asked = re.compile(rf"\b({names})\b|epoch_")
        found = []
        for path in PACKAGE.rglob("*.py"):
            place = path.relative_to(ROOT).as_posix()
            if not place.startswith(own) and place != "python/maquette/scene/checkpoints.py":
                lines = path.read_text(encoding="utf-8").splitlines()
                found += [f"{place}: {line}" for line in lines if asked.search(line)]
        assert not found, f"{pipeline.name} declares it: ask its steps"


def test_the_add_ons_zip_holds_all_that_its_shared_code_imports(tmp_path: Path) -> None:
    """Blender has nothing of ours but the zip."""
    with zipfile.ZipFile(build_addon(tmp_path / "addon.zip")) as archive:
        archive.extractall(tmp_path)
    (addon,) = (path for path in tmp_path.iterdir() if path.is_dir())
    asked = re.compile(r"^from (maquette[\w.]*) import (\w+)", re.MULTILINE)
    found = {pair for path in addon.glob("*.py") for pair in asked.findall(path.read_text())}
    code = "import sys; sys.path[:0] = sys.argv[1:]\n"
    code += "\n".join(f"from {module} import {name}" for module, name in sorted(found))
    # Without `site`, which would find our own package too; numpy is all that Blender brings.
    argv = [sys.executable, "-S", "-c", code, str(addon / "shared"), str(NUMPY.parent)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0 and len(found) > 5, done.stderr


def is_allowed(place: str, name: str) -> bool:
    return any(place.startswith(path) and known in (name, "*") for path, known in ALLOWED)


def test_algorithms_take_no_options_of_a_step() -> None:
    """Below the wall, stages and the step's program alone know what a pipeline is."""
    recon = PACKAGE / "recon"
    found = []
    for path in sorted(recon.rglob("*.py")):
        if recon / "stages" in path.parents or path == recon / "step.py":
            continue
        found += [
            f"{path.relative_to(ROOT)}:{node.lineno}"
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if _imports(node, "maquette.pipelines")
        ]
    assert not found, "give the algorithm small options of its own, and fill them in the stage"


def _imports(node: ast.AST, package: str) -> bool:
    if isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        modules = [f"{node.module}.{alias.name}" for alias in node.names]
    else:
        return False
    return any(f"{module}.".startswith(f"{package}.") for module in modules)
