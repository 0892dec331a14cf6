"""Kill a training of splats anywhere, fifty times: it ends as the one that nobody killed."""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from maquette.recon.splats.options import SplatOptions
from maquette.recon.splats.trainer import SplatTrainer
from maquette.recon.splats.training import train
from maquette.recon.training.options import RunOptions
from maquette.recon.training.trainable import Metrics
from maquette.scene import checkpoints
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.transforms import Transforms, write
from splat_ring import frames_around
from turns import linked_copy, made_once

OPTIONS = SplatOptions(iterations=40, cap=300, degree=1, exposure=True)
KILLS, SAVE_EVERY = 50, 7


def make_scene(root: Path) -> None:
    scene = Scene(root / "thing")
    frames = frames_around(scene, 14, 48)
    write(scene.transforms, Transforms(tuple(frames), Region.around([0, 0, 0], 1.0)))


def run(root: Path, kill_at: int = 0) -> int:
    """Train in a process of its own; its exit code.

    Args:
        kill_at: Number of the event at which it is killed: before an iteration, and before and
            after a file takes its name; 0: not at all.
    """
    child = os.fork()
    if child == 0:
        os._exit(_run_here(root, kill_at))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _run_here(root: Path, kill_at: int) -> int:
    rename, step, count = Path.replace, SplatTrainer.step, 0

    def event() -> None:
        nonlocal count
        count += 1
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def renamed(self: Path, target: Path) -> Path:
        event()
        done = rename(self, target)
        event()
        return done

    def stepped(self: SplatTrainer) -> Metrics:
        event()
        return step(self)

    Path.replace = renamed  # type: ignore[assignment]
    SplatTrainer.step = stepped  # type: ignore[method-assign]
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        ways = RunOptions(gpus=0, save_iterations=SAVE_EVERY)
        try:
            train(Scene(root / "thing", "splat"), "g", OPTIONS, ways, Progress(log=nowhere))
        except BaseException as error:
            print(error, file=sys.stderr)
            return 1
    (root / "events").write_text(str(count))
    return 0


def state(root: Path) -> dict[str, Any]:
    path = checkpoints.chosen(Scene(root / "thing", "splat").run("g")).path
    found: dict[str, Any] = torch.load(path, weights_only=True)
    return found


def different(left: Any, right: Any, name: str = "") -> list[str]:
    """Names of what is not the same to the last bit."""
    if isinstance(left, torch.Tensor):
        return [] if torch.equal(left, right) else [name]
    if isinstance(left, dict):
        if left.keys() != right.keys():
            return [name]
        return [n for key in left for n in different(left[key], right[key], f"{name}.{key}")]
    if isinstance(left, (list, tuple)):
        pairs = zip(left, right, strict=True)
        return [
            n for i, (one, other) in enumerate(pairs) for n in different(one, other, f"{name}.{i}")
        ]
    return [] if left == right else [name]


@pytest.mark.timeout(1500)
def test_fifty_kills_change_nothing(tmp_path: Path, seed: int) -> None:
    base = made_once("ring of splats", make_scene)
    whole = linked_copy(base, tmp_path / "whole")
    assert run(whole) == 0
    wanted, events = state(whole), int((whole / "events").read_text())
    assert wanted["iteration"] == OPTIONS.iterations and events > 60
    draw = random.Random(seed)
    for kill in range(KILLS):
        root = linked_copy(base, tmp_path / f"kill {kill}")
        place = draw.randint(1, events - 1)
        assert run(root, place) == -signal.SIGKILL, place
        assert run(root) == 0, place
        assert different(wanted, state(root)) == [], place
