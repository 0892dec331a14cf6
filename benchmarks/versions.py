"""How many rays a second does training handle, beside an earlier version of this project?

    .venv/bin/python benchmarks/versions.py --scene DIR --before COMMIT [--rounds 8] [--json]
        [--with 'model.render.num_samples.shaded=4 …']

The versions take turns, ten iterations each, so that a busy machine is unfair to none: rays per
second of wall time and of processor time, medians. DIR is a scene that process has finished; its
cameras and newest checkpoint are used. The earlier version, which can not read that checkpoint,
first trains 300 iterations, until all levels of its grid are active. --with adds the present
version with these overrides.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from rows import Row, print_rows

HERE = Path(__file__).parent
AT_ONCE = 10
WARM_UP = 300
ITERATIONS = 2000
PHASES = {"shape": 900, "colours": 1900}  # an iteration of each, of ITERATIONS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--scene", type=Path, required=True)
    parser.add_argument("--group", default="experiments")
    parser.add_argument("--before", default="", help="a commit")
    parser.add_argument("--with", dest="overrides", default="", help="a.b.c=value …")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work is not None:
        work(arguments)
        return
    with tempfile.TemporaryDirectory() as folder, started(arguments, Path(folder)) as workers:
        print_rows(take_turns(workers, arguments.rounds), arguments.json)


@contextmanager
def started(arguments: argparse.Namespace, folder: Path) -> Iterator[dict[tuple[str, str], Any]]:
    """Workers by version and phase; the earlier version is checked out into `folder`."""
    same = ["--scene", str(arguments.scene), "--group", arguments.group]
    calls: dict[tuple[str, str], tuple[Path, list[str]]] = {}
    if arguments.before:
        add = ["git", "-C", str(HERE), "worktree", "add", "--quiet", "--detach"]
        subprocess.run([*add, str(folder / "before"), arguments.before], check=True)
        calls["shape", arguments.before] = (folder / "before", ["--work", "0"])
    for phase, iteration in PHASES.items():
        calls[phase, "now"] = (HERE.parent, ["--work", str(iteration)])
        if arguments.overrides:
            words = ["--work", str(iteration), "--with", arguments.overrides]
            calls[phase, "now, with"] = (HERE.parent, words)
    workers = {}
    for name, (root, words) in calls.items():
        workers[name] = subprocess.Popen(
            [sys.executable, __file__, *same, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root / "python")},
        )
    try:
        yield workers
    finally:
        for worker in workers.values():
            worker.kill()
        if arguments.before:
            remove = ["git", "-C", str(HERE), "worktree", "remove", "--force"]
            subprocess.run([*remove, str(folder / "before")], check=True)


def take_turns(workers: dict[tuple[str, str], Any], rounds: int) -> list[Row]:
    found: dict[tuple[str, str], list[tuple[float, float]]] = {name: [] for name in workers}
    for worker in workers.values():
        worker.stdout.readline()  # it is ready
    for _ in range(rounds):
        for name, worker in workers.items():
            worker.stdin.write("go\n")
            worker.stdin.flush()
            wall, cpu = map(float, worker.stdout.readline().split())
            found[name].append((wall, cpu))
    return [
        Row(phase, version, metric, statistics.median(column), "rays/s")
        for (phase, version), speeds in found.items()
        for metric, column in zip(("wall", "processor"), zip(*speeds, strict=True), strict=True)
    ]


def work(arguments: argparse.Namespace) -> None:
    """Iterate when told to, and say how many rays that were a second."""
    trainer = _trainer(arguments)
    trainer.step()
    print("ready", flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(AT_ONCE):
            trainer.step()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        rays = AT_ONCE * trainer.config.model.render.rand_rays
        print(rays / wall, rays / cpu, flush=True)


def _trainer(arguments: argparse.Namespace) -> Any:
    from maquette.recon.surface import training
    from maquette.recon.surface.options import TrainingOptions
    from maquette.scene.paths import Scene

    if not arguments.work:
        return _warmed_up(Scene(arguments.scene))
    scene = Scene(arguments.scene, "neuralangelo")
    from maquette.recon.surface import states
    from maquette.recon.training.process_group import ProcessGroup, use_threads
    from maquette.scene import checkpoints

    pairs = (word.split("=") for word in arguments.overrides.split())
    overrides = {name: yaml.safe_load(value) for name, value in pairs}
    options = TrainingOptions(iterations=ITERATIONS, preset="preview", overrides=overrides)
    trainer = training.build(scene, options, ProcessGroup())
    use_threads()
    trainer.restore(states.read(checkpoints.newest(scene.run(arguments.group)).path))
    trainer.iteration = arguments.work
    return trainer


def _warmed_up(scene: Any) -> Any:
    """A trainer of the first version, whose modules had other signatures."""
    import torch

    from maquette.recon.surface import landmarks, merging, training
    from maquette.recon.surface.dataset import PixelDataset, split
    from maquette.recon.surface.trainer import Trainer
    from maquette.scene import transforms

    settings = merging.merge("preview", scene.config, {}, iterations=ITERATIONS // 2)
    cameras, device = transforms.read(scene.transforms), torch.device("cpu")
    kept, _ = split(cameras.frames)
    training._use_threads()
    points = landmarks.read(scene, cameras.frames, cameras.region, device)
    dataset = PixelDataset(scene, kept, cameras.region, device, None)
    trainer = Trainer(settings, dataset, cameras.region, device, 0, points)
    trainer.prepare()
    while trainer.iteration < WARM_UP:
        trainer.step()
    return trainer


if __name__ == "__main__":
    main()
