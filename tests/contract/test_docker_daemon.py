"""What only the docker backend has: a daemon, images, limits of a container."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from job_making import LIMIT_S, MakeJob, ended, running
from maquette.agent.arguments import RESUME_ME
from maquette.cli.run import raise_for_end
from maquette.cli.whole import can_help
from maquette.config.settings import Settings
from maquette.containers.daemon import Daemon, connected, find_daemon
from maquette.errors import ConfigError, JobFailed, NotFound
from maquette.jobs.spec import JobSpec
from maquette.runners import tracking
from maquette.runners.docker.runner import DockerRunner
from waiting import wait_for

pytestmark = pytest.mark.docker


@pytest.fixture
def runner() -> DockerRunner:
    return DockerRunner()


def with_spec(job: JobSpec, **facts: object) -> JobSpec:
    return replace(job, spec={**job.spec, **facts})


def test_an_image_that_is_nowhere_is_told(runner: DockerRunner, make_job: MakeJob) -> None:
    job = with_spec(make_job("true"), image="localhost:1/maquette/recon:no-such-tag")
    with pytest.raises(NotFound, match="no image `localhost:1/maquette/recon:no-such-tag`") as told:
        tracking.submit(job, runner)
    assert "make images" in told.value.hint
    assert tracking.refresh(tracking.ledger_of(job))["status"]["state"] == "ERROR"


def test_a_host_without_gpu_is_told(runner: DockerRunner, make_job: MakeJob) -> None:
    with connected(find_daemon()) as client:
        if "nvidia" in client.info().get("Runtimes", {}):
            pytest.skip("this daemon has GPUs to give")
    job = with_spec(make_job("true"), resources={"gpu": 1})
    with pytest.raises(JobFailed, match="no GPU to give") as told:
        tracking.submit(job, runner)
    assert "GPU=0" in told.value.hint
    assert runner.find(runner.plan(job)) is None, "the container that could not start is gone"


def test_running_out_of_memory_is_told_as_such(runner: DockerRunner, make_job: MakeJob) -> None:
    job = make_job("while [ ! -e $1/go ]; do sleep .05; done; exec tail /dev/zero")
    tracking.submit(job, runner)
    handle = running(job)["maquette"]["handle"]
    with connected(find_daemon()) as client:
        container = client.containers.get(handle["container"])
        container.update(mem_limit="64m", memswap_limit="64m")
    (job.scene / "go").touch()
    document = ended(job)
    assert document["status"]["exitCode"] == 137
    reason = document["maquette"]["reason"]
    # The daemon itself does not always notice it; in our images the agent does.
    assert "out of memory" in reason["what"] + reason["detail"]


def test_a_timeout_ends_the_job(runner: DockerRunner, make_job: MakeJob) -> None:
    job = with_spec(make_job("sleep 60"), timeout=1)
    tracking.submit(job, runner)
    document = ended(job)
    assert (document["status"]["state"], document["status"]["exitCode"]) == ("FAILED", 124)
    assert "time is up" in document["maquette"]["reason"]["what"]


def test_a_machine_that_was_taken_away_is_worth_another_try(
    runner: DockerRunner, make_job: MakeJob
) -> None:
    job = make_job(f"exit {RESUME_ME}")
    tracking.submit(job, runner)
    document, ledger = ended(job), tracking.ledger_of(job)
    assert document["status"]["state"] == "INTERRUPTED"
    with pytest.raises(JobFailed, match="machine was taken away; the work is saved") as told:
        raise_for_end(document, ledger)
    assert "same command" in told.value.hint and can_help(told.value, ledger)


def test_a_removed_container_is_told_and_its_log_is_kept(
    runner: DockerRunner, make_job: MakeJob
) -> None:
    first = make_job("echo kept; exit 3")
    tracking.submit(first, runner)
    handle = ended(first)["maquette"]["handle"]
    remove(handle)
    assert list(runner.logs(handle, follow=True)) == ["kept"]
    second = make_job("sleep 60")
    tracking.submit(second, runner)
    remove(running(second)["maquette"]["handle"])
    document = ended(second)
    assert document["status"]["state"] == "FAILED"
    assert "container is gone" in document["maquette"]["reason"]["what"]


def test_a_job_without_any_question_keeps_its_times(
    runner: DockerRunner, make_job: MakeJob
) -> None:
    job = make_job("sleep 1.5")
    handle = tracking.submit(job, runner)["maquette"]["handle"]
    with connected(find_daemon()) as client:
        client.containers.get(handle["container"]).wait(timeout=LIMIT_S)
    status = tracking.refresh(tracking.ledger_of(job))["status"]
    assert [entry["state"] for entry in status["history"]] == ["QUEUED", "RUNNING", "DONE"]
    assert 1 <= status["duration"] <= 60


def test_one_container_a_step_is_kept(runner: DockerRunner, make_job: MakeJob) -> None:
    group = f"one-kept-{random.randrange(1 << 32):08x}"
    labels = {"maquette-model": "thing", "maquette-group": group, "maquette-step": "prepare"}
    for _ in range(3):
        job = make_job("true")
        job = with_spec(job, labels={**labels, "maquette-job": job.id})
        tracking.submit(job, runner)
        ended(job)
    with connected(find_daemon()) as client:
        kept = client.containers.list(all=True, filters={"label": f"maquette-group={group}"})
    assert [container.labels["maquette-job"] for container in kept] == [job.id]


def test_a_daemon_that_does_not_answer_is_told(runner: DockerRunner, make_job: MakeJob) -> None:
    settings = Settings(backend="docker", docker_host="unix:///tmp/no-daemon-here.sock")
    job = make_job("true", settings=settings)
    with pytest.raises(JobFailed, match="no Docker daemon answers") as told:
        tracking.submit(job, runner)
    assert "BACKEND=local" in told.value.hint


def test_a_context_that_docker_does_not_know_is_told() -> None:
    with pytest.raises(ConfigError, match="no context `nowhere`"):
        find_daemon("nowhere")


@pytest.mark.parametrize("host", ["ssh://gpu-box", "tcp://10.0.0.1:2376"])
def test_another_machine_does_not_share_files(host: str) -> None:
    assert not find_daemon(host).shares_files
    assert find_daemon("unix:///run/user/1000/docker.sock").shares_files


def test_a_remote_daemon_needs_a_store_that_both_reach(
    runner: DockerRunner, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    job = replace(
        make_job("true", settings=Settings(backend="docker", docker_host="ssh://gpu-box")),
        command=("maquette-step", "neuralangelo", "prepare", "--scene", "{scene}"),
    )
    with pytest.raises(ConfigError, match="needs a data store that both can reach"):
        runner.plan(job)


def remove(handle: dict) -> None:
    with connected(Daemon(**handle["daemon"])) as client:
        client.containers.get(handle["container"]).remove(force=True)
        wait_for(lambda: not client.containers.list(all=True, filters={"id": handle["container"]}))
