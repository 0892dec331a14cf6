"""A Docker engine that stops, crashes and comes back under a running job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulated import emulator
from job_making import LIMIT_S, ended, running, script_job
from maquette.config.settings import Settings
from maquette.emulator.containers import ContainerEngine
from maquette.errors import JobFailed
from maquette.runners import tracking
from maquette.runners.docker.runner import DockerRunner
from maquette.runners.ovh import tokens
from maquette.runners.ovh.runner import OvhRunner
from maquette.storage.embedded import Running
from own_engine import OwnEngine, missing_daemon, own_engine
from waiting import wait_for

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def engine() -> Iterator[OwnEngine]:
    if reason := missing_daemon():
        pytest.skip(reason)
    with own_engine() as engine:
        yield engine


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_a_job_under_an_engine_that_restarts_is_told_as_it_is(
    tmp_path: Path, engine: OwnEngine, way: str
) -> None:
    job = script_job(
        tmp_path,
        "echo begun; while [ ! -e $1/go ]; do sleep .1; done; echo saved > $1/result",
        settings=Settings(backend="docker", docker_host=engine.host),
    )
    runner = DockerRunner()
    tracking.submit(job, runner)
    handle = running(job)["maquette"]["handle"]
    getattr(engine, way)()
    with pytest.raises(JobFailed, match="no Docker engine answers"):
        tracking.refresh(tracking.ledger_of(job))
    assert tracking.ledger_of(job).read()["status"]["state"] == "RUNNING", "not known, not ended"
    engine.start()
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


def test_a_job_that_an_engines_restart_ended_can_be_submitted_again(
    tmp_path: Path, engine: OwnEngine
) -> None:
    script = "touch $1/begun; while [ ! -e $1/go ]; do sleep .1; done"
    settings = Settings(backend="docker", docker_host=engine.host)
    first = script_job(tmp_path, script, settings=settings)
    tracking.submit(first, DockerRunner())
    wait_for((first.scene / "begun").exists, LIMIT_S, "the step")
    engine.stop()
    engine.start()
    assert ended(first)["status"]["state"] == "FAILED"
    (first.scene / "go").touch()
    second = script_job(tmp_path, script, settings=settings)
    tracking.submit(second, DockerRunner())
    assert ended(second)["status"]["state"] == "DONE"


def test_a_job_of_the_emulator_whose_engine_dies_ends_with_an_error_that_says_why(
    tmp_path: Path,
    server: Running,
    person: Path,
    engine: OwnEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The emulator itself goes on, and so do later jobs when the engine is back."""
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    containers = ContainerEngine()
    with emulator(tmp_path / "emulator", server, engine=containers) as service:
        monkeypatch.setenv(tokens.VARIABLE, service.running.token)
        settings = service.settings(tmp_path)
        first = script_job(tmp_path, "echo begun; exec sleep 600", settings=settings)
        tracking.submit(first, OvhRunner())
        running(first)
        engine.kill()
        document = ended(first)
        assert document["status"]["state"] == "ERROR" and document["status"]["finalizedAt"]
        reason = document["maquette"]["reason"]
        assert reason["what"] == "OVHcloud had an error of its own"
        assert f"Internal error: no answer from {engine.host}" in reason["detail"]
        assert reason["hint"] == "run the same command again: it continues"
        engine.start()
        second = script_job(tmp_path, 'echo here > "$1/result"', settings=settings)
        tracking.submit(second, OvhRunner())
        assert ended(second)["status"]["state"] == "DONE"
        assert (second.scene / "result").read_text() == "here\n"
