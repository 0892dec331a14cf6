"""CARRY=store: an agent in the job moves the scene, and its keys are seen nowhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from emulated import Emulated
from job_making import MakeJob, ended, running, script_job
from maquette.agent.arguments import TIME_IS_UP
from maquette.cli.run import raise_for_end
from maquette.cli.whole import can_help
from maquette.errors import BadInput, ConfigError, CredentialsError, JobFailed, UsageError
from maquette.jobs.spec import JobSpec
from maquette.runners import agent_command, tracking
from maquette.runners.ovh import writers
from maquette.runners.ovh.labels import JOB_LABEL
from maquette.runners.ovh.redaction import placeholder
from maquette.runners.ovh.runner import OvhRunner
from maquette.storage import datastores, handover
from s3_server import KEYS, place_in, write_scene
from waiting import wait_for

HOOK = "secret-part"  # of the address that the fixture gives


@pytest.fixture
def make_job(
    emulated: Emulated,
    hook: tuple[str, list[dict]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> MakeJob:
    """Jobs whose image is taken for ours, with the agent in it."""
    monkeypatch.setattr(agent_command, "OURS", "bash")
    write_scene(tmp_path / "scenes" / "thing", {"input/1.jpg": b"what a step of ours asks for"})
    settings = emulated.settings(tmp_path, carry="store", notify_url=hook[0], sync_minutes=0.002)
    return partial(script_job, tmp_path, settings=settings)


@pytest.fixture
def left(emulated: Emulated, make_job: MakeJob) -> Callable[[], list[str]]:
    """What lies in the bucket for jobs to fetch."""
    bucket = make_job("true").data.bucket
    place = place_in(emulated.store.location.endpoint, ".handover", bucket)
    return lambda: sorted(place.objects() or {})


def posted(service: Emulated, job: JobSpec) -> dict[str, Any]:
    [found] = service.jobs(labelSelector=f"{JOB_LABEL}={job.id}")
    return found


def line_of(job: dict[str, Any]) -> str:
    [line] = [v["value"] for v in job["spec"]["envVars"] if v["name"] == handover.VARIABLE]
    return str(line)


def test_the_agent_brings_the_scene_and_takes_it_back(
    emulated: Emulated,
    make_job: MakeJob,
    tmp_path: Path,
    left: Callable[[], list[str]],
    hook: tuple[str, list[dict]],
) -> None:
    job = make_job('cat "$1/given" > "$1/result"; env > "$1/environment"; echo said')
    (job.scene / "given").write_text("given")
    tracking.submit(job, OvhRunner(), secrets={"NOTIFY_URL": hook[0]})
    document = ended(job)
    log = list(OvhRunner().logs(document["maquette"]["handle"], follow=False))
    assert document["status"]["state"] == "DONE", log
    assert (job.scene / "result").read_text() == "given" and "said" in log
    assert [message["event"] for message in hook[1]] == ["start", "done"]
    sent = posted(emulated, job)
    assert sent["spec"]["volumes"] == []
    assert not [sync for sync in sent["status"]["dataSync"] if sync["status"]["progress"]]
    line = line_of(sent)
    assert left() == []
    with pytest.raises(CredentialsError, match="can not be fetched any more"):
        handover.fetch(line)
    assert KEYS.secret_key not in json.dumps(sent)
    secrets = (KEYS.secret_key, HOOK, line, line.partition("#")[2], "X-Amz-Signature")
    for path in (*job.logs.rglob("*"), *job.scene.rglob("*"), tmp_path / "environment"):
        if path.is_file():
            assert not [one for one in secrets if one.encode() in path.read_bytes()], path
    assert handover.VARIABLE not in (job.scene / "environment").read_text()


def test_a_plan_shows_a_remark_where_the_secret_will_be(make_job: MakeJob) -> None:
    job, runner = make_job("true"), OvhRunner()
    request = runner.plan(job)
    assert request == runner.plan(job) == json.loads(json.dumps(request))
    assert request["body"]["envVars"] == [placeholder()]
    assert request["body"]["command"][:3] == ["python", "-m", "maquette.agent"]
    assert KEYS.secret_key not in json.dumps(request) and HOOK not in json.dumps(request)


def test_an_image_without_the_agent_is_refused(emulated: Emulated, tmp_path: Path) -> None:
    job = script_job(tmp_path, "true", settings=emulated.settings(tmp_path, carry="store"))
    with pytest.raises(ConfigError, match="has no agent"):
        OvhRunner().plan(job)


@pytest.mark.parametrize("kind", ["refused", "never started", "stopped", "gave way"])
def test_keys_that_no_job_took_do_not_stay(
    emulated: Emulated,
    make_job: MakeJob,
    left: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    job = make_job("true")
    if kind == "refused":
        emulated.fault("status", method="POST", path="/v1/job$", code=402)
        with pytest.raises(CredentialsError):
            tracking.submit(job, OvhRunner())
    elif kind == "never started":
        hold = emulated.fault("hold", at="PENDING", times=0)
        emulated.fault("image_pull")
        tracking.submit(job, OvhRunner())
        assert left() == [job.id], "the job may still come to take them"
        emulated.ask("DELETE", "/emulator/faults", params={"id": hold})
        assert ended(job)["status"]["state"] == "FAILED"
    elif kind == "stopped":
        emulated.fault("hold", at="PENDING", times=0)
        tracking.submit(job, OvhRunner())
        tracking.cancel(tracking.ledger_of(job))
    else:

        def refuse_later(*_: object) -> None:
            raise UsageError("another was first")

        monkeypatch.setattr(writers, "refuse_later", refuse_later)
        with pytest.raises(UsageError):
            tracking.submit(job, OvhRunner())
    assert left() == []


@pytest.mark.parametrize("first", ["store", "mount"])
def test_a_volume_and_an_agent_do_not_write_to_the_same_prefix(
    emulated: Emulated, make_job: MakeJob, tmp_path: Path, first: str
) -> None:
    one = make_job("exec sleep 60", settings=emulated.settings(tmp_path, carry=first))
    bucket = one.data.bucket
    tracking.submit(one, OvhRunner())
    other_way = "mount" if first == "store" else "store"
    elsewhere = tmp_path / "elsewhere"
    settings = emulated.settings(elsewhere, bucket_name=bucket, carry=other_way)
    with pytest.raises(UsageError, match="already writes"):
        tracking.submit(script_job(elsewhere, "true", settings=settings), OvhRunner())
    tracking.cancel(tracking.ledger_of(one))


def test_a_running_job_pushes_by_itself_and_saves_when_it_is_stopped(
    emulated: Emulated, make_job: MakeJob
) -> None:
    saves = "trap 'echo s > \"$1/saved\"; exit 130' TERM"
    job = make_job(f'{saves}; echo x > "$1/half"; while :; do sleep .1; done')
    tracking.submit(job, OvhRunner())
    handle = running(job)["maquette"]["handle"]
    with pytest.raises(UsageError, match="by itself, every SYNC_MINUTES"):
        OvhRunner().push_now(handle)

    def has_come() -> bool:
        OvhRunner().collect(handle)
        return (job.scene / "half").exists()

    wait_for(has_come, 100, "what the running job pushed")
    document = tracking.cancel(tracking.ledger_of(job))
    assert document["status"]["state"] == "INTERRUPTED"
    tracking.collect(tracking.ledger_of(job))
    assert (job.scene / "saved").read_text() == "s\n"


@pytest.mark.parametrize("alias", ["NEURALANGELO", "ELSEWHERE"])
def test_a_lost_document_is_adopted_with_its_store(
    emulated: Emulated, make_job: MakeJob, tmp_path: Path, alias: str
) -> None:
    datastores.add("ELSEWHERE", datastores.find("NEURALANGELO"))
    datastores.remove("ELSEWHERE" if alias == "NEURALANGELO" else "NEURALANGELO")
    settings = emulated.settings(tmp_path, carry="store", datastore=alias)
    job = make_job('echo here > "$1/result"', settings=settings)
    tracking.submit(job, OvhRunner())
    before = ended(job)["maquette"]["handle"]
    (job.scene / "result").unlink()
    for path in sorted(job.logs.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    [adopted] = [
        one
        for one in OvhRunner().adopt(emulated.settings(tmp_path, bucket_name=""))
        if one["id"] == job.id
    ]
    assert adopted["maquette"]["handle"]["store"] == before["store"]
    assert line_of(posted(emulated, job)) not in json.dumps(adopted)
    tracking.collect(tracking.ledger_of(job))
    assert (job.scene / "result").read_text() == "here\n"


def test_keys_are_fetched_only_for_a_while_and_only_with_the_line(
    emulated: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = datastores.find("NEURALANGELO")
    bucket = place_in(store.location.endpoint, "x")
    bucket.ensure()
    line = handover.leave(bucket, "job-1", {"A": "secret", "B": ""})
    assert handover.fetch(line) == handover.fetch(line) == {"A": "secret", "B": ""}
    top = bucket.at(bucket.name, "")
    stored = top.get_if_changed(handover.key_of("job-1"), "").body
    assert b"secret" not in stored
    with pytest.raises(CredentialsError, match="any more"):
        handover.fetch(line[:-2])
    monkeypatch.setattr(handover, "LIFETIME_S", 1)
    short = handover.leave(bucket, "job-2", {"A": "secret"})
    wait_for(lambda: _is_refused(short), 30, "the end of its time")
    assert top.head(handover.key_of("job-2"))
    assert not _is_refused(line)
    handover.remove(bucket, "job-1")
    handover.remove(bucket, "job-1")
    assert _is_refused(line)


def _is_refused(line: str) -> bool:
    try:
        handover.fetch(line)
    except CredentialsError as error:
        assert line not in str(error) + error.detail + error.hint
        return True
    return False


def test_the_agent_stops_before_the_platform_does(
    emulated: Emulated, make_job: MakeJob, tmp_path: Path
) -> None:
    """So that it can save and push; the platform's own limit stands behind it."""
    job = make_job("true")
    limits = emulated.settings(tmp_path, carry="store", max_hours=10)
    limited = make_job("true", settings=limits)
    body = OvhRunner().plan(limited)["body"]
    words = body["command"]
    assert body["timeout"] == 36_000
    assert float(words[words.index("--max-hours") + 1]) == pytest.approx(9.83, abs=0.01)
    assert "--max-hours" not in OvhRunner().plan(job)["body"]["command"]


