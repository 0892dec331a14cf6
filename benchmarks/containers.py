"""What does a container cost: the image's size, a build without changes, and the way to a start?

.venv/bin/python benchmarks/containers.py [--json] [--image maquette/recon:0.1.0-cpu] [--runs 5]

Needs a Docker daemon and an image (`make images VARIANT=cpu`). `--build` also times a build: with
what the daemon has in its cache, so the first one on a machine is the whole build.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from maquette.config.settings import Settings
from maquette.containers import building
from maquette.containers.daemon import connected, find_daemon
from maquette.jobs.states import has_ended
from maquette.planning.building import build_job
from maquette.runners.docker.runner import DockerRunner
from maquette.runners.local.runner import LocalRunner
from rows import Row, print_rows

POLL_S = 0.02
LIMIT_S = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--image", default="maquette/recon:0.1.0-cpu")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--build", action="store_true")
    arguments = parser.parse_args()
    rows = [size_of(arguments.image)]
    if arguments.build:
        rows.append(time_of_build())
    for name, runner in (("docker", DockerRunner()), ("local", LocalRunner())):
        times = [start(runner, arguments.image) for _ in range(arguments.runs)]
        for place, metric in enumerate(("submit → running", "submit → first line of the step")):
            value = statistics.median(one[place] for one in times)
            rows.append(Row("start-up", name, f"median {metric}", value, "s"))
    print_rows(rows, arguments.json)


def size_of(image: str) -> Row:
    with connected(find_daemon()) as client:
        size = client.images.get(image).attrs["Size"] / 1e9
    return Row(image, "docker", "size", size, "GB")


def time_of_build() -> Row:
    recipe = building.recipes(Settings(backend="docker", variant="cpu"))[0]
    begun = time.monotonic()
    building.build(recipe, find_daemon(), lambda line: None)
    return Row(recipe.reference, "docker", "build", time.monotonic() - begun, "s")


def start(runner: DockerRunner | LocalRunner, image: str) -> tuple[float, float]:
    """Seconds until the job runs, and until the step itself says its first word."""
    with tempfile.TemporaryDirectory() as folder:
        given = {"image": image} if runner.name == DockerRunner.name else {}
        settings = Settings(
            backend=runner.name, gpu=0, base_dir=Path(folder), model="nothing", **given
        )
        job = build_job("process", settings)
        request = runner.plan(job)
        begun = time.monotonic()
        handle = runner.submit(request)
        running = first = 0.0
        while time.monotonic() - begun < LIMIT_S and not (running and first):
            status = runner.status(handle)
            if not running and (status.state == "RUNNING" or has_ended({"state": status.state})):
                running = time.monotonic() - begun
            if not first and next(iter(runner.logs(handle, follow=False)), ""):
                first = time.monotonic() - begun
            time.sleep(POLL_S)
        while not has_ended({"state": runner.status(handle).state}):
            assert time.monotonic() - begun < LIMIT_S, f"the job has not ended after {LIMIT_S} s"
            time.sleep(POLL_S)
        if isinstance(runner, DockerRunner):
            with connected(find_daemon()) as client:
                client.containers.get(handle["container"]).remove()
        return running, first


if __name__ == "__main__":
    main()
