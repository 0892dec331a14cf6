"""What every backend must do. A runner exists when it passes this file."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from pydantic import SecretStr

from job_making import LIMIT_S, MakeJob, ended, fetch, hand_over, running
from maquette.config.settings import Settings
from maquette.errors import MaquetteError, UsageError
from maquette.jobs.document import change_state, new_document
from maquette.jobs.states import STATES
from maquette.runners import tracking
from maquette.runners.base import Runner, Status
from maquette.runners.registry import DEFAULT, settings_of
from waiting import wait_for


def test_plan_is_pure_and_is_what_is_submitted(runner: Runner, make_job: MakeJob) -> None:
    job = make_job("true")
    request = runner.plan(job)
    assert request == runner.plan(job) == json.loads(json.dumps(request))
    assert not job.scene.exists() and not job.logs.exists()
    document = tracking.submit(job, runner)
    assert document["maquette"]["request"] == request
    ended(job)


SUBMISSION = """
import json, sys
from maquette.runners.base import SupportsUpload, get_runner
told = json.load(sys.stdin)
runner = get_runner(told["backend"])
if isinstance(runner, SupportsUpload):
    runner.send(told["request"], lambda comparison, progress: None)
print(json.dumps(runner.submit(told["request"], told["secrets"])))
"""


def test_a_plan_can_be_submitted_by_another_process(runner: Runner, make_job: MakeJob) -> None:
    job = make_job("echo hello")
    request, ledger = runner.plan(job), tracking.ledger_of(job)
    ledger.create(job, runner.name, request, tracking.refreshed)
    told = {"backend": runner.name, "request": request, "secrets": {}}
    done = subprocess.run(
        [sys.executable, "-c", SUBMISSION],
        input=json.dumps(told), capture_output=True, text=True, check=True,
    )  # fmt: skip
    handle = json.loads(done.stdout)
    ledger.update(job.id, lambda document: document["maquette"].update(handle=handle))
    assert ended(job)["status"]["state"] == "DONE"
    assert list(runner.logs(handle, follow=False)) == ["hello"]


def test_a_plan_holds_no_secret_and_the_runner_remembers_none(
    runner: Runner, make_job: MakeJob, job_settings: Settings
) -> None:
    known = [name for name, option in settings_of(runner.name).items() if option.kind is SecretStr]
    given = {name.lower(): SecretStr("https://hooks/said-to-nobody") for name in known}
    options = job_settings.backend_options | given
    settings = job_settings.model_copy(update={"backend_options": options})
    assert settings.secrets().keys() >= set(known)
    request = runner.plan(make_job("true", settings=settings))
    assert "said-to-nobody" not in json.dumps(request) + repr(vars(runner)) + repr(settings)


def test_job_runs_to_its_end(runner: Runner, make_job: MakeJob) -> None:
    job = make_job("echo hello")
    tracking.submit(job, runner)
    document = ended(job)
    status = document["status"]
    assert (status["state"], status["exitCode"]) == ("DONE", 0)
    states = [entry["state"] for entry in status["history"]]
    assert states[0] == "QUEUED" and states[-1] == "DONE" and "RUNNING" in states
    assert status["startedAt"] <= status["finalizedAt"]
    assert list(runner.logs(document["maquette"]["handle"], follow=False)) == ["hello"]


@pytest.mark.parametrize("code", [10, 77])
def test_exit_code_is_kept(runner: Runner, make_job: MakeJob, code: int) -> None:
    job = make_job(f"exit {code}")
    tracking.submit(job, runner)
    document = ended(job)
    assert (document["status"]["state"], document["status"]["exitCode"]) == ("FAILED", code)
    assert document["maquette"]["reason"]["what"]


def test_a_killed_step_is_told_as_such(runner: Runner, make_job: MakeJob) -> None:
    job = make_job("kill -9 $$")
    tracking.submit(job, runner)
    document = ended(job)
    assert (document["status"]["state"], document["status"]["exitCode"]) == ("FAILED", 137)
    assert "killed" in document["maquette"]["reason"]["what"]


def test_error_event_becomes_the_reason(runner: Runner, make_job: MakeJob) -> None:
    event = {"event": "error", "what": "no eyes", "detail": "d", "hint": "h", "code": 14}
    job = make_job(f"echo '@maquette {json.dumps(event)}'; exit 14")
    tracking.submit(job, runner)
    assert ended(job)["maquette"]["reason"] == {
        "what": "no eyes", "detail": "d", "hint": "h", "code": 14,
    }  # fmt: skip


def test_how_far_a_running_step_is_stands_in_its_document(
    runner: Runner, make_job: MakeJob
) -> None:
    event = {"event": "progress", "name": "training", "done": 3, "total": 10, "metrics": {}}
    lines = f"seq 1 300; echo '@maquette {json.dumps(event)}'; echo more"
    job = make_job(f"{lines}; while [ ! -e $1/gate ]; do sleep 0.05; done; exit 9")
    tracking.submit(job, runner)
    ledger = tracking.ledger_of(job)
    wait_for(lambda: tracking.refresh(ledger)["maquette"]["progress"], LIMIT_S, "progress")
    document = ledger.read()
    assert document["status"]["state"] == "RUNNING"
    assert document["maquette"]["progress"] == event
    (job.scene / "gate").touch()
    hand_over(job)
    assert ended(job)["maquette"]["progress"] == event


def test_what_the_step_writes_is_in_the_scene(runner: Runner, make_job: MakeJob) -> None:
    job = make_job('mkdir "$1/made" && echo here > "$1/made/file"')
    tracking.submit(job, runner)
    assert ended(job)["status"]["state"] == "DONE"
    made = job.scene / "made" / "file"
    assert made.read_text() == "here\n" and made.owner() == job.scene.owner()


def test_logs_while_running_and_after(runner: Runner, make_job: MakeJob) -> None:
    job = make_job("echo one; while [ ! -e $1/gate ]; do sleep 0.05; done; printf 'two\\nthree'")
    gate = job.scene / "gate"
    tracking.submit(job, runner)
    handle = running(job)["maquette"]["handle"]
    wait_for(lambda: list(runner.logs(handle, follow=False)) == ["one"], LIMIT_S)
    followed = []
    for line in runner.logs(handle, follow=True):
        followed.append(line)
        if not gate.exists():
            gate.touch()
            hand_over(job)
    assert followed == ["one", "two", "three"] == list(runner.logs(handle, follow=False))


def test_a_dropped_log_stream_can_be_taken_up_again(runner: Runner, make_job: MakeJob) -> None:
    job = make_job("seq 1 100")
    tracking.submit(job, runner)
    handle = ended(job)["maquette"]["handle"]
    stream = iter(runner.logs(handle, follow=True))
    assert next(stream) == "1"
    del stream
    assert list(runner.logs(handle, follow=True)) == [str(i) for i in range(1, 101)]


def test_cancel_lets_the_step_save(runner: Runner, make_job: MakeJob) -> None:
    script = "trap 'touch $1/saved; exit 130' TERM; touch $1/ready; while true; do sleep 0.05; done"
    job = make_job(script)
    tracking.submit(job, runner)
    running(job)

    def is_ready() -> bool:
        fetch(job)
        return (job.scene / "ready").exists()

    wait_for(is_ready, LIMIT_S, what="the step's start")
    tracking.cancel(tracking.ledger_of(job))
    document = tracking.collect(tracking.ledger_of(job))
    assert (document["status"]["state"], document["status"]["exitCode"]) == ("INTERRUPTED", 130)
    assert (job.scene / "saved").exists()
    states = [entry["state"] for entry in document["status"]["history"]]
    assert "INTERRUPTING" in states


def test_cancel_is_idempotent_and_silent_when_gone(runner: Runner, make_job: MakeJob) -> None:
    job = make_job("sleep 60")
    handle = tracking.submit(job, runner)["maquette"]["handle"]
    runner.cancel(handle)
    runner.cancel(handle)
    ended(job)
    runner.cancel(handle)
    assert tracking.cancel(tracking.ledger_of(job))["status"]["state"] == "INTERRUPTED"


def test_a_lost_handle_is_found_again(runner: Runner, make_job: MakeJob) -> None:
    job = make_job("sleep 60")
    tracking.submit(job, runner)
    ledger = tracking.ledger_of(job)

    def lose(document: dict) -> None:
        document["maquette"]["handle"] = None

    ledger.update(job.id, lose)
    assert running(job)["maquette"]["handle"]
    assert tracking.cancel(ledger)["status"]["state"] == "INTERRUPTED"


def test_a_second_submission_is_refused(runner: Runner, make_job: MakeJob) -> None:
    first, second = make_job("sleep 60"), make_job("true")
    tracking.submit(first, runner)
    with pytest.raises(UsageError, match="already runs"):
        tracking.submit(second, runner)
    assert tracking.refresh(tracking.ledger_of(first))["id"] == first.id
    tracking.cancel(tracking.ledger_of(first))
    tracking.submit(second, runner)
    document = ended(second)
    assert (document["id"], document["maquette"]["attempt"]) == (second.id, 2)
    history = {path.stem for path in (tracking.ledger_of(first).folder / "history").glob("*.json")}
    assert {first.id, second.id} <= history


def test_a_failed_submission_is_recorded(runner: Runner, make_job: MakeJob) -> None:
    job = make_job("true")
    job.scene.parent.mkdir(parents=True)
    job.scene.write_text("a file where the scene folder should be")
    with pytest.raises((MaquetteError, OSError)):
        tracking.submit(job, runner)
    document = tracking.refresh(tracking.ledger_of(job))
    assert document["status"]["state"] == "ERROR" and document["id"] == job.id


def test_a_query_starts_nothing(runner: Runner, make_job: MakeJob) -> None:
    job = make_job("touch started")
    with pytest.raises(MaquetteError) as caught:
        tracking.refresh(tracking.ledger_of(job))
    assert caught.value.exit_code == 13
    assert not list(job.logs.rglob("*_job.json"))


@pytest.mark.parametrize("word", [*STATES, "TELEPORTING"])
def test_any_state_survives(make_job: MakeJob, word: str) -> None:
    document = new_document(make_job("true"), DEFAULT, {}, 1)
    tracking.apply(document, Status(state=word, message="m"))
    assert document["status"]["state"] == word
    assert document["status"]["history"][-1]["state"] == word
    change_state(document, "RUNNING", "later")
    assert document["status"]["state"] == (word if STATES.get(word) else "RUNNING")
