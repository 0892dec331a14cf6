"""Work that a container could not push, for want of its store or of room on its disk."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from container_person import ALIAS, Person, newest, person_at
from fault_proxy import Fault, proxy_to
from maquette.agent.arguments import UNSAVED
from maquette.config.settings import Settings
from maquette.containers.daemon import connected, find_daemon
from maquette.jobs.spec import JobSpec
from maquette.jobs.states import has_ended
from maquette.planning.building import build_job
from maquette.runners import tracking
from maquette.runners.base import Request
from maquette.runners.docker.runner import DockerRunner
from maquette.scene import checkpoints
from s3_server import KEYS
from synthetic_scene import write_posed_scene
from tiny_training import LARGE, TINY
from waiting import wait_for

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
LIMIT_S = 120.0
RUN = "runs/neuralangelo/experiments"
CONTAINER_SCENE = "/workspace/scenes/thing"


@dataclass
class Connection:
    """The way to the store."""

    is_cut: bool = False


class Impatient(DockerRunner):
    """Tells the agent more than settings can, so that a test need not wait for ten minutes."""

    def __init__(self, step: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._step = step

    def plan(self, job: JobSpec) -> Request:
        request = super().plan(job)
        command, end = request["command"], request["command"].index("--")
        agent = [*command[:end], "--store-patience-s", "3", "--least-disk-gb", "0", "--"]
        return {**request, "command": [*agent, *(self._step or command[end + 1 :])]}


@pytest.fixture
def connection() -> Connection:
    return Connection()


@pytest.fixture
def user(
    tmp_path: Path,
    reachable_endpoint: str,
    image: str,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Person]:
    """A person whose way to the store can be cut, with a scene that can be trained."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS.secret_key)
    host = urlsplit(reachable_endpoint).hostname or ""

    def judge(method: str, path: str) -> Fault | None:
        return Fault(request_bytes=0) if connection.is_cut else None

    with (
        proxy_to(reachable_endpoint, judge, host=host) as proxy,
        person_at(tmp_path, proxy.endpoint, image) as user,
    ):
        write_posed_scene(user.scene, count=14, width=96, height=72)
        yield user
        connection.is_cut = False


def training(user: Person, overrides: str = TINY, **more: object) -> JobSpec:
    given = {"backend": "docker", "carry": "store", "gpu": 0, "model": "thing", "datastore": ALIAS}
    given |= {"bucket_name": user.bucket.name, "image": user.image, "base_dir": user.base}
    given |= {"overrides": overrides.removeprefix("OVERRIDES="), "iterations": 3}
    return build_job("process", Settings(**{**given, **more}))


