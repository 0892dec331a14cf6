"""Kill photogrammetry at each file that it writes: the same step again ends as if it had not been.

A kill comes just before or just after the n-th file takes its name, so each state of the scene
that a kill can leave behind is seen, and no clock matters.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from maquette.errors import Interrupted
from maquette.pipelines.photogrammetry.options import ExtractOptions, ProcessOptions
from maquette.pipelines.registry import get_pipeline
from maquette.recon import step as steps
from maquette.recon import stopping
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.running import run_stages
from synthetic_scene import write_landmarks, write_posed_scene
from turns import linked_copy, made_once

OPTIONS = {
    "process": ProcessOptions(gpus=0, sweeps="3 2", source_views=4, speckle_size=20),
    "extract": ExtractOptions(
        gpus=0, refine=True, refine_rounds="1", faces=500, texture_size=256, unseen="keep",
    ),
}  # fmt: skip
KILLED = -signal.SIGKILL
PARTS = 4  # in which each case can be run by itself
_OF_A_RUN = {"started_at", "wall_s", "peak_bytes", "gpu_peak_bytes", "versions", "seconds"}


def make_prepared(root: Path) -> None:
    write_landmarks(write_posed_scene(root / "thing", 12, 96, 72), 400)


def make_processed(root: Path) -> None:
    linked_copy(made_once("dense to kill", make_prepared), root)
    assert run(root / "thing", "process") == 0


MAKERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "process": ("dense to kill", make_prepared),
    "extract": ("mesh to kill", make_processed),
}


def run(root: Path, step: str, signal_number: int = 0, at: int = 0) -> int:
    """Run a step in a process of its own, which gets a signal at a rename; its exit code.

    Args:
        at: Odd: before a file takes its name, even: after it.
    """
    child = os.fork()
    if child == 0:
        os._exit(_run_here(root, step, signal_number, at))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _run_here(root: Path, step: str, signal_number: int, at: int) -> int:
    count, rename = 0, Path.replace

    def renamed(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if 2 * count - 1 == at:
            os.kill(os.getpid(), signal_number)
        done = rename(self, target)
        if 2 * count == at:
            os.kill(os.getpid(), signal_number)
        return done

    Path.replace = renamed  # type: ignore[assignment]
    stopping.install()
    scene = Scene(root, "photogrammetry")
    stages = steps._load(get_pipeline("photogrammetry").steps[step].stages)
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        try:
            run_stages(stages, step, scene, OPTIONS[step], Progress(log=nowhere))
        except Interrupted as stop:
            return int(stop.exit_code)
        except BaseException as error:
            print(error, file=sys.stderr)
            return 1
    return 0


def content(root: Path) -> dict[str, Any]:
    """All that a step left, but for times and what kills left half written."""
    files = [path for path in root.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(root)): _told(path)
        for path in files
        if not path.name.startswith(".") and path.suffix != ".jsonl"
    }


def _told(path: Path) -> Any:
    if path.suffix != ".json" or path.name == "transforms.json":
        return path.read_bytes()
    return _without_times(json.loads(path.read_text(encoding="utf-8")))


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(x) for key, x in value.items() if key not in _OF_A_RUN}
    return [_without_times(item) for item in value] if isinstance(value, list) else value


def places(total: int, part: int, most: int = 16) -> Iterator[int]:
    """Numbers of renames at which to kill, spread evenly over all; those of one part of PARTS."""
    yield from sorted({1 + number * (total - 1) // (most - 1) for number in range(most)})[
        part::PARTS
    ]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("step", ["process", "extract"])
def test_a_kill_at_any_file_costs_no_more_than_time(
    tmp_path: Path, step: str, number: signal.Signals, part: int
) -> None:
    base = made_once(*MAKERS[step])
    whole = linked_copy(base, tmp_path / "whole") / "thing"
    assert run(whole, step) == 0
    wanted, new = content(whole), len(content(whole)) - len(content(base / "thing"))
    for place in places(2 * new, part):
        root = linked_copy(base, tmp_path / f"at {place}") / "thing"
        code = run(root, step, number, place)
        assert code == (KILLED if number == signal.SIGKILL else 130), place
        assert run(root, step) == 0, place
        found = content(root)
        assert found.keys() == wanted.keys(), place
        assert [name for name in wanted if found[name] != wanted[name]] == [], place
