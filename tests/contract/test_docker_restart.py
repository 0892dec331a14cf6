"""A Docker daemon that stops, crashes and comes back under a running job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulated import emulator
from job_making import LIMIT_S, ended, running, script_job
from maquette.config.settings import Settings
from maquette.emulator.container_runtime import ContainerRuntime
from maquette.errors import JobFailed
from maquette.runners import tracking
from maquette.runners.docker.runner import DockerRunner
from maquette.runners.ovh import tokens
from maquette.runners.ovh.runner import OvhRunner
from maquette.storage.embedded import Running
from own_daemon import OwnDaemon, missing_own_daemon, own_daemon
from waiting import wait_for

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def daemon() -> Iterator[OwnDaemon]:
    if reason := missing_own_daemon():
        pytest.skip(reason)
    with own_daemon() as daemon:
        yield daemon


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_a_job_under_a_daemon_that_restarts_is_told_as_it_is(
    tmp_path: Path, daemon: OwnDaemon, way: str
) -> None:
    job = script_job(
        tmp_path,
        "echo begun; while [ ! -e $1/go ]; do sleep .1; done; echo saved > $1/result",
        settings=Settings(backend="docker", docker_host=daemon.host),
    )
    runner = DockerRunner()
    tracking.submit(job, runner)
    handle = running(job)["maquette"]["handle"]
    getattr(daemon, way)()
    with pytest.raises(JobFailed, match="no Docker daemon answers"):
        tracking.refresh(tracking.ledger_of(job))
    assert tracking.ledger_of(job).read()["status"]["state"] == "RUNNING", "not known, not ended"
    daemon.start()
    (job.scene / "go").touch()
    document = ended(job)
    status, result = document["status"], job.scene / "result"
    assert list(runner.logs(handle, follow=False)) == ["begun"]
    if status["state"] == "DONE":
        assert status["exitCode"] == 0 and result.exists()
    else:
        assert status["state"] == "FAILED" and status["exitCode"] != 0 and not result.exists()
        assert document["maquette"]["reason"]["what"]
        assert "hint" in document["maquette"]["reason"]


def test_a_job_that_a_daemons_restart_ended_can_be_submitted_again(
    tmp_path: Path, daemon: OwnDaemon
) -> None:
    script = "touch $1/begun; while [ ! -e $1/go ]; do sleep .1; done"
    settings = Settings(backend="docker", docker_host=daemon.host)
    first = script_job(tmp_path, script, settings=settings)
    tracking.submit(first, DockerRunner())
    wait_for((first.scene / "begun").exists, LIMIT_S, "the step")
    daemon.stop()
    daemon.start()
    assert ended(first)["status"]["state"] == "FAILED"
    (first.scene / "go").touch()
    second = script_job(tmp_path, script, settings=settings)
    tracking.submit(second, DockerRunner())
    assert ended(second)["status"]["state"] == "DONE"


def test_a_job_of_the_emulator_whose_daemon_dies_ends_with_an_error_that_says_why(
    tmp_path: Path,
    server: Running,
    person: Path,
    daemon: OwnDaemon,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The emulator itself goes on, and so do later jobs when the daemon is back."""
    monkeypatch.setenv("DOCKER_HOST", daemon.host)
    containers = ContainerRuntime()
    with emulator(tmp_path / "emulator", server, runtime=containers) as service:
        monkeypatch.setenv(tokens.VARIABLE, service.running.token)
        settings = service.settings(tmp_path)
        first = script_job(tmp_path, "echo begun; exec sleep 600", settings=settings)
        tracking.submit(first, OvhRunner())
        running(first)
        daemon.kill()
        document = ended(first)
        assert document["status"]["state"] == "ERROR" and document["status"]["finalizedAt"]
        reason = document["maquette"]["reason"]
        assert reason["what"] == "OVHcloud had an error of its own"
        assert f"Internal error: no answer from {daemon.host}" in reason["detail"]
        assert reason["hint"] == "run the same command again: it continues"
        daemon.start()
        second = script_job(tmp_path, 'echo here > "$1/result"', settings=settings)
        tracking.submit(second, OvhRunner())
        assert ended(second)["status"]["state"] == "DONE"
        assert (second.scene / "result").read_text() == "here\n"
