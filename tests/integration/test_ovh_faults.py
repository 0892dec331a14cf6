"""Whatever fails, in whatever state: one submission, a document, the data, a sentence."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from emulated import Emulated
from job_making import MakeJob, ended, running, script_job
from maquette.errors import CredentialsError, MaquetteError, UsageError, format_error
from maquette.jobs.document import Document
from maquette.jobs.spec import JobSpec
from maquette.jobs.states import has_ended
from maquette.runners import tracking
from maquette.runners.base import ResponseLost
from maquette.runners.ovh import client, posting
from maquette.runners.ovh.labels import JOB_LABEL
from maquette.runners.ovh.runner import OvhRunner
from s3_server import KEYS
from waiting import wait_for

LIVE = ("QUEUED", "INITIALIZING", "PENDING", "RUNNING", "FINALIZING")
WRITES = 'echo precious > "$1/result"'


@pytest.fixture
def make_job(emulated: Emulated, tmp_path: Path) -> MakeJob:
    return partial(script_job, tmp_path, settings=emulated.settings(tmp_path))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "_FIRST_LOOK_S", 0.02)
    monkeypatch.setattr(client, "TRIES", 3)


def sent(service: Emulated, job: JobSpec) -> list[dict[str, Any]]:
    """What the service was ever asked to run for a job."""
    return service.jobs(labelSelector=f"{JOB_LABEL}={job.id}")


def of_model(service: Emulated, job: JobSpec) -> list[dict[str, Any]]:
    bucket = job.data.bucket
    return [j for j in service.jobs() if f'"{bucket}"' in json.dumps(j["spec"]["volumes"])]


def document(job: JobSpec) -> Document:
    return tracking.ledger_of(job).read()


def is_sound(found: Document) -> bool:
    """Whether a document is whole, free of secrets, and its history leads to its state."""
    text, status = json.dumps(found), found["status"]
    return (
        KEYS.secret_key not in text
        and "emulated-" + "x" not in text
        and status["history"][0]["state"] == "QUEUED"
        and status["history"][-1]["state"] == status["state"]
        and (not has_ended(status) or bool(status["finalizedAt"]))
    )


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"kind": "status", "code": 401}, "refused the token"),
        ({"kind": "status", "code": 402}, "quota"),
        ({"kind": "status", "code": 403}, "may not"),
        ({"kind": "status", "code": 400, "message": "bad image"}, "did not accept"),
        ({"kind": "status", "code": 404}, "knows nothing"),
    ],
)
def test_a_refused_submission(
    emulated: Emulated, make_job: MakeJob, fault: dict[str, Any], told: str
) -> None:
    job = make_job(WRITES)
    emulated.fault(fault.pop("kind"), method="POST", path="/v1/job$", **fault)
    with pytest.raises(MaquetteError, match=told) as caught:
        tracking.submit(job, OvhRunner())
    found = tracking.refresh(tracking.ledger_of(job))
    assert found["status"]["state"] == "ERROR" and is_sound(found)
    assert told in found["maquette"]["reason"]["what"]
    assert not sent(emulated, job)
    if fault["code"] == 402:
        assert isinstance(caught.value, CredentialsError)
        assert "asked: 4 × ai1-1-cpu" in format_error(caught.value)
        assert "quota:" in format_error(caught.value)
    again = make_job(WRITES)
    tracking.submit(again, OvhRunner())
    assert ended(again)["status"]["state"] == "DONE"


def test_an_answer_that_was_lost_after_the_job_was_made(
    emulated: Emulated, make_job: MakeJob
) -> None:
    job = make_job(WRITES)
    emulated.fault("drop_after", method="POST", path="/v1/job$")
    tracking.submit(job, OvhRunner())
    assert ended(job)["status"]["state"] == "DONE"
    assert len(sent(emulated, job)) == 1 == len(of_model(emulated, job))
    assert (job.scene / "result").read_text() == "precious\n"


@pytest.mark.parametrize("kind", ["drop_before", "status"])
def test_an_answer_that_was_lost_and_the_job_never_was(
    emulated: Emulated, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    job, again = make_job(WRITES), make_job(WRITES)
    emulated.fault(kind, method="POST", path="/v1/job$", code=503)
    with pytest.raises(ResponseLost, match="not seen"):
        tracking.submit(job, OvhRunner())
    assert not sent(emulated, job)
    with pytest.raises(UsageError, match="already runs") as caught:
        tracking.submit(again, OvhRunner())
    assert "not known yet" in caught.value.detail and "in a minute" in caught.value.hint
    monkeypatch.setattr(OvhRunner, "grace_s", 0.0)
    tracking.submit(again, OvhRunner())
    assert ended(again)["status"]["state"] == "DONE"
    assert len(of_model(emulated, job)) == 1


def test_a_job_that_shows_up_late_is_found_and_not_sent_again(
    emulated: Emulated, make_job: MakeJob
) -> None:
    """The answer is lost, and so are the first looks for the job."""
    job, again = make_job("exec sleep 60"), make_job(WRITES)
    emulated.fault("drop_after", method="POST", path="/v1/job$")
    fault = emulated.fault("status", method="GET", path="/v1/job$", code=503, times=0)
    emulated.ask("DELETE", "/emulator/faults", params={"id": fault})
    runner = OvhRunner()
    request = runner.plan(job)
    tracking.ledger_of(job).create(job, "ovh", request, tracking.refreshed)
    runner.send(request, lambda comparison, progress: None)
    handle = runner.submit(request)  # the document never learns of the answer
    assert handle
    with pytest.raises(UsageError, match="already runs"):
        tracking.submit(again, OvhRunner())
    assert document(job)["maquette"]["handle"]["id"] == handle["id"]
    tracking.cancel(tracking.ledger_of(job))
    assert len(of_model(emulated, job)) == 1


@pytest.mark.parametrize("state", LIVE)
def test_questions_that_fail_in_each_state(
    emulated: Emulated, make_job: MakeJob, state: str
) -> None:
    """5xx, cut connections, null and missing fields, a word from the future, then the end."""
    job = make_job(WRITES)
    hold = emulated.fault("hold", at=state, times=0)
    tracking.submit(job, OvhRunner())
    ledger = tracking.ledger_of(job)

    def asked() -> str:
        return str(tracking.refresh(ledger)["status"]["state"])

    if state != "RUNNING":  # a process that runs comes to its end; others wait to be let go
        wait_for(lambda: asked() == state, 100, state)
    path = "/v1/job/"
    for kind, facts in (
        ("status", {"code": 503, "times": 2}),
        ("drop_before", {}),
        ("drop_after", {}),
        ("mangle", {"nulls": ["status.info", "status.history", "user", "spec.labels"]}),
        ("mangle", {"nulls": ["status"]}),
        ("mangle", {"missing": ["status.history", "status.finalizedAt", "updatedAt", "spec"]}),
        ("mangle", {"missing": ["status.state"], "nulls": ["status.duration"]}),
    ):
        emulated.fault(kind, method="GET", path=path, **facts)
        assert asked() and is_sound(document(job)), (kind, facts)
    emulated.fault("status", method="GET", path=path, code=503, times=client.TRIES)
    with pytest.raises(MaquetteError, match="could not answer"):
        tracking.refresh(ledger)
    assert is_sound(document(job))
    emulated.ask("DELETE", "/emulator/faults", params={"id": hold})
    found = ended(job)
    assert found["status"]["state"] == "DONE" and is_sound(found)
    assert len(of_model(emulated, job)) == 1
    assert (job.scene / "result").read_text() == "precious\n"


@pytest.mark.parametrize("state", LIVE)
def test_a_stop_in_each_state(emulated: Emulated, make_job: MakeJob, state: str) -> None:
    """Also when the answer to the stop is lost; a job that was about to end may still be DONE."""
    script = f"{WRITES}; exec sleep 60" if state == "RUNNING" else WRITES
    job = make_job(script)
    emulated.fault("hold", at=state, times=0)
    tracking.submit(job, OvhRunner())
    ledger = tracking.ledger_of(job)
    wait_for(lambda: tracking.refresh(ledger)["status"]["state"] == state, 100, state)
    emulated.fault("drop_after", method="PUT", path="/kill$")
    found = tracking.cancel(ledger)
    assert found["status"]["state"] in ("INTERRUPTED", "DONE") and is_sound(found)
    assert len(sent(emulated, job)) == 1
    if state in ("RUNNING", "FINALIZING"):
        tracking.collect(ledger)
        assert (job.scene / "result").read_text() == "precious\n"


@pytest.mark.parametrize("state", LIVE)
def test_an_error_of_the_platform_in_each_state(
    emulated: Emulated, make_job: MakeJob, state: str
) -> None:
    job = make_job(f"{WRITES}; exec sleep 60")
    emulated.fault("error", at=state, push=state != "RUNNING")
    if state == "FINALIZING":
        emulated.fault("exit", code=0)
        job = make_job(WRITES)
    tracking.submit(job, OvhRunner())
    found = ended(job)
    assert found["status"]["state"] in ("ERROR", "DONE") and is_sound(found)
    if found["status"]["state"] == "ERROR":
        reason = found["maquette"]["reason"]
        assert "error of its own" in reason["what"] and "same command" in reason["hint"]
    assert len(sent(emulated, job)) == 1


@pytest.mark.parametrize(
    ("kind", "facts", "state", "told"),
    [
        ("image_pull", {}, "FAILED", "fetch the image"),
        ("exit", {"code": 3}, "FAILED", "exit code 3"),
        ("evicted", {}, "FAILED", "took the machine away"),
        ("evicted", {"push": False}, "FAILED", "took the machine away"),
        ("platform", {}, "INTERRUPTED", "OVHcloud stopped the job"),
        ("timeout", {}, "INTERRUPTED", "time limit"),
        ("timeout", {"end": "FAILED"}, "FAILED", "time limit"),
        ("timeout", {"end": "TIMEOUT", "push": False}, "TIMEOUT", "time limit"),
        ("timeout", {"end": "PREEMPTED"}, "PREEMPTED", "time limit"),
    ],
)
def test_each_end_is_told_in_a_sentence(
    emulated: Emulated,
    make_job: MakeJob,
    kind: str,
    facts: dict[str, Any],
    state: str,
    told: str,
) -> None:
    job = make_job(WRITES if kind == "exit" else f"{WRITES}; exec sleep 60")
    emulated.fault(kind, **facts)
    tracking.submit(job, OvhRunner())
    found = ended(job)
    assert found["status"]["state"] == state and is_sound(found)
    reason = found["maquette"]["reason"]
    assert told in reason["what"] and reason["hint"]
    assert len(sent(emulated, job)) == 1
    assert (found["maquette"]["cost"] or {}).get("minutes", 0) >= (kind != "image_pull")


def test_results_that_could_not_be_copied_are_copied_again(
    emulated: Emulated, make_job: MakeJob
) -> None:
    job = make_job(WRITES)
    emulated.fault("sync_failed")
    tracking.submit(job, OvhRunner())
    found = ended(job)
    assert found["status"]["state"] == "SYNC_FAILED" and is_sound(found)
    assert "still holds them" in found["maquette"]["reason"]["what"]
    assert "prepare-push" in found["maquette"]["reason"]["hint"]
    assert not (job.scene / "result").exists()
    ledger, runner = tracking.ledger_of(job), OvhRunner()
    emulated.fault("sync_failed")
    with pytest.raises(MaquetteError, match="copy failed"):
        runner.push_now(found["maquette"]["handle"])
    runner.push_now(found["maquette"]["handle"])
    tracking.note_push(ledger, job.id)
    assert tracking.is_complete(tracking.collect(ledger))
    assert (job.scene / "result").read_text() == "precious\n"


ERROR = {"event": "error", "what": "no eyes", "detail": "none", "hint": "open them", "code": 14}


def test_the_platform_s_cause_comes_before_what_the_step_said(
    emulated: Emulated, make_job: MakeJob
) -> None:
    job = make_job(f"echo '@maquette {json.dumps(ERROR)}'; touch $1/said; exec sleep 60")
    hold = emulated.fault("hold", at="FINALIZING", times=0)
    tracking.submit(job, OvhRunner())
    running(job)
    emulated.fault("evicted")
    emulated.ask("DELETE", "/emulator/faults", params={"id": hold})
    assert "took the machine away" in ended(job)["maquette"]["reason"]["what"]


def test_a_failed_step_whose_results_were_not_copied_is_told_as_both(
    emulated: Emulated, make_job: MakeJob
) -> None:
    job = make_job(f"echo '@maquette {json.dumps(ERROR)}'; exit 14")
    emulated.fault("sync_failed")
    tracking.submit(job, OvhRunner())
    reason = ended(job)["maquette"]["reason"]
    assert (reason["what"], reason["code"]) == ("no eyes", 14)
    assert "still holds them" in reason["detail"] and "prepare-push" in reason["hint"]


@pytest.mark.parametrize("time", [1, *(pytest.param(n, marks=pytest.mark.soak) for n in (2, 3))])
def test_an_eviction_at_the_very_start_leaves_no_process(
    emulated: Emulated, make_job: MakeJob, tmp_path: Path, time: int
) -> None:
    job = make_job(f"sleep 1000; touch {tmp_path}/outside")
    emulated.fault("evicted")
    tracking.submit(job, OvhRunner())
    found = ended(job)
    assert found["status"]["exitCode"] != 0 and found["status"]["state"] == "FAILED"
    wait_for(lambda: not running_with(f"{tmp_path}/outside"), what="the end of its processes")


def running_with(word: str) -> list[str]:
    lines = (" ".join(process.info["cmdline"] or ()) for process in
             psutil.process_iter(["cmdline"]))  # fmt: skip
    return [line for line in lines if word in line]


def test_a_word_from_the_future_is_shown_and_passes(emulated: Emulated, make_job: MakeJob) -> None:
    job = make_job(WRITES)
    emulated.fault("word", at="RUNNING", word="TELEPORTING", seconds=300.0)
    tracking.submit(job, OvhRunner())
    ledger = tracking.ledger_of(job)
    wait_for(lambda: tracking.refresh(ledger)["status"]["state"] == "TELEPORTING", 100)
    found = ended(job)
    assert found["status"]["state"] == "DONE" and is_sound(found)
    assert "TELEPORTING" in [entry["state"] for entry in found["status"]["history"]]


def test_a_second_writer_on_the_same_prefix_is_refused(
    emulated: Emulated, make_job: MakeJob, tmp_path: Path
) -> None:
    first = make_job("exec sleep 60")
    tracking.submit(first, OvhRunner())
    bucket = first.data.bucket
    elsewhere = tmp_path / "elsewhere"
    settings = emulated.settings(elsewhere, bucket_name=bucket)
    other = script_job(elsewhere, WRITES, settings=settings)
    with pytest.raises(UsageError, match="already writes"):
        tracking.submit(other, OvhRunner())
    assert not sent(emulated, other) and document(other)["status"]["state"] == "ERROR"
    tracking.cancel(tracking.ledger_of(first))


def test_a_log_that_can_not_be_had_does_not_hide_how_a_job_ended(
    emulated: Emulated, make_job: MakeJob
) -> None:
    job = make_job("echo said; exit 3")
    fault = emulated.fault("status", method="GET", path="/log$", code=503, times=0)
    tracking.submit(job, OvhRunner())
    found = ended(job)
    assert (found["status"]["state"], found["status"]["exitCode"]) == ("FAILED", 3)
    assert "exit code 3" in found["maquette"]["reason"]["what"] and is_sound(found)
    emulated.ask("DELETE", "/emulator/faults", params={"id": fault})
    assert list(OvhRunner().logs(found["maquette"]["handle"], follow=False)) == ["said"]


def test_a_job_that_was_deleted_at_the_service(emulated: Emulated, make_job: MakeJob) -> None:
    job = make_job("exec sleep 60")
    handle = tracking.submit(job, OvhRunner())["maquette"]["handle"]
    emulated.ask("DELETE", f"/v1/job/{handle['id']}", params={"force": "1"}, timeout=60)
    found = tracking.refresh(tracking.ledger_of(job))
    assert found["status"]["state"] == "FAILED"
    assert "no longer knows" in found["maquette"]["reason"]["what"]
    OvhRunner().cancel(handle)
