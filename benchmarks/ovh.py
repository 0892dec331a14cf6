"""What does the backend for OVHcloud add to the service's own latency, and what do 1,000 jobs cost?

`.venv/bin/python benchmarks/ovh.py [--jobs 1000] [--json]`, against the emulator on this machine.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from maquette.config.settings import Settings
from maquette.emulator.objects import Access
from maquette.emulator.process_runtime import ProcessRuntime
from maquette.emulator.server import Options, RunningEmulator, serving
from maquette.jobs.ledger import find_all
from maquette.jobs.spec import JobSpec, new_job_id
from maquette.runners import tracking
from maquette.runners.ovh import tokens
from maquette.runners.ovh.client import Client
from maquette.runners.ovh.runner import OvhRunner
from rows import Row, print_rows

TRIES = 20
COMMANDS = 5
LIMIT_S = 300


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows: list[Row] = []
    for state, measure in (("QUEUED", overhead), ("PENDING", partial(many, arguments.jobs))):
        with tempfile.TemporaryDirectory() as name, _emulator(Path(name), state) as running:
            os.environ[tokens.VARIABLE] = running.token
            os.environ["XDG_CACHE_HOME"] = os.environ["XDG_CONFIG_HOME"] = name
            rows += measure(Path(name), running)
    print_rows(rows, arguments.json)


@contextmanager
def _emulator(folder: Path, state: str) -> Iterator[RunningEmulator]:
    """An emulator whose jobs stay in a state."""

    @contextmanager
    def stores(alias: str) -> Iterator[Access]:
        yield Access("http://127.0.0.1:9", "none", "none", "none")

    quota = {"CPU": 100_000, "GPU": 100_000}
    with serving(Options(folder / "emulator", ProcessRuntime(), stores, quota=quota)) as running:
        hold = {"kind": "hold", "at": state, "times": 0}
        httpx.post(f"{running.url}/emulator/faults", json=hold).raise_for_status()
        yield running


def overhead(folder: Path, running: RunningEmulator) -> list[Row]:
    """A submission and a question, beside the bare requests that they consist of."""
    runner = OvhRunner()
    plain = httpx.Client(headers={"Authorization": f"Bearer {running.token}"}, timeout=60)
    requests = [runner.plan(_job(folder, running, f"single-{n}")) for n in range(2 * TRIES)]
    bare = [request["body"] for request in requests[TRIES:]]
    job_url = f"{running.url}/v1/job"
    handle = runner.submit(requests[0])
    rows = []
    works: dict[str, tuple[Callable[[int], Any], Callable[[int], Any]]] = {
        "submit": (
            lambda n: runner.submit(requests[n + 1]),
            lambda n: plain.post(job_url, json=bare[n]),
        ),
        "status": (
            lambda n: runner.status(handle),
            lambda n: plain.get(f"{job_url}/{handle['id']}"),
        ),
    }
    for case, (ours, theirs) in works.items():
        rows.append(Row(case, "maquette", "median", _median_ms(ours), "ms"))
        rows.append(Row(case, "bare request", "median", _median_ms(theirs), "ms"))
    return rows


def many(count: int, folder: Path, running: RunningEmulator) -> list[Row]:
    """`maquette jobs` with many live jobs that cost money: time of the command, and requests."""
    plain = httpx.Client(headers={"Authorization": f"Bearer {running.token}"}, timeout=60)
    runner = OvhRunner()
    for number in range(count):
        body = runner.plan(_job(folder, running, f"model-{number}"))["body"]
        nothing_to_copy = {**body, "volumes": []}
        plain.post(f"{running.url}/v1/job", json=nothing_to_copy).raise_for_status()
    _await_billing(plain, running, count)
    settings = Settings(backend="ovh", base_dir=folder, ovh_url=running.url)
    runner.adopt(settings)
    asked = _requests_of(lambda: tracking.refresh_all(find_all(settings.logs_dir)))
    command = [sys.executable, "-m", "maquette.cli.main", "jobs", f"BASE_DIR={folder}"]
    walls, cpus = [], []
    for _ in range(COMMANDS):
        begun, cpu = time.perf_counter(), _cpu_of_children()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        walls.append(time.perf_counter() - begun)
        cpus.append(_cpu_of_children() - cpu)
        assert done.stdout.count("PENDING") >= count
    case = f"jobs, {count} live"
    return [
        Row(case, "maquette", f"wall, median of {COMMANDS}", statistics.median(walls), "s"),
        Row(case, "maquette", f"wall, best of {COMMANDS}", min(walls), "s"),
        Row(case, "maquette", f"CPU of the command, best of {COMMANDS}", min(cpus), "s"),
        Row(case, "maquette", "requests", asked, ""),
    ]


def _await_billing(plain: httpx.Client, running: RunningEmulator, count: int) -> None:
    params = {"size": 1, "statusState": "PENDING"}
    deadline = time.monotonic() + LIMIT_S
    while plain.get(f"{running.url}/v1/job", params=params).json()["metadata"]["total"] < count:
        assert time.monotonic() < deadline, f"not all jobs are billed after {LIMIT_S} s"
        time.sleep(0.5)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _requests_of(work: Callable[[], Any]) -> int:
    asked = 0
    plain = Client._once

    def counting(*words: Any, **options: Any) -> Any:
        nonlocal asked
        asked += 1
        return plain(*words, **options)

    Client._once = counting  # type: ignore[method-assign]
    try:
        work()
    finally:
        Client._once = plain  # type: ignore[method-assign]
    return asked


def _job(folder: Path, running: RunningEmulator, model: str) -> JobSpec:
    settings = Settings(backend="ovh", base_dir=folder, ovh_url=running.url, model=model)
    return JobSpec(
        id=new_job_id("process"),
        model=model,
        group="many",
        pipeline="neuralangelo",
        step="process",
        scene=settings.scene_dir,
        logs=settings.logs_dir,
        command=("true",),
        options={},
        data=settings.data,
        spec={"image": "any", "resources": {"gpu": 0}},
        backend_options=settings.public_backend_options(),
    )


def _median_ms(work: Callable[[int], Any]) -> float:
    walls = []
    for number in range(TRIES - 1):
        begun = time.perf_counter()
        work(number)
        walls.append(time.perf_counter() - begun)
    return 1000 * statistics.median(walls)


if __name__ == "__main__":
    main()