def test_work_is_kept_while_the_store_is_away_and_can_be_fetched(
    user: Person, connection: Connection
) -> None:
    job = training(user)
    handle = tracking.submit(job, Impatient())["maquette"]["handle"]
    wait_for(lambda: "schedule for" in log_of(handle), LIMIT_S, "training")
    connection.is_cut = True
    document = ended_in(job, LIMIT_S)
    assert (document["status"]["state"], document["status"]["exitCode"]) == ("FAILED", UNSAVED)
    reason = document["maquette"]["reason"]
    assert "could not be pushed" in reason["what"]

    left = user.run("clean-containers", "YES=1")
    assert left.returncode == 0 and "not all pushed" in left.stdout
    assert "may hold work that was not pushed: it is left" in left.stderr
    assert not (user.scene / RUN / checkpoints.POINTER).exists()
    fetch = printed_command(reason["hint"], " cp ")
    done = subprocess.run(fetch, shell=True, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{fetch}: {done.stderr}"
    assert newest(user.scene) == 3

    connection.is_cut = False
    pushed = user.run("data", "push")
    assert pushed.returncode == 0, pushed.stdout + pushed.stderr
    assert user.bucket.head(f"{RUN}/{checkpoints.POINTER}")
    again = user.run("run", "process", "ITERATIONS=4", TINY)
    assert again.returncode == 0, again.stdout + again.stderr
    assert newest(user.scene) == 4
    with connected(find_daemon()) as client:
        kept = client.containers.list(all=True, filters={"volume": user.volume})
        assert [container.labels["maquette-job"] for container in kept] != [job.id]
        assert len(kept) == 1, "the one before went: its volume is the new one's"


@pytest.mark.soak
def test_kept_work_is_given_up_by_the_printed_command(user: Person, connection: Connection) -> None:
    job = training(user, iterations=2)
    handle = tracking.submit(job, Impatient())["maquette"]["handle"]
    wait_for(lambda: "schedule for" in log_of(handle), LIMIT_S, "training")
    connection.is_cut = True
    user.run("stop", "process")
    assert ended_in(job, LIMIT_S)["status"]["exitCode"] == UNSAVED
    told = user.run("clean-containers", "YES=1").stderr
    give_up = re.search(r"to give it up: +(.*)", told)
    assert give_up, told
    subprocess.run(give_up[1], shell=True, check=True, capture_output=True)
    with connected(find_daemon()) as client:
        assert not client.volumes.list(filters={"name": user.volume})
    assert "no ended containers" in user.run("clean-containers").stdout


def test_what_is_pushed_is_cleaned_away(user: Person) -> None:
    done = user.run("run", "process", "ITERATIONS=1", TINY)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = user.run("clean-containers", "DRY_RUN=1", "--json")
    (leftover,) = json.loads(shown.stdout)
    assert leftover["is_pushed"] and leftover["volume"] == user.volume
    refused = user.run("clean-containers")
    assert refused.returncode == 2 and "YES=1" in refused.stderr
    cleaned = user.run("clean-containers", "YES=1")
    assert f"removed {leftover['name']}" in cleaned.stdout
    assert f"removed {user.volume}" in cleaned.stdout
    assert user.document("process")["status"]["state"] == "DONE"


def test_a_failed_jobs_container_is_kept_for_a_look(user: Person) -> None:
    job = training(user, keep_on_fail=600)
    runner = Impatient(step=("bash", "-c", f"touch {CONTAINER_SCENE}/half; exit 14"))
    handle = tracking.submit(job, runner)["maquette"]["handle"]
    ledger = tracking.ledger_of(job)
    wait_for(lambda: tracking.refresh(ledger)["maquette"]["kept_until"], LIMIT_S, "the look")
    assert user.bucket.head("half"), "its work is pushed before"
    message = ledger.read()["status"]["info"]["message"]
    assert "failed (exit code 14), kept for a look until" in message
    shown = user.run("jobs", "MODEL=thing").stdout
    assert "failed, kept until" in shown
    command = printed_command(message, "exec").replace("-it ", "")
    looked = subprocess.run(
        f"{command} -c 'ls {CONTAINER_SCENE}'", shell=True, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert "half" in looked.stdout.split()
    document = tracking.cancel(ledger)
    assert (document["status"]["state"], document["status"]["exitCode"]) == ("FAILED", 14)
    assert not document["maquette"]["kept_until"] and handle["name"] in command


@pytest.mark.soak
def test_a_full_disk_in_a_container_is_told_and_what_was_made_is_pushed(user: Person) -> None:
    """The volume is a small disk in memory; checkpoints of a large model soon fill it."""
    facts = {"type": "tmpfs", "device": "tmpfs", "o": "size=96m,uid=42420,gid=42420"}
    with connected(find_daemon()) as client:
        client.volumes.create(user.volume, driver="local", driver_opts=facts)
    job = training(user, LARGE, iterations=20, save_minutes=0.001)
    tracking.submit(job, Impatient())
    document = ended_in(job, LIMIT_S)
    reason = document["maquette"]["reason"]
    assert (document["status"]["state"], document["status"]["exitCode"]) == ("FAILED", 12)
    assert "disk is full" in reason["what"] and "larger disk" in reason["hint"]
    assert "no space left" in reason["detail"]
    report = json.loads(user.bucket.get_if_changed(f"stages/jobs/{job.id}.json", "").body)
    assert report["exit_code"] == 12
    tracking.collect(tracking.ledger_of(job))
    assert newest(user.scene) >= 1, "the checkpoint before was pushed, and pulled here"


@pytest.mark.soak
def test_a_step_that_runs_out_of_memory_is_told_as_such_by_the_agent(user: Person) -> None:
    job = training(user, carry="mount")
    waits = "touch {0}/ready; while [ ! -e {0}/go ]; do sleep .05; done; exec tail /dev/zero"
    runner = Impatient(step=("bash", "-c", waits.format(CONTAINER_SCENE)))
    handle = tracking.submit(job, runner)["maquette"]["handle"]
    wait_for((job.scene / "ready").exists, LIMIT_S, "the step, behind the look at the machine")
    limit = "512m"  # so much that the step is surely larger than the agent when it is reached
    with connected(find_daemon()) as client:
        client.containers.get(handle["container"]).update(mem_limit=limit, memswap_limit=limit)
    (job.scene / "go").touch()
    document = ended_in(job, LIMIT_S)
    assert document["status"]["exitCode"] == 137
    reason = document["maquette"]["reason"]
    assert reason["what"] == "the step was killed: the machine ran out of memory"
    report = json.loads((job.scene / "stages" / "jobs" / f"{job.id}.json").read_text())
    assert report["exit_code"] == 137 and "out of memory" in report["error"]["what"]


def ended_in(job: JobSpec, limit_s: float) -> dict:
    ledger = tracking.ledger_of(job)
    wait_for(lambda: has_ended(tracking.refresh(ledger)["status"]), limit_s, "the end")
    return ledger.read()


def log_of(handle: dict) -> str:
    with connected(find_daemon()) as client:
        return client.containers.get(handle["container"]).logs().decode()


def printed_command(text: str, word: str) -> str:
    """The command among those between backquotes that holds a word."""
    return next(found for found in re.findall(r"`([^`]+)`", text) if word in found)
