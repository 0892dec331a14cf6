"""KEEP_ON_FAIL: how long a failed job is kept, what is told of it, and who refuses it."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from job_making import script_job
from maquette.agent import keeping
from maquette.agent.arguments import RESUME_ME, TIME_IS_UP, UNSAVED, Arguments, parse
from maquette.agent.step_process import SignalRequests
from maquette.config.loading import load
from maquette.config.settings import Settings
from maquette.errors import ConfigError, UsageError
from maquette.jobs.ledger import StepLedger
from maquette.planning.building import build_job
from maquette.runners import agent_command, tracking
from maquette.runners.agent_command import SECRETS_FILE
from maquette.runners.base import Status, get_runner
from maquette.runners.docker.statuses import ending
from maquette.runners.failures import LogEvents, kept_message
from maquette.scene.events import LOG_PREFIX
from maquette.storage import datastores
from maquette.storage.datastores import DataStore
from maquette.ui import text

BACKENDS = ("docker", "ovh")  # those with an agent
STEP = ("maquette-step", "photogrammetry", "process")


class FakeTime:
    """A clock that moves only when somebody waits."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.pauses = 0

    def clock(self) -> float:
        return self.now_s

    def pause(self, seconds: float) -> None:
        self.now_s += seconds
        self.pauses += 1


