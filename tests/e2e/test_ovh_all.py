"""`maquette all BACKEND=ovh` on the sample, killed at random moments and continued.

Nothing is paid twice, and the mesh is as good as one that this machine makes by itself.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import trimesh

from command_line import ROOT, environment, maquette
from maquette.containers.engines import connected, find_engine
from maquette.runners.ovh import tokens
from recon_image import recon_image
from s3_server import KEYS
from waiting import wait_for

ITERATIONS = 400
SMALL = (
    "MODEL=thing", f"INPUT={ROOT / 'samples' / 'owl.mp4'}", "FRAMES=24", "MATCHER=exhaustive",
    f"ITERATIONS={ITERATIONS}", "RESOLUTION=64", "BLOCK_RES=64", "GPU=0",
    "OVERRIDES=model.object.sdf.encoding.levels=3 model.object.sdf.encoding.hashgrid.dict_size=10 "
    "model.object.sdf.mlp.hidden_dim=16 model.render.rand_rays=64 model.render.cache_resolution=16 "
    "model.background.encoding.levels=2 data.val.subset=1",
)  # fmt: skip
LIMIT_S = 1500.0
Numbers = dict[str, Any]


class Service:
    """The emulator as a process that can be killed and started again."""

    def __init__(self, folder: Path, engine: str) -> None:
        self.folder, self.engine = folder, engine
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "maquette.cli.main", "emulator", f"LISTEN=127.0.0.1:{self.port}",
             "--second", "0.2", "--engine", self.engine],
            cwd=self.folder, env=environment(), stdout=subprocess.DEVNULL,
        )  # fmt: skip
        wait_for(self.answers, 120, "the emulator")

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/emulator/faults").is_success
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def kill_steps(self) -> bool:
        """Kill the processes of steps that run; says whether there was one."""
        killed = False
        for process in psutil.process_iter(["cmdline"]):
            line = " ".join(process.info["cmdline"] or ())
            if "maquette-step" in line and str(self.folder) in line and " sh " not in line:
                os.kill(process.pid, signal.SIGKILL)
                killed = True
        return killed

    def kill_containers(self) -> bool:
        """Kill the containers of jobs that run; says whether there was one."""
        with connected(find_engine()) as client:
            running = [one for one in _containers(client, self.folder) if one.status == "running"]
            for container in running:
                assert KEYS.secret_key not in json.dumps(container.attrs)
                container.kill()
        return bool(running)

    def remove_containers(self) -> None:
        if self.engine == "container":
            with connected(find_engine()) as client:
                for container in _containers(client, self.folder):
                    container.remove(force=True)

    @property
    def token(self) -> str:
        return (self.folder / ".emulator" / "token").read_text().strip()

    def jobs(self) -> list[dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self.token}"}
        return list(httpx.get(f"{self.url}/v1/job", headers=headers).json()["items"])


def _containers(client: Any, folder: Path) -> list[Any]:
    """The containers of the emulator whose memory lies in a folder."""
    jobs = {path.stem for path in (folder / ".emulator" / "jobs").glob("*.json")}
    every = client.containers.list(
        all=True, ignore_removed=True, filters={"label": "maquette-emulator"}
    )
    return [one for one in every if one.labels["maquette-emulator"].rpartition("-")[0] in jobs]


def _free_port() -> int:
    """A port that no outgoing connection can take while the service is down."""
    for port in range(20000 + os.getpid() % 9000, 32000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")


@pytest.fixture(scope="module")
def made_here(tmp_path_factory: pytest.TempPathFactory) -> Numbers:
    """What `maquette evaluate` says of a run of the same settings on this machine."""
    folder = tmp_path_factory.mktemp("here")
    done = maquette(folder, "all", "BACKEND=local", *SMALL, limit_s=LIMIT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return _evaluated(folder)


@pytest.mark.slow
@pytest.mark.timeout(5400)
@pytest.mark.parametrize(
    ("carry", "engine", "kills", "seed"),
    [
        ("mount", "process", 5, 1),
        ("mount", "container", 1, 3),
        ("store", "process", 2, 4),
        ("store", "container", 2, 5),
    ],
)
def test_all_three_steps_through_random_kills(
    tmp_path: Path,
    made_here: Numbers,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    carry: str,
    engine: str,
    kills: int,
    seed: int,
) -> None:
    """Client, service and step die at random moments; the same command brings it to its end."""
    image = recon_image() if engine == "container" else "any"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    if carry == "store":  # an agent has to know its store's address, which a built-in one changes
        request.getfixturevalue("person" if engine == "process" else "person_of_containers")
    service = Service(tmp_path, engine)
    words = ["all", "BACKEND=ovh", f"OVH_URL={service.url}", f"IMAGE={image}", "RETRIES=6"]
    words += [f"CARRY={carry}", "SYNC_MINUTES=0.2", f"BUCKET_NAME=e2e-{carry}-{seed}"]
    command = [sys.executable, "-m", "maquette.cli.main", *words, *SMALL]
    try:
        victims = _run_through_kills(command, service, random.Random(seed), kills)
        assert set(victims) - {"nobody"}
        _assert_nothing_twice(tmp_path, service)
        _assert_no_keys_anywhere(tmp_path)
        _assert_as_good(_evaluated(tmp_path), made_here)
        _assert_mesh_as_made_here(tmp_path)
    finally:
        service.kill()
        service.remove_containers()


def _run_through_kills(
    command: list[str], service: Service, chance: random.Random, kills: int
) -> list[str]:
    """Give the command again until it succeeds; returns who was killed meanwhile."""
    told, victims = environment(**{tokens.VARIABLE: service.token}), []
    for kills_left in reversed(range(kills + 1)):
        client = subprocess.Popen(
            command, cwd=service.folder, env=told, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if kills_left:
            try:
                client.communicate(timeout=chance.uniform(1, 25))
            except subprocess.TimeoutExpired:
                victims.append(_kill_one(chance, client, service))
        said, _ = client.communicate(timeout=LIMIT_S)
        if client.returncode == 0:
            return victims
    raise AssertionError(said.decode())


def _kill_one(chance: random.Random, client: subprocess.Popen[bytes], service: Service) -> str:
    victim = chance.choice(["client", "service", "step"])
    if victim == "client":
        client.kill()
    elif victim == "service":
        service.kill()
        service.start()
    else:
        kill = service.kill_containers if service.engine == "container" else service.kill_steps
        victim = wait_for(
            lambda: (kill() and "step") or (client.poll() is not None and "nobody"),
            LIMIT_S,
            "a step that runs",
        )
    return victim


def _evaluated(folder: Path) -> Numbers:
    truth = ROOT / "samples" / "owl"
    words = ["MODEL=thing", "GPU=0", f"GROUND_TRUTH={truth}", "--json"]
    done = maquette(folder, "evaluate", *words, limit_s=LIMIT_S)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def _assert_no_keys_anywhere(folder: Path) -> None:
    for path in (folder / ".emulator").rglob("*"):  # the service has the line that leads to them
        assert not path.is_file() or KEYS.secret_key.encode() not in path.read_bytes(), path
    secrets = (KEYS.secret_key.encode(), b"X-Amz-Signature=")
    for path in (*(folder / "logs").rglob("*"), *(folder / "scenes").rglob("*")):
        if path.is_file():
            assert not any(secret in path.read_bytes() for secret in secrets), path


def _assert_as_good(theirs: Numbers, ours: Numbers) -> None:
    """Another order of threads or seed moved Chamfer by half and PSNR by 0.25 dB (six runs)."""
    told = f"there {theirs}, here {ours}"
    assert theirs["registered_ratio"] == ours["registered_ratio"] == 1.0, told
    ran = theirs["details"]["iteration"], theirs["details"]["mesh_iteration"]
    assert ran == (ITERATIONS, ITERATIONS), told
    assert 0.5 < theirs["chamfer_relative"] / ours["chamfer_relative"] < 2, told
    assert theirs["psnr_db"] == pytest.approx(ours["psnr_db"], abs=0.7), told


def _assert_mesh_as_made_here(folder: Path) -> None:
    """What was pulled is whole: this machine makes the same mesh of the pulled checkpoint."""
    file = folder / "scenes" / "thing" / "mesh" / "thing.ply"
    theirs = trimesh.load(file)
    words = ["run", "extract", "BACKEND=local", *SMALL]
    done = maquette(folder, *words, limit_s=LIMIT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    ours = trimesh.load(file)
    assert len(theirs.faces) > 100 and len(theirs.faces) == len(ours.faces)
    assert np.allclose(theirs.bounds, ours.bounds, rtol=1e-3)
    assert theirs.area == pytest.approx(ours.area, rel=1e-3)


def _assert_nothing_twice(folder: Path, service: Service) -> None:
    """Each job at the service has its own id of ours and a document; each step is done once."""
    jobs = service.jobs()
    ours = collections.Counter(job["spec"]["labels"]["maquette-job"] for job in jobs)
    assert set(ours.values()) == {1}
    history = folder / "logs" / "experiments" / "thing" / "history"
    assert set(ours) <= {path.stem for path in history.glob("*.json")}
    done = [
        job["spec"]["labels"]["maquette-step"] for job in jobs if job["status"]["state"] == "DONE"
    ]
    assert sorted(done) == ["extract", "prepare", "process"]
    for step in ("prepare", "process", "extract"):
        document = json.loads((history.parent / f"{step}_job.json").read_text())
        assert document["status"]["state"] == "DONE"
