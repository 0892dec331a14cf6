"""`maquette all BACKEND=ovh` at an emulator, while client, service and steps are killed."""

from __future__ import annotations

import collections
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from command_line import environment
from maquette.containers.daemon import connected, find_daemon
from maquette.jobs.ledger import copies, find_all
from maquette.runners.ovh import tokens
from relay import relay
from s3_server import KEYS
from waiting import wait_for

STEPS = ("prepare", "process", "extract")
VICTIMS = ("client", "service", "step")
# A model that is small, so that its three steps take little more than starting them does.
SMALL = (
    "MODEL=thing", "MATCHER=exhaustive", "RESOLUTION=64", "BLOCK_RES=64", "GPU=0",
    "OVERRIDES=model.object.sdf.encoding.levels=3 model.object.sdf.encoding.hashgrid.dict_size=10 "
    "model.object.sdf.mlp.hidden_dim=16 model.render.rand_rays=64 model.render.cache_resolution=16 "
    "model.background.encoding.levels=2 data.val.subset=1",
)  # fmt: skip


@dataclass(frozen=True)
class Kill:
    """Kill whom when a step has come to its event of a number.

    Attributes:
        number: Counts changes of state of the step's jobs and lines of their logs.
    """

    victim: str
    step: str
    number: int


class Service:
    """The emulator as a process that can be killed and started again at the same address."""

    def __init__(self, folder: Path, runtime: str, second_s: float) -> None:
        self.folder, self.runtime, self._second_s = folder, runtime, second_s
        self.url = ""
        self.start()

    def start(self) -> None:
        log = self.folder / "service.log"
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "maquette.cli.main", "emulator", "LISTEN=127.0.0.1:0",
                 "--second", str(self._second_s), "--runtime", self.runtime],
                cwd=self.folder, env=environment(PYTHONUNBUFFERED="1"), stdout=output,
            )  # fmt: skip
        found = wait_for(
            lambda: re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text()), 270, "the emulator"
        )
        self.port = int(found[1])

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def kill_steps(self) -> bool:
        """Kill the steps that run; says whether there was one."""
        if self.runtime == "container":
            with connected(find_daemon()) as client:
                running = [c for c in _containers(client, self.folder) if c.status == "running"]
                for container in running:
                    assert KEYS.secret_key not in json.dumps(container.attrs)
                    container.kill()
            return bool(running)
        killed = False
        for process in psutil.process_iter(["cmdline"]):
            line = " ".join(process.info["cmdline"] or ())
            if "maquette-step" in line and f"{self.folder}/" in line and " sh " not in line:
                os.kill(process.pid, signal.SIGKILL)
                killed = True
        return killed

    def remove_containers(self) -> None:
        if self.runtime == "container":
            with connected(find_daemon()) as client:
                for container in _containers(client, self.folder):
                    container.remove(force=True)

    @property
    def token(self) -> str:
        return (self.folder / ".emulator" / "token").read_text().strip()

    def ask(self, path: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.get(f"{self.url}/v1/job{path}", headers=headers, timeout=60)

    def jobs(self) -> list[dict[str, Any]]:
        return list(self.ask("").json()["items"])

    def events(self, step: str) -> int:
        """How many there were so far of a step's jobs."""
        jobs = [job for job in self.jobs() if job["spec"]["labels"]["maquette-step"] == step]
        logs = [self.ask(f"/{job['id']}/log") for job in jobs]
        lines = [log.text.count("\n") for log in logs if log.is_success]
        return sum(lines) + sum(len(job["status"]["history"]) for job in jobs)


@contextmanager
def service_at(folder: Path, runtime: str, second_s: float = 0.2) -> Iterator[Service]:
    """The emulator behind an address that stays, with its memory below a folder."""
    service = Service(folder, runtime, second_s)
    with relay(lambda: service.connect()) as port:
        service.url = f"http://127.0.0.1:{port}"
        try:
            yield service
        finally:
            service.kill()
            service.remove_containers()


def run_through_kills(words: Sequence[str], service: Service, kills: Sequence[Kill]) -> list[str]:
    """Give the command until it succeeds, and kill meanwhile; returns who was killed."""
    log = service.folder / "client.log"
    told = environment(**{tokens.VARIABLE: service.token})
    command = [sys.executable, "-m", "maquette.cli.main", *words, f"OVH_URL={service.url}"]

    def give() -> subprocess.Popen[bytes]:
        with open(log, "ab") as output:
            return subprocess.Popen(
                command, cwd=service.folder, env=told, stdout=output, stderr=output
            )

    killed, client = [], give()
    with closing(_Ending(client)) as ending:
        for kill in kills:
            if ending.client.poll() is not None and ending.client.returncode:
                ending.client = give()
            wait_for(
                lambda kill=kill: service.events(kill.step) >= kill.number
                or ending.client.poll() is not None,
                600, f"event {kill.number} of {kill.step}",
            )  # fmt: skip
            if ending.client.poll() is None and _kill(kill.victim, ending.client, service):
                killed.append(kill.victim)
        for _ in range(len(kills) + 1):
            if ending.client.wait(1500) == 0:
                return killed
            ending.client = give()
    raise AssertionError(log.read_text()[-5000:])


class _Ending:
    """The client of now, which ends with the test."""

    def __init__(self, client: subprocess.Popen[bytes]) -> None:
        self.client = client

    def close(self) -> None:
        self.client.kill()
        self.client.wait()


def _kill(victim: str, client: subprocess.Popen[bytes], service: Service) -> bool:
    if victim == "client":
        client.kill()
        client.wait()
    elif victim == "service":
        service.kill()
        service.start()
    else:
        found = wait_for(
            lambda: (service.kill_steps() and "step") or (client.poll() is not None and "nobody"),
            600, "a step that runs",
        )  # fmt: skip
        return found == "step"
    return True


def _containers(client: Any, folder: Path) -> list[Any]:
    """The containers of the emulator whose memory lies in a folder."""
    jobs = {path.stem for path in (folder / ".emulator" / "jobs").glob("*.json")}
    every = client.containers.list(
        all=True, ignore_removed=True, filters={"label": "maquette-emulator"}
    )
    return [one for one in every if one.labels["maquette-emulator"].rpartition("-")[0] in jobs]


def assert_nothing_twice(service: Service) -> None:
    """Each job at the service has its own id of ours and a document; each step is done once."""
    jobs = service.jobs()
    ours = collections.Counter(job["spec"]["labels"]["maquette-job"] for job in jobs)
    assert set(ours.values()) == {1}
    logs = service.folder / "logs"
    assert set(ours) <= {path.stem for path in copies(logs)}
    done = [
        job["spec"]["labels"]["maquette-step"] for job in jobs if job["status"]["state"] == "DONE"
    ]
    assert sorted(done) == sorted(STEPS)
    ledgers = {ledger.step: ledger for ledger in find_all(logs)}
    for step in STEPS:
        assert ledgers[step].read()["status"]["state"] == "DONE"


def assert_no_keys_anywhere(folder: Path) -> None:
    for path in (folder / ".emulator").rglob("*"):  # the service has the line that leads to them
        assert not path.is_file() or KEYS.secret_key.encode() not in path.read_bytes(), path
    secrets = (KEYS.secret_key.encode(), b"X-Amz-Signature=")
    for path in (*(folder / "logs").rglob("*"), *(folder / "scenes").rglob("*")):
        if path.is_file():
            assert not any(secret in path.read_bytes() for secret in secrets), path