@pytest.fixture
def requests() -> SignalRequests:
    """Requests whose signals are given back to the tests' own handlers."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    found = SignalRequests()
    for number, handler in before.items():
        signal.signal(number, handler)
    return found


def arguments(**more: object) -> Arguments:
    given = {"command": STEP, "scene": Path("/scenes/thing"), "step": "process", "job": "process-1"}
    return Arguments(**{**given, "keep_on_fail_minutes": 15, **more})


def kept_event(**more: object) -> str:
    event = {"event": "kept", **keeping.announcement(arguments(), 14, 900), **more}
    return LOG_PREFIX + json.dumps(event)


@pytest.mark.parametrize(
    ("code", "spent_s", "limits", "expected_s"),
    [
        (14, 100, {}, 900),
        (UNSAVED, 100, {}, 900),
        (14, 100, {"keep_on_fail_minutes": 0}, 0),
        (14, 3000, {"max_hours": 1}, 600),
        (14, 4000, {"max_hours": 1}, 0),
        (14, 1800, {"max_cost": 1, "price_per_hour": 1.5}, 600),
        (0, 100, {}, 0),
        (RESUME_ME, 100, {}, 0),
        (TIME_IS_UP, 100, {}, 0),
    ],
)
def test_a_failed_job_is_kept_within_its_limits(
    code: int, spent_s: float, limits: dict, expected_s: float
) -> None:
    assert keeping.keep_s(arguments(**limits), code, spent_s) == pytest.approx(expected_s)


def test_the_wait_ends_with_its_time(requests: SignalRequests) -> None:
    time = FakeTime()
    waited = keeping.wait(900, requests, lambda: None, clock=time.clock, pause=time.pause)
    assert waited == pytest.approx(900) and time.pauses == 900 / keeping.POLL_S


def test_a_request_to_stop_ends_the_wait(requests: SignalRequests) -> None:
    time = FakeTime()

    def pause(seconds: float) -> None:
        time.pause(seconds)
        requests.stop = time.pauses == 8

    assert keeping.wait(900, requests, lambda: None, clock=time.clock, pause=pause) == 2.0


def test_what_is_asked_to_be_pushed_meanwhile_is_pushed(requests: SignalRequests) -> None:
    time, pushed = FakeTime(), []

    def pause(seconds: float) -> None:
        time.pause(seconds)
        if time.pauses == 3:
            requests.push.set()

    keeping.wait(10, requests, lambda: pushed.append(1), clock=time.clock, pause=pause)
    assert pushed == [1]


def test_the_announcement_tells_how_to_get_in_where_the_scene_is_and_when_it_ends() -> None:
    look = "docker exec -it maquette-process-1 sh"
    told = keeping.announcement(arguments(look_with=look, group="walls"), 14, 900)
    until = datetime.fromisoformat(told["until"])
    assert abs((until - datetime.now(UTC)).total_seconds() - 900) < 30
    for part in (
        "exit code 14", f"until {until:%H:%M} UTC", f"`{look}`", "`/scenes/thing`",
        "`make process-stop PIPELINE=photogrammetry MODEL=thing GROUP=walls`",
    ):  # fmt: skip
        assert part in told["text"]
    assert told["text"] in str(text.event_line({"event": "kept", **told}))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("carry", ["auto", "store"])
def test_the_setting_reaches_the_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, carry: str
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    datastores.add("NEURALANGELO", DataStore("https://s3.example.org", "us-east-1"))
    given = [f"BACKEND={backend}", "KEEP_ON_FAIL=15", "MODEL=thing", f"CARRY={carry}", "GPU=0"]
    job = build_job("process", load([*given, f"BASE_DIR={tmp_path}"]))
    request = get_runner(backend).plan(job)
    command = request.get("command") or request["body"]["command"]
    words = [word for word in command if word not in ("--secrets-file", SECRETS_FILE)]
    agent = parse(words[words.index("maquette.agent") + 1 :], {})
    assert agent.keep_on_fail_minutes == 15 and agent.group == job.group
    assert "exec -it" in agent.look_with
    assert agent.command[0] == agent_command.OURS
    assert (agent.store is None) == (carry == "auto")
    without = build_job("process", load([*given[:1], *given[2:], f"BASE_DIR={tmp_path}"]))
    assert agent_command.KEEP_WORD not in str(get_runner(backend).plan(without))


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_image_without_the_agent_is_refused(tmp_path: Path, backend: str) -> None:
    settings = Settings(backend=backend, keep_on_fail=15, base_dir=tmp_path)
    with pytest.raises(ConfigError, match="KEEP_ON_FAIL needs the agent"):
        get_runner(backend).plan(script_job(tmp_path, "true", settings=settings))


def test_this_machine_keeps_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(["KEEP_ON_FAIL=15", "BACKEND=local"])
    assert "KEEP_ON_FAIL" in caught.value.what + caught.value.detail


def test_a_job_that_is_kept_is_said_to_have_failed(tmp_path: Path) -> None:
    events = LogEvents([kept_event()])
    assert events.kept is not None
    until = datetime.fromisoformat(events.kept["until"]).astimezone()
    said = kept_message(events.kept, "look here")
    assert said == f"failed (exit code 14), kept for a look until {until:%H:%M}: `look here`"


def test_a_second_submission_is_told_that_the_first_has_failed(tmp_path: Path) -> None:
    class Keeping:
        """A backend whose only job has failed and is kept."""

        name = "docker"

        def plan(self, job: object) -> dict:
            return {}

        def submit(self, request: dict, secrets: object = None) -> dict:
            return {"id": "1"}

    job, runner = script_job(tmp_path, "true"), Keeping()
    tracking.submit(job, runner)  # type: ignore[arg-type]
    kept = Status("RUNNING", "failed, kept for a look until 14:05", kept_until="2026-11-01T14:05Z")
    ledger: StepLedger = tracking.ledger_of(job)
    document = ledger.update(job.id, lambda document: tracking.apply(document, kept))
    assert document["maquette"]["kept_until"] == "2026-11-01T14:05Z"
    with pytest.raises(UsageError) as caught:
        ledger.create(script_job(tmp_path, "true"), "docker", {}, lambda document: None)
    assert "kept for a look until 14:05" in caught.value.detail
    ended = Status("FAILED", "the step failed", 14)
    document = ledger.update(job.id, lambda document: tracking.apply(document, ended))
    assert document["maquette"]["kept_until"] is None


@pytest.mark.parametrize("stopping", [False, True])
def test_a_kept_job_ends_as_failed_also_when_a_person_ends_the_look(stopping: bool) -> None:
    state, _, why = ending(14, {}, stopping, LogEvents([kept_event()]), "log")
    assert state == "FAILED" and why and "14" in why["what"]
