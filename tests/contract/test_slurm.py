"""What only a Slurm cluster does to a job, at a real one: queues it again, loses and forgets it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from job_making import LIMIT_S, ended, running, script_job
from maquette.errors import ConfigError
from maquette.jobs.document import Document
from maquette.jobs.spec import JobSpec
from maquette.runners import tracking
from maquette.runners.base import ResponseLost
from maquette.runners.slurm import client
from maquette.runners.slurm.runner import SlurmRunner
from slurm_cluster import BLIND, SlurmCluster
from waiting import wait_for

pytestmark = pytest.mark.cluster
# Saves when it is asked to, and goes on with what it saved.
SAVES = """
[ -e $1/saved ] && { echo goes on; exit 0; }
trap 'touch $1/saved; exit 130' TERM
touch $1/ready
while true; do sleep 0.05; done
"""
Submit = Callable[..., JobSpec]


@pytest.fixture
def submit(slurm: SlurmCluster, tmp_path: Path) -> Submit:
    """Submit a script as a step; options are those of the backend."""

    def submitted(script: str, folder: Path = tmp_path, **options: object) -> JobSpec:
        job = script_job(folder, script, settings=slurm.settings(folder, **options))
        tracking.submit(job, SlurmRunner())
        return job

    return submitted


def number(job: JobSpec) -> str:
    return str(tracking.ledger_of(job).read()["maquette"]["handle"]["id"])


def ready(job: JobSpec) -> JobSpec:
    """Wait until the step has done what it says before it waits."""
    wait_for((job.scene / "ready").exists, LIMIT_S, "the step's start")
    return job


def states(document: Document) -> list[str]:
    return [entry["state"] for entry in document["status"]["history"]]


def signal_as_slurm_does(slurm: SlurmCluster, job: JobSpec) -> None:
    """What `--signal` does when the time ends, and a preemption with grace."""
    slurm.ask("scancel", "--signal=TERM", "--batch", number(job))


def test_a_step_whose_time_ends_saves_queues_again_and_goes_on(
    slurm: SlurmCluster, submit: Submit
) -> None:
    job = ready(submit(SAVES))
    signal_as_slurm_does(slurm, job)
    document = ended(job)
    assert (document["status"]["state"], document["status"]["exitCode"]) == ("DONE", 0)
    assert "RESTARTING" in states(document)
    log = list(SlurmRunner().logs(document["maquette"]["handle"], follow=True))
    assert log[-1] == "goes on"


def test_a_job_that_slurm_queues_again_goes_on(slurm: SlurmCluster, submit: Submit) -> None:
    """As it does with one that it preempts, or that an administrator queues again."""
    job = ready(submit(SAVES))
    slurm.ask("scontrol", "requeue", number(job))
    document = ended(job)
    assert (document["status"]["state"], document["status"]["exitCode"]) == ("DONE", 0)
    assert "RESTARTING" in states(document) and (job.scene / "saved").exists()


def test_a_step_that_asks_for_another_machine_gets_one(submit: Submit) -> None:
    job = submit("[ -e $1/once ] && exit 0; touch $1/once; exit 75")
    assert ended(job)["status"]["state"] == "DONE"


def test_max_hours_ends_a_step_for_good(slurm: SlurmCluster, submit: Submit) -> None:
    job = ready(submit(SAVES, max_hours=0.05))
    signal_as_slurm_does(slurm, job)
    document = ended(job)
    assert (document["status"]["state"], document["status"]["exitCode"]) == ("FAILED", 124)
    assert document["maquette"]["reason"]["what"] == "the time is up: the step was stopped"
    assert (job.scene / "saved").exists()


def test_what_a_person_cancels_with_slurms_own_command_is_not_queued_again(
    slurm: SlurmCluster, submit: Submit
) -> None:
    job = ready(submit(SAVES))
    slurm.ask("scancel", number(job))
    document = ended(job)
    assert document["status"]["state"] == "INTERRUPTED" and "RESTARTING" not in states(document)
    assert (job.scene / "saved").exists()


def test_a_job_whose_node_fails_goes_on_at_another(slurm: SlurmCluster, submit: Submit) -> None:
    job = ready(submit("[ -e $1/ready ] && exit 0; touch $1/ready; sleep 600"))
    node = client.jobs([number(job)])[number(job)].node
    slurm.kill_node(node)
    try:
        document = ended(job)
    finally:
        slurm.revive_node(node)
    assert document["status"]["state"] == "DONE"
    assert document["provider"]["end"]["node"] != node


def test_a_job_that_slurm_has_forgotten_is_known_by_what_it_left(submit: Submit) -> None:
    job = submit("exit 9")
    ledger, before = tracking.ledger_of(job), ended(job)
    forgotten = {**before["maquette"]["handle"], "id": "99999"}
    assert client.job("99999") is None
    status = SlurmRunner().status(forgotten)
    assert status.state == "FAILED" and "left no word of its end" in status.message
    end = Path(forgotten["end"])
    end.write_text(end.read_text().replace(f'"job": "{number(job)}"', '"job": "99999"'))
    assert SlurmRunner().status(forgotten).exit_code == 9
    assert SlurmRunner().find(ledger.read()["maquette"]["request"])["id"] == "99999"


def test_a_job_whose_answer_was_lost_is_found_by_its_name(
    slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = client.sbatch

    def lose(argv: list[str], script: str) -> str:
        send(argv, script)
        raise ResponseLost("lost")

    monkeypatch.setattr(client, "sbatch", lose)
    job = script_job(tmp_path, SAVES, settings=slurm.settings(tmp_path))
    with pytest.raises(ResponseLost):
        tracking.submit(job, SlurmRunner())
    assert running(ready(job))["maquette"]["handle"]["id"].isdigit()
    assert tracking.cancel(tracking.ledger_of(job))["status"]["state"] == "INTERRUPTED"


def test_a_node_that_does_not_see_the_scene_says_so(
    slurm: SlurmCluster, submit: Submit, tmp_path: Path
) -> None:
    there = f"--partition={BLIND}"
    job = submit("true", slurm.hidden / "all", slurm_options=there)
    document = ended(job)
    assert document["status"]["state"] == "FAILED"
    assert f"its node {BLIND} does not see" in document["maquette"]["reason"]["what"]
    (tmp_path / "scenes").symlink_to(slurm.hidden)
    reason = ended(submit("true", slurm_options=there))["maquette"]["reason"]
    assert (reason["code"], reason["what"].startswith(f"the node {BLIND} does not see")) == (13, 1)


def test_no_such_partition_is_told_before_anything_waits(
    slurm: SlurmCluster, submit: Submit, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        submit("true", slurm_options="--partition=nowhere")
    assert "no such partition" in caught.value.what and "`sinfo`" in caught.value.hint
    assert "nowhere" in caught.value.detail


def test_a_job_that_can_not_start_says_why_and_can_be_taken_back(submit: Submit) -> None:
    job = submit("true", max_hours=1, slurm_options="--partition=short")
    ledger = tracking.ledger_of(job)

    def message() -> str:
        return str(tracking.refresh(ledger)["status"]["info"]["message"])

    wait_for(lambda: "lower MAX_HOURS" in message(), LIMIT_S, "the reason")
    assert tracking.refresh(ledger)["status"]["state"] == "PENDING"
    assert tracking.cancel(ledger)["status"]["state"] == "INTERRUPTED"


def test_many_jobs_are_asked_for_at_once(submit: Submit, tmp_path: Path) -> None:
    jobs = [submit("exit 0", tmp_path / name) for name in ("a", "b")]
    handles = [ended(job)["maquette"]["handle"] for job in jobs]
    assert {s.state for s in SlurmRunner().statuses(handles).values()} == {"DONE"}
