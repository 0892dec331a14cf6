"""What only the local backend has: processes that die."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from job_making import MakeJob, ended, running
from maquette.errors import JobFailed, NotFound, UsageError
from maquette.jobs.ledger import StepLedger
from maquette.runners import tracking
from maquette.runners.local.runner import LocalRunner
from maquette.scene.atomic import write_json
from waiting import wait_for


def pids(document: dict) -> tuple[int, int]:
    provider = document["provider"]
    return int(provider["supervisor"]["pid"]), int(provider["step"]["pid"])


def is_alive(pid: int) -> bool:
    """Whether a process works still; in some containers nobody collects the ended ones."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_killed_supervisor_is_noticed_and_takes_the_step_with_it(make_job: MakeJob) -> None:
    watch = (
        "from maquette.recon import stopping\n"
        "stopping.install()\n"
        "import threading; print('up', flush=True); threading.Event().wait(600)"
    )
    job = make_job(f'exec {sys.executable} -c "{watch}"')
    tracking.submit(job, LocalRunner())
    document = running(job)
    handle = document["maquette"]["handle"]
    wait_for(lambda: list(LocalRunner().logs(handle, follow=False)) == ["up"], what="the step")
    supervisor, step = pids(tracking.refresh(tracking.ledger_of(job)))
    os.kill(supervisor, signal.SIGKILL)
    document = ended(job)
    assert document["status"]["state"] == "FAILED"
    assert "supervisor is gone" in document["maquette"]["reason"]["what"]
    wait_for(lambda: not is_alive(step), what="the orphan's end")


def test_a_job_outlives_the_process_that_started_it(
    make_job: MakeJob,
    tmp_path: Path,
) -> None:
    job = make_job(f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; touch {tmp_path}/done")
    child = os.fork()
    if child == 0:
        tracking.submit(job, LocalRunner())
        os._exit(0)
    os.waitpid(child, 0)
    (tmp_path / "go").touch()
    assert ended(job)["status"]["state"] == "DONE"
    assert (tmp_path / "done").exists()


def test_the_document_is_kept_fresh_without_any_query(make_job: MakeJob) -> None:
    job = make_job("true")
    tracking.submit(job, LocalRunner())
    ledger = tracking.ledger_of(job)
    wait_for(lambda: ledger.read()["status"]["state"] == "DONE", what="DONE in the document")


def test_a_reused_process_number_is_not_taken_for_the_supervisor(make_job: MakeJob) -> None:
    job = make_job("true")
    handle = tracking.submit(job, LocalRunner())["maquette"]["handle"]
    ended(job)
    record = Path(handle["record"])
    text = record.read_text().replace('"DONE"', '"RUNNING"')
    pid = pids(tracking.refresh(tracking.ledger_of(job)))[0]
    record.write_text(text.replace(f'"pid": {pid}', f'"pid": {os.getpid()}', 1))
    assert LocalRunner().status(handle).state == "FAILED"


@pytest.mark.parametrize("correction_s", [3600.0, -3600.0, 2.0])
def test_a_clock_that_is_corrected_hides_no_running_job(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, correction_s: float
) -> None:
    job = make_job("sleep 60")
    tracking.submit(job, LocalRunner())
    step = pids(running(job))[1]
    created = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda it: created(it) + correction_s)
    assert tracking.refresh(tracking.ledger_of(job))["status"]["state"] == "RUNNING"
    with pytest.raises(UsageError, match="already runs"):
        tracking.submit(make_job("true"), LocalRunner())
    assert tracking.cancel(tracking.ledger_of(job))["status"]["state"] == "INTERRUPTED"
    assert not is_alive(step)


def test_after_a_document_of_tomorrow_a_new_job_is_current(make_job: MakeJob) -> None:
    job, ledger = make_job("true"), tracking.ledger_of(make_job("true"))
    tracking.submit(job, LocalRunner())
    document = ended(job)
    for path in (ledger.path, ledger.folder / "history" / f"{job.id}.json"):
        write_json(path, {**document, "createdAt": "2999-01-01T00:00:00.000Z"})
    later = make_job("true")
    tracking.submit(later, LocalRunner())
    assert ended(later)["id"] == later.id
    ledger.update(job.id, lambda old: old["maquette"].update(note="the old job"))
    assert ledger.read()["id"] == later.id
    ledger.path.write_text("")
    assert ledger.read()["id"] == later.id


def test_a_document_cut_in_half_is_replaced_by_its_copy(make_job: MakeJob) -> None:
    job = make_job("true")
    tracking.submit(job, LocalRunner())
    document = ended(job)
    ledger = tracking.ledger_of(job)
    whole = ledger.path.read_text()
    ledger.path.write_text(whole[: len(whole) // 2])
    assert tracking.refresh(ledger) == document
    tracking.submit(make_job("true"), LocalRunner())
    assert ended(job)["maquette"]["attempt"] == 2


def test_a_document_without_any_copy_left_is_an_error_with_advice(tmp_path: Path) -> None:
    ledger = StepLedger(tmp_path, "g", "m", "common", "prepare")
    with pytest.raises(NotFound):
        ledger.read()
    ledger.folder.mkdir(parents=True)
    ledger.path.write_text('{"id": "x", "sta')
    with pytest.raises(JobFailed, match="damaged"):
        ledger.read()


@pytest.mark.parametrize("content", ["", "[]", '{"id": 1, "status": [], "maquette": {}}'])
def test_a_damaged_document_stops_neither_a_new_job_nor_the_list(
    make_job: MakeJob, content: str
) -> None:
    job = make_job("true")
    ledger = tracking.ledger_of(job)
    ledger.folder.mkdir(parents=True)
    ledger.path.write_text(content)
    assert tracking.refresh_all([ledger]) == [] and ledger.is_damaged
    tracking.submit(job, LocalRunner())
    assert ended(job)["status"]["state"] == "DONE" and not ledger.is_damaged
    assert ledger.path.with_suffix(".damaged").read_text() == content
