"""`BACKEND=docker` on a daemon of another machine: by tcp, by ssh, by a context of docker's.

It is this machine's daemon, reached as one of another machine is: scenes go through the store.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from command_line import maquette
from container_person import Person, newest
from maquette.containers.daemon import Daemon, connected, find_daemon
from maquette.errors import ConfigError, CredentialsError, JobFailed, MaquetteError
from remote_daemons import missing_ssh, ssh_host, tcp_daemon, write_certificates
from synthetic_scene import write_posed_scene
from tiny_training import TINY
from waiting import wait_for

_WHY_NO_SSH = missing_ssh()
needs_ssh = pytest.mark.skipif(bool(_WHY_NO_SSH), reason=_WHY_NO_SSH or "-")
pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
WAYS = ["tcp", pytest.param("ssh", marks=needs_ssh), pytest.param("context", marks=needs_ssh)]
IN_SOAK = [needs_ssh, pytest.mark.soak]
TO_TRAIN = ["tcp", pytest.param("ssh", marks=IN_SOAK), pytest.param("context", marks=IN_SOAK)]


@contextmanager
def daemon_by(way: str, folder: Path) -> Iterator[dict[str, str]]:
    """Yields the environment that a person needs to reach the daemon that way."""
    if way == "tcp":
        with tcp_daemon() as address:
            yield {"DOCKER_HOST": address}
        return
    with ssh_host(folder / "host") as host:
        variables = {"DOCKER_HOST": host.address, "PATH": host.path()}
        if way == "context":
            variables |= {"DOCKER_HOST": "gpu-box", "DOCKER_CONFIG": str(folder / "docker")}
            words = ["docker", "context", "create", "gpu-box", "--docker", f"host={host.address}"]
            environment = {**os.environ, "DOCKER_CONFIG": variables["DOCKER_CONFIG"]}
            environment.pop("DOCKER_HOST", None)
            subprocess.run(words, env=environment, check=True, capture_output=True)
        yield variables


@pytest.mark.parametrize("way", TO_TRAIN)
def test_a_scene_is_trained_on_another_machine(user: Person, tmp_path: Path, way: str) -> None:
    write_posed_scene(user.scene, count=14, width=96, height=72)
    words = ["process", "CARRY=auto", "ITERATIONS=20", TINY]
    with daemon_by(way, tmp_path) as variables:
        done = user.run("run", *words, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        ours = json.loads(user.run("job", "process", **variables).stdout)["maquette"]
        logs = user.run("logs", "process", **variables)
    assert ours["request"]["store"]["bucket"] == user.bucket.name
    assert ours["handle"]["daemon"]["host"].partition(":")[0] == way.replace("context", "ssh")
    assert logs.returncode == 0 and "schedule for 20 iterations" in logs.stdout
    assert newest(user.scene) == 20
    again = user.run("job", "process", **variables)
    assert json.loads(again.stdout)["status"]["state"] == "DONE", "told though the host is gone"


@needs_ssh
@pytest.mark.soak
def test_a_job_on_another_machine_is_stopped_and_continued(user: Person, tmp_path: Path) -> None:
    write_posed_scene(user.scene, count=14, width=96, height=72)
    words = ["process", "CARRY=auto", TINY]
    with daemon_by("ssh", tmp_path) as variables:
        started = user.run("run", *words, "ITERATIONS=100000", "WAIT=0", **variables)
        assert started.returncode == 0, started.stdout + started.stderr
        document = user.run("job", "process", **variables)

        def is_training() -> bool:
            return "schedule for" in container_log(json.loads(document.stdout))

        wait_for(is_training, 300, "training")
        stopped = user.run("stop", "process", **variables)
        assert stopped.stdout.strip() == "INTERRUPTED", stopped.stdout + stopped.stderr
        assert not left_over(tmp_path)
        pulled = user.run("data", "pull", "RELIST=1")
        assert pulled.returncode == 0, pulled.stderr
        iteration = newest(user.scene)
        done = user.run("run", *words, f"ITERATIONS={iteration + 10}", **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert newest(user.scene) == iteration + 10


def container_log(document: dict) -> str:
    with connected(find_daemon()) as client:
        container = client.containers.get(document["maquette"]["handle"]["container"])
        return container.logs(tail=50).decode()


def left_over(folder: Path) -> list[str]:
    """Command lines of ssh programs of this test that still run."""
    lines = (" ".join(process.info["cmdline"] or ()) for process in
             psutil.process_iter(["cmdline"]))  # fmt: skip
    return [line for line in lines if f"{folder}/host/config" in line]


@needs_ssh
@pytest.mark.parametrize(
    ("host", "error", "what", "hint"),
    [
        ({"has_key": False}, CredentialsError, "no key that it knows", "ssh-copy-id -p"),
        ({"is_known": False}, CredentialsError, "does not know the host key", "ssh -p"),
        ({"environment": "PATH=/nowhere"}, JobFailed, "no Docker on", "apt-get install docker"),
        (
            {"environment": "DOCKER_HOST=unix:///tmp/none.sock"},
            JobFailed,
            "daemon does not answer",
            "systemctl start docker",
        ),
    ],
)
def test_why_a_daemon_behind_ssh_can_not_be_had_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: dict,
    error: type[MaquetteError],
    what: str,
    hint: str,
) -> None:
    with ssh_host(tmp_path / "host", **host) as there:
        monkeypatch.setenv("PATH", there.path())
        with pytest.raises(error, match=what) as told, connected(Daemon(there.address)):
            raise AssertionError("no daemon answers there")
        assert hint in told.value.hint
    assert not left_over(tmp_path)


@needs_ssh
@pytest.mark.parametrize("address", ["ssh://127.0.0.1:9", "ssh://no-such-host.invalid"])
def test_a_host_that_is_not_there_is_told_by_the_command(
    tmp_path: Path, address: str, user: Person
) -> None:
    write_posed_scene(user.scene, count=3, width=32, height=24)
    done = user.run("run", "process", "CARRY=auto", DOCKER_HOST=address)
    assert done.returncode == 12
    assert "can not be reached by ssh" in done.stderr and "hint: try `ssh" in done.stderr
    assert "Traceback" not in done.stderr
    assert not user.bucket.objects(), "the scene was sent though no daemon answered"


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_a_daemon_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    with daemon_by(way, tmp_path) as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        daemon = find_daemon(variables["DOCKER_HOST"])
        assert not daemon.shares_files
        with connected(daemon) as client:
            assert client.version()["Version"]
            assert left_over(tmp_path) or way == "tcp"
        assert not left_over(tmp_path)
        said = subprocess.run(
            [*daemon.command.split(), "version", "--format", "{{.Server.Os}}"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert said.stdout.strip() == "linux", f"`{daemon.command}`: {said.stderr}"


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl: `apt-get install openssl`")
def test_a_daemon_behind_tls_lets_in_who_has_a_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tmp_path / "keys"
    write_certificates(keys)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with tcp_daemon(keys) as address:
        files = {"ca": "ca", "cert": "cert", "key": "key"}
        facts = ",".join([f"host={address}", *(f"{a}={keys}/{b}.pem" for a, b in files.items())])
        words = ["docker", "context", "create", "gpu-box", "--docker", facts]
        subprocess.run(words, check=True, capture_output=True)
        with connected(find_daemon("gpu-box")) as client:
            assert client.ping()
        with pytest.raises(JobFailed, match="no Docker daemon answers"), connected(Daemon(address)):
            raise AssertionError("let in without a certificate")
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(keys))
        with connected(find_daemon(address)) as client:
            assert client.ping()


def test_a_daemon_behind_tcp_that_is_not_there_is_told() -> None:
    what = r"no Docker daemon answers at `tcp://127\.0\.0\.1:9`"
    with pytest.raises(JobFailed, match=what) as told, connected(Daemon("tcp://127.0.0.1:9")):
        raise AssertionError("no daemon answers there")
    assert "docker --host tcp://127.0.0.1:9 info" in told.value.hint


def test_a_mount_is_refused_before_anything_starts(tmp_path: Path) -> None:
    words = ["BACKEND=docker", "CARRY=mount", "DOCKER_HOST=tcp://10.0.0.1:2375", "MODEL=thing"]
    done = maquette(tmp_path, "plan", "process", *words)
    assert done.returncode == 10 and "CARRY=mount needs a daemon on this machine" in done.stderr


@pytest.mark.parametrize("address", ["ssh://", "ssh://host:port", "ssh://me:hunter2@host"])
def test_an_address_that_ssh_can_not_use_is_told(address: str) -> None:
    with pytest.raises(ConfigError, match="is no address of a daemon") as told:
        find_daemon(address)
    assert "hunter2" not in told.value.what + told.value.detail
