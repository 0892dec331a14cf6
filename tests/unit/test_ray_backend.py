"""The Ray backend without a cluster: what it sends, refuses, and reads from a job's log."""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from job_making import script_job
from maquette.config.settings import Settings
from maquette.errors import ConfigError, CredentialsError, MaquetteError, NotFound, Unanswered
from maquette.jobs.inputs import Input
from maquette.jobs.spec import JobSpec
from maquette.resources import version
from maquette.runners.ray import driver, marks, secret_line, tasks
from maquette.runners.ray.client import connected
from maquette.runners.ray.runner import RayRunner
from maquette.runners.ray.spec import digest
from maquette.storage import datastores, handover
from maquette.storage.datastores import DataStore

NOBODY = "http://127.0.0.1:9"


def job_at(folder: Path, address: str = NOBODY, **facts: Any) -> JobSpec:
    settings = Settings(backend="ray", backend_options={"ray_address": address})
    return replace(script_job(folder, "true", settings=settings), **facts)


@contextmanager
def answering(answers: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """A server that answers with JSON by path; its address, and the tokens it was shown."""
    tokens: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            tokens.append(self.headers.get("Authorization", ""))
            found = answers.get(self.path.partition("?")[0])
            self.send_response(found if isinstance(found, int) else 200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        def log_message(self, *words: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", tokens
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_our_id_is_the_clusters_and_a_step_with_shards_takes_no_gpu_from_them(
    tmp_path: Path,
) -> None:
    plain = job_at(tmp_path, spec={"resources": {"gpu": 2}, "labels": {"maquette-model": "thing"}})
    body = RayRunner().plan(plain)["body"]
    assert body["submission_id"] == plain.id and body["entrypoint_num_gpus"] == 2
    assert body["metadata"] == {"maquette-model": "thing", "maquette-job": plain.id}
    assert body["entrypoint"].startswith("exec python3 -m maquette.runners.ray.driver")
    shared = replace(plain, options={"workers": 1})
    assert RayRunner().plan(shared)["body"]["entrypoint_num_gpus"] == 0


def test_a_persons_own_file_goes_into_the_scene(tmp_path: Path) -> None:
    film = tmp_path / "shoe.mp4"
    job = job_at(tmp_path, input=Input(given="shoe.mp4", told=str(film)))
    request = RayRunner().plan(job)
    place = "stages/source/shoe.mp4"
    assert request["carried_input"] == {"source": str(film), "place": place}
    assert request["options"]["input"] == str(job.scene / place)


def by_store(folder: Path, monkeypatch: pytest.MonkeyPatch, **facts: Any) -> JobSpec:
    """A job whose scene comes by a data store."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    datastores.add("NEURALANGELO", DataStore("https://s3.example.org", "gra"))
    words = ("maquette-step", "photogrammetry", "process", "--scene", "{scene}")
    settings = {"carry": "store", "ray_folder": "~/kept", "ray_address": NOBODY}
    job = replace(job_at(folder), command=words, backend_options=settings)
    return replace(job, **facts)


def test_a_scene_that_comes_by_the_store_needs_no_folder_and_shows_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = {"options": {"workers": 1}, "spec": {"resources": {"gpu": 1}}}
    request = RayRunner().plan(by_store(tmp_path, monkeypatch, **shards))
    entry = shlex.split(request["body"]["entrypoint"])
    scene = f"~/kept/jobs/{request['store']['bucket']}/thing"
    told = dict(pairwise(entry))
    assert "maquette.agent" in entry and told["--scene"] == scene and "--digest" not in entry
    assert told["--store-endpoint"] == "https://s3.example.org"
    assert told["--shard-folder"] == "~/kept/shards" and told["--gpus"] == "0"
    assert request["gpus"] == 1 and str(tmp_path) not in request["body"]["entrypoint"]
    variables = request["body"]["runtime_env"]["env_vars"]
    assert variables == {"RAY_JOB_STOP_WAIT_TIME_S": "600", handover.VARIABLE: handover.REDACTED}
    whole = RayRunner().plan(by_store(tmp_path, monkeypatch, spec={"resources": {"gpu": 1}}))
    entry = shlex.split(whole["body"]["entrypoint"])
    assert "--shard-folder" not in entry and dict(pairwise(entry))["--gpus"] == "1"


def test_what_has_no_agent_or_no_store_that_others_reach_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = by_store(tmp_path, monkeypatch)
    with pytest.raises(ConfigError, match="only a step of ours comes by the data store"):
        RayRunner().plan(replace(job, command=("bash", "-c", "true")))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "empty"))
    with pytest.raises(ConfigError, match="needs a data store that both can reach"):
        RayRunner().plan(job)


def test_what_the_cluster_tells_of_a_job_hides_the_line_that_leads_to_keys() -> None:
    told = {"status": "RUNNING", "runtime_env": {"env_vars": {"A": "1", handover.VARIABLE: "line"}}}
    shown = secret_line.without(told)
    assert shown["runtime_env"]["env_vars"] == {"A": "1", handover.VARIABLE: handover.REDACTED}
    assert secret_line.without({"status": "DONE"}) == {"status": "DONE"}


@pytest.mark.parametrize("address", ["auto", "ray://head:10001", "head:6379", "http://"])
def test_what_is_no_jobs_api_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigError, match="is no address of a Jobs API") as caught:
        RayRunner().plan(job_at(tmp_path, address))
    assert "make ray-local" in caught.value.hint


def test_where_no_cluster_answers_nothing_is_written(tmp_path: Path) -> None:
    runner, job = RayRunner(), job_at(tmp_path)
    with pytest.raises(Unanswered, match=f"no Ray cluster answers at {NOBODY}") as caught:
        runner.submit(runner.plan(job))
    assert "make ray-local" in caught.value.hint and not job.scene.exists()


def test_an_open_port_of_another_machine_is_refused_unless_it_has_a_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CredentialsError, match="open port of another machine") as caught:
        connected("http://198.51.100.7:8265").__enter__()
    assert "ssh -N -L 8265:127.0.0.1:8265 198.51.100.7" in caught.value.hint
    with connected("https://ray.example.org"):
        pass
    monkeypatch.setenv("RAY_TOKEN", "t0ken")
    with connected("http://198.51.100.7:8265"):
        pass
    with answering({"/api/version": {"ray_version": "2.60.0"}}) as (address, tokens):
        with connected(address) as client:
            assert client.version() == "2.60.0"
        assert tokens == ["Bearer t0ken"]


@pytest.mark.parametrize(
    ("answers", "kind", "sentence"),
    [
        ({}, ConfigError, "is no Ray cluster's Jobs API"),
        ({"/api/version": {"ray_version": "2.9.3"}}, ConfigError, "Ray 2.9.3 is too old"),
        ({"/api/version": 401}, CredentialsError, "wants another token"),
    ],
)
def test_what_answers_otherwise_is_told(
    answers: dict[str, Any], kind: type[MaquetteError], sentence: str
) -> None:
    with answering(answers) as (address, _), connected(address) as client:
        with pytest.raises(kind, match=sentence) as caught:
            client.version()
        assert caught.value.hint


def test_more_gpus_than_a_machine_has_are_refused(tmp_path: Path) -> None:
    nodes = [{"state": "ALIVE", "resources_total": {"CPU": 4.0, "GPU": 2.0}},
             {"state": "DEAD", "resources_total": {"GPU": 8.0}}]  # fmt: skip
    answers = {
        "/api/version": {"ray_version": "2.60.0"},
        "/api/v0/nodes": {"data": {"result": {"result": nodes}}},
    }
    with answering(answers) as (address, _):
        runner = RayRunner()
        request = runner.plan(job_at(tmp_path, address, spec={"resources": {"gpu": 3}}))
        with pytest.raises(ConfigError, match=r"GPU=3: no machine .* the most is 2"):
            runner.submit(request)


def job_answer(**facts: Any) -> dict[str, Any]:
    return {"submission_id": "j", "status": "FAILED", "message": "", "error_type": None,
            "start_time": 1000, "end_time": 2000, "driver_exit_code": 1, **facts}  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "log", "sentence"),
    [
        ({"driver_exit_code": 127}, "sh: exec: python3: not found\n", "Python has no maquette"),
        ({}, "python3: No module named maquette\n", "Python has no maquette"),
        ({"driver_exit_code": None, "error_type": "JOB_SUPERVISOR_ACTOR_DIED"}, "", "was lost"),
        ({"driver_exit_code": None, "message": "no room"}, "", "could not start"),
    ],
)
def test_why_a_job_failed_is_told(
    tmp_path: Path, facts: dict[str, Any], log: str, sentence: str
) -> None:
    answers = {"/api/jobs/j": job_answer(**facts), "/api/jobs/j/logs": {"logs": log}}
    with answering(answers) as (address, _):
        handle = {"id": "j", "address": address, "log": str(tmp_path / "j.log")}
        status = RayRunner().status(handle)
    assert status.state == "FAILED" and status.reason
    assert sentence in status.reason["what"] and status.reason["hint"]


def test_a_stop_that_nobody_saw_happen_is_in_the_history(tmp_path: Path) -> None:
    text = marks.mark(marks.BEGIN) + "saved\n" + marks.mark(marks.STOPPING)
    log = {"logs": text + marks.mark(marks.END, code=130)}
    answers = {"/api/jobs/j": job_answer(status="STOPPED"), "/api/jobs/j/logs": log}
    with answering(answers) as (address, _):
        handle = {"id": "j", "address": address, "log": str(tmp_path / "j.log")}
        status = RayRunner().status(handle)
        assert list(RayRunner().logs(handle, follow=False)) == ["saved"]
    assert (status.state, status.exit_code) == ("INTERRUPTED", 130)
    states = [entry["state"] for entry in status.history]
    assert states == ["RUNNING", "INTERRUPTING", "INTERRUPTED"]


def test_a_job_that_a_new_head_does_not_know_has_failed(tmp_path: Path) -> None:
    with answering({}) as (address, _):
        status = RayRunner().status({"id": "j", "address": address, "log": str(tmp_path / "log")})
    assert status.state == "FAILED" and status.reason
    assert "does not know the job" in status.reason["what"]


def test_marks_come_out_of_a_log_as_if_they_had_never_been_there() -> None:
    begin, stopping = marks.mark(marks.BEGIN), marks.mark(marks.STOPPING)
    end = marks.mark(marks.END, code=3)
    noise = "Running entrypoint …\n"
    for text in ("", "one\n", "one\ntwo", "\none\n\n"):
        assert marks.without(noise + begin + text + end) == text
    assert marks.without(noise + begin + "par" + stopping + "tial\n" + end) == "partial\n"
    assert marks.without(noise) == ""
    facts = marks.facts_of(end[1:], marks.END)
    assert facts and facts["code"] == 3


def run_driver(folder: Path, script: str, options: dict[str, Any], **told: str) -> int:
    facts = {"digest": digest(options), "version": version(), **told}
    words = [f"--{name}={value}" for name, value in facts.items()]
    places = [f"--scene={folder}", f"--options={folder / 'options.json'}"]
    return driver.main([*words, *places, "--", "bash", "-c", script])


@pytest.fixture
def _signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver takes the signals of its process, which are those of all tests here."""
    monkeypatch.setattr(driver, "SignalRequests", lambda: type("Requests", (), {"stop": False})())


@pytest.mark.usefixtures("_signals")
def test_the_driver_tells_the_end_of_its_step(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "options.json").write_text('{"seed": 0}')
    assert run_driver(tmp_path, "echo $MAQUETTE_LAUNCHER; kill -9 $$", {"seed": 0}) == 137
    text = capfd.readouterr().out
    assert marks.without(text) == "maquette.runners.ray.launcher\n"
    facts = marks.facts_of(text, marks.END)
    assert facts and facts["code"] == 137


def test_a_step_that_stops_at_once_has_been_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(driver, "SignalRequests", lambda: type("Requests", (), {"stop": True})())
    (tmp_path / "options.json").write_text('{"seed": 0}')
    assert run_driver(tmp_path, "exit 130", {"seed": 0}) == 130
    assert marks.facts_of(capfd.readouterr().out, marks.STOPPING)


@pytest.mark.usefixtures("_signals")
def test_the_driver_refuses_another_scene_and_another_maquette(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(driver, "_SEEN_WITHIN_S", 0.0)
    (tmp_path / "options.json").write_text('{"seed": 0}')
    assert run_driver(tmp_path, "echo ran", {"seed": 1}) == NotFound.exit_code
    assert "does not see the scene" in capfd.readouterr().out
    assert run_driver(tmp_path, "echo ran", {"seed": 0}, version="9") == ConfigError.exit_code
    said = capfd.readouterr().out
    assert "the job was sent by 9" in said and "\nran" not in said


def test_a_machine_that_does_not_see_the_scene_says_so(tmp_path: Path) -> None:
    code, _, lines = tasks.run(["maquette-step"], str(tmp_path / "no" / "folder" / "1-of-2.log"))
    assert code == NotFound.exit_code and "does not see the scene" in lines[0]


def test_a_machine_without_maquette_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find: Callable[[str], None] = lambda name: None  # noqa: E731
    monkeypatch.setattr(tasks.importlib.util, "find_spec", find)
    code, _, lines = tasks.run(["maquette-step"], str(tmp_path / "1-of-2.log"))
    assert code == ConfigError.exit_code and "has no maquette" in lines[0]