def test_a_job_that_ran_out_of_time_is_not_tried_again(make_job: MakeJob) -> None:
    job = make_job(f"exit {TIME_IS_UP}")
    tracking.submit(job, OvhRunner())
    assert ended(job)["status"]["exitCode"] == TIME_IS_UP
    assert not can_help(JobFailed("out of time"), tracking.ledger_of(job))


@pytest.mark.parametrize("carry", ["mount", "store"])
def test_a_failed_job_is_kept_for_a_look_and_says_so(
    emulated: Emulated, make_job: MakeJob, tmp_path: Path, carry: str
) -> None:
    """Whether a volume or the agent brings the scene; alone, and among the jobs of a list."""
    settings = emulated.settings(tmp_path, carry=carry, keep_on_fail=600)
    event = {"event": "error", "what": "no eyes", "detail": "", "hint": "", "code": 14}
    job = make_job(f"touch $1/half; echo '@maquette {json.dumps(event)}'; exit 14",
                   settings=settings)  # fmt: skip
    tracking.submit(job, OvhRunner())
    ledger = tracking.ledger_of(job)
    wait_for(lambda: tracking.refresh(ledger)["maquette"]["kept_until"], 100, "the look")
    document = tracking.refresh_all([ledger])[0]
    message, handle = document["status"]["info"]["message"], document["maquette"]["handle"]
    assert document["status"]["state"] == "RUNNING"
    assert "failed (exit code 14), kept for a look until" in message
    assert f"`ovhai job exec -it {handle['id']} -- bash`" in message
    assert document["maquette"]["reason"]["what"] == "no eyes"
    listed = OvhRunner().statuses([handle, {**handle, "id": "another"}])
    assert handle["id"] not in listed, "its log alone tells that it is kept"
    document = tracking.cancel(ledger)
    assert document["status"]["exitCode"] == 14 and not document["maquette"]["kept_until"]
    with pytest.raises(BadInput, match="no eyes"):
        raise_for_end(document, ledger)
    tracking.collect(ledger)
    assert (job.scene / "half").exists()
