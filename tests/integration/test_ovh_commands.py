"""The commands around jobs of OVHcloud: lost documents, lost jobs, machines, money, token."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from command_line import environment
from emulated import Emulated
from http_proxy import use
from job_making import MakeJob, ended, running, script_job
from maquette.cli.main import main
from maquette.config.settings import Settings
from maquette.errors import ConfigError, NotFound
from maquette.jobs.spec import JobSpec
from maquette.runners import tracking
from maquette.runners.ovh import preflight, tokens
from maquette.runners.ovh.labels import HOST_LABEL, JOB_LABEL, USER_LABEL
from maquette.runners.ovh.runner import OvhRunner
from maquette.runners.ovh.spec import CPU_FLAVOR
from maquette.storage import datastores
from s3_server import place_in, put_foreign, write_scene
from waiting import wait_for

Call = Callable[..., tuple[int, str, str]]
STAYS = 'echo precious > "$1/result"; exec sleep 60'


@pytest.fixture
def service(own_service: Emulated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Emulated:
    monkeypatch.chdir(tmp_path)
    return own_service


@pytest.fixture
def make_job(service: Emulated, tmp_path: Path) -> MakeJob:
    return partial(script_job, tmp_path, settings=service.settings(tmp_path))


@pytest.fixture
def call(
    service: Emulated, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Run `maquette …` here; returns exit code, standard output and standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setenv("OVH_URL", service.running.url)
        monkeypatch.setattr(sys, "argv", ["maquette", *words])
        with pytest.raises(SystemExit) as caught:
            main()
        return int(caught.value.code or 0), *capsys.readouterr()

    return run


def state_of(service: Emulated, job: JobSpec) -> str:
    [found] = service.jobs(labelSelector=f"{JOB_LABEL}={job.id}")
    return str(found["status"]["state"])


def post(service: Emulated, job: JobSpec, model: str, **labels: str) -> str:
    """Start a job without a document here; returns the service's id."""
    body = OvhRunner().plan(replace(job, model=model))["body"]
    body["labels"] |= labels
    answer = service.ask("POST", "/v1/job", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def test_adopt_writes_the_documents_again(
    service: Emulated, make_job: MakeJob, call: Call, tmp_path: Path
) -> None:
    """An ended and a running job are whole again: state, cost, data, and they can be stopped."""
    done, live = make_job('echo old > "$1/done"'), make_job(STAYS, step="process")
    tracking.submit(done, OvhRunner())
    before = [ended(done)]
    tracking.submit(live, OvhRunner())
    before.append(running(live))
    shutil.rmtree(tmp_path / "logs")
    (done.scene / "done").unlink()
    assert call("jobs")[1] == "no jobs yet\n"
    code, out, _ = call("jobs", "adopt")
    assert code == 0 and done.id in out and live.id in out
    for job, lost in zip((done, live), before, strict=True):
        found = tracking.ledger_of(job).read()
        assert found["status"]["state"] == lost["status"]["state"]
        assert found["status"]["history"][1:] == lost["status"]["history"][1:]
        for name in ("id", "url", "job_id", "log"):
            assert found["maquette"]["handle"][name] == lost["maquette"]["handle"][name], name
        for name in ("cost", "step", "model", "group", "backend"):
            assert found["maquette"][name] == lost["maquette"][name], name
    assert call("jobs", "adopt")[1] == "no jobs to adopt\n"
    tracking.collect(tracking.ledger_of(done))
    assert (done.scene / "done").read_text() == "old\n"
    assert call("stop", "process", "MODEL=thing", "GROUP=tests")[:2] == (0, "INTERRUPTED\n")
    assert state_of(service, live) == "INTERRUPTED"


def test_adopt_leaves_jobs_of_others_and_labels_that_lead_elsewhere(
    service: Emulated, make_job: MakeJob, call: Call, tmp_path: Path
) -> None:
    job = make_job("true")
    post(service, job, "theirs", **{USER_LABEL: "somebody-else"})
    post(service, job, "outside", **{"maquette-model": "../../outside"})
    post(service, job, "outside2", **{"maquette-group": "/tmp"})
    post(service, job, "strange", **{JOB_LABEL: "../prepare-20260101-000000-aaaaaa"})
    assert call("jobs", "adopt")[:2] == (0, "no jobs to adopt\n")
    assert not list(tmp_path.rglob("*_job.json"))


def test_sweep_stops_only_our_lost_jobs_and_only_when_told(
    service: Emulated, make_job: MakeJob, call: Call
) -> None:
    known, lost, gone = make_job(STAYS), make_job(STAYS), make_job("true")
    tracking.submit(known, OvhRunner())
    assert call("sweep")[:2] == (0, "every running job of ours has a document here\n")
    theirs = {
        post(service, replace(lost, id=f"{lost.id}{n}"), f"theirs-{n}", **labels)
        for n, labels in enumerate(
            (
                {USER_LABEL: "somebody-else"},
                {HOST_LABEL: "elsewhere"},
                {"maquette": "no"},
            )
        )
    }
    ours = post(service, lost, "lost")
    over = post(service, gone, "gone")
    wait_for(lambda: service.ask("GET", f"/v1/job/{over}").json()["status"]["state"] == "DONE", 100)
    code, out, err = call("sweep")
    assert code == 2 and "nothing was stopped" in err and "YES=1" in err
    assert lost.id in out and known.id not in out and gone.id not in out
    assert "3 running jobs of other people or machines: left alone" in out
    assert call("sweep", "DRY_RUN=1", "YES=1")[0] == 0
    listed = json.loads(call("sweep", "--json", "DRY_RUN=1")[1].splitlines()[0])
    assert [entry["id"] for entry in listed] == [ours] and listed[0]["model"] == "lost"
    assert state_of(service, lost) != "INTERRUPTED"
    code, out, _ = call("sweep", "YES=1")
    assert code == 0 and f"{lost.id} was asked to stop" in out
    wait_for(lambda: state_of(service, lost) == "INTERRUPTED", 100)
    stopped = {job["id"] for job in service.jobs() if job["status"]["stoppedAt"]}
    assert stopped & (theirs | {ours}) == {ours} and state_of(service, known) != "INTERRUPTED"


@pytest.mark.parametrize(("answer", "code"), [("n", 2), ("y", 0)])
def test_sweep_asks_on_a_terminal(
    service: Emulated, make_job: MakeJob, tmp_path: Path, answer: str, code: int
) -> None:
    job = make_job(STAYS)
    post(service, job, "lost")
    ours, theirs = pty.openpty()
    words = ["sweep", f"OVH_URL={service.running.url}"]
    with closing(os.fdopen(ours, "w")) as keyboard:
        process = subprocess.Popen(
            [sys.executable, "-m", "maquette.cli.main", *words],
            stdin=theirs, stdout=subprocess.PIPE, cwd=tmp_path, text=True,
            env=environment(**{tokens.VARIABLE: service.running.token}),
        )  # fmt: skip
        keyboard.write(f"{answer}\n")
        keyboard.flush()
        out = process.communicate(timeout=270)[0]
        os.close(theirs)
    assert process.returncode == code and "stop these jobs?" in out
    if answer == "y":
        wait_for(lambda: state_of(service, job) == "INTERRUPTED", 100)
    else:
        assert state_of(service, job) in ("QUEUED", "INITIALIZING", "PENDING", "RUNNING")


def test_flavors_with_prices_of_the_catalogue_and_without(service: Emulated, call: Call) -> None:
    catalogue = f"{service.running.url}/1.0/order/catalog/public/cloud"
    code, out, err = call("flavors", f"OVH_CATALOGUE={service.running.url}/no-catalogue")
    assert code == 0 and "prices are older ones" in err and "404" in err
    assert "table of " in out and "catalogue of " not in out
    found = json.loads(call("flavors", "--json", f"OVH_CATALOGUE={catalogue}")[1])
    [l4] = [item for item in found if item["id"] == "l4-1-gpu"]
    assert l4["price_from"].startswith("catalogue of ") and l4["eur_per_minute"] > 0
    assert l4["vram_gib"] == 24 and l4["gpu"]
    _, out, err = call("flavors", f"OVH_CATALOGUE={catalogue}")
    [row] = [line for line in out.splitlines() if line.split()[:1] == ["l4-1-gpu"]]
    assert f"{l4['eur_per_minute'] * 60:.2f}" in row and not err


def test_flavors_without_a_token_come_from_the_table(
    service: Emulated, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(tokens.VARIABLE)
    code, out, err = call("flavors", f"OVH_CATALOGUE={service.running.url}/no-catalogue")
    assert code == 0 and "l4-1-gpu" in out
    assert "could not be asked: no token for OVHcloud" in err and "older ones" in err


def test_estimate_learns_from_jobs_that_ran(
    service: Emulated, make_job: MakeJob, call: Call
) -> None:
    """Unmeasured machines are told so; a job that ran narrows the range for its flavor."""
    catalogue = f"OVH_CATALOGUE={service.running.url}/1.0/order/catalog/public/cloud"
    words = ("estimate", "MODEL=thing", "ITERATIONS=500", catalogue)
    code, out, _ = call(*words, "FLAVOR=l4-1-gpu")
    assert code == 0 and "nothing was ever measured on l4-1-gpu" in out
    found = json.loads(call(*words, "FLAVOR=l4-1-gpu", "--json")[1])
    assert [step["step"] for step in found["steps"]] == ["prepare", "process", "extract"]
    for step in found["steps"]:
        assert 0 < step["low_s"] < step["high_s"] and 0 < step["low_eur"] < step["high_eur"]
    [_, far, _] = json.loads(call(*words, "GPU=0", "--json")[1])["steps"]
    job = replace(make_job("sleep 0.1", step="process"), options={"iterations": 500})
    tracking.submit(job, OvhRunner())
    seconds = ended(job)["status"]["duration"]
    [_, near, _] = json.loads(call(*words, "GPU=0", "--json")[1])["steps"]
    assert far["flavor"] == near["flavor"] == CPU_FLAVOR
    assert (near["low_s"], near["high_s"]) == pytest.approx((seconds / 2, seconds * 2))
    assert near["high_s"] < far["high_s"]


def test_login_check_tells_who_and_what_may_be_done(
    service: Emulated, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = json.loads(call("ovh", "login-check", "--json")[1])
    assert facts["may start jobs"] == "yes" and facts["token from"] == "environment"
    assert facts["quota"] == {"CPU": 400, "GPU": 40} and facts["address"] == service.running.url
    reader = {"name": "reader", "role": "ai_training_read"}
    secret = service.ask("POST", "/v1/token", json=reader).json()["status"]["value"]
    monkeypatch.delenv(tokens.VARIABLE)
    Path(".env").write_text(f"{tokens.VARIABLE}={secret}\n")
    code, out, _ = call("ovh", "login-check")
    assert code == 0 and "ai_training_read" in out and ".env" in out
    assert json.loads(call("ovh", "login-check", "--json")[1])["may start jobs"] == "no"
    assert secret not in out


def test_login_check_on_this_machine_asks_no_proxy(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(None, monkeypatch, HTTP_PROXY="http://127.0.0.1:9", ALL_PROXY="http://127.0.0.1:9")
    assert call("ovh", "login-check")[0] == 0


def test_login_check_without_a_token_or_with_a_wrong_one(
    service: Emulated, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(tokens.VARIABLE, "wrong-secret")
    code, out, err = call("ovh", "login-check")
    assert code == 11 and "refused the token" in err and "wrong-secret" not in out + err
    monkeypatch.delenv(tokens.VARIABLE)
    code, _, err = call("ovh", "login-check")
    assert code == 11 and f"no token for OVHcloud AI Training was found ({tokens.VARIABLE})" in err
    assert "ovhai token create" in err


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (401, 11, "refused the token"),
        (402, 11, "quota"),
        (403, 11, "may not"),
        (404, 13, "OVH_REGION"),
        (503, 12, "try again"),
    ],
)
def test_login_check_tells_what_was_refused_and_what_to_do(
    service: Emulated, call: Call, status: int, code: int, told: str
) -> None:
    service.fault("status", code=status, path="/v1/me", times=0)
    ended_with, out, err = call("ovh", "login-check")
    assert ended_with == code and told in err and "\nhint: " in err
    assert service.running.token not in out + err


def test_process_push_brings_a_running_job_s_files(
    service: Emulated, make_job: MakeJob, call: Call
) -> None:
    job = make_job(STAYS, step="process")
    words = ("push", "process", "MODEL=thing", "GROUP=tests")
    assert call(*words)[0] == 13
    service.fault("hold", at="PENDING", times=0)
    tracking.submit(job, OvhRunner())
    code, _, err = call(*words)
    assert code == 2 and "there is nothing to copy" in err
    service.clear()
    running(job)

    def pushed(*more: str) -> bool:
        """The script may not have written yet when the machine says that it runs."""
        assert call(*words, *more)[0] == 0
        return (job.scene / "result").exists()

    assert not pushed("PULL=0")
    wait_for(pushed)
    assert (job.scene / "result").read_text() == "precious\n"
    assert state_of(service, job) == "RUNNING"
    assert tracking.ledger_of(job).read()["maquette"]["pushed_at"]
    tracking.cancel(tracking.ledger_of(job))
    code, _, err = call(*words)
    assert code == 2 and "is not running: INTERRUPTED" in err


@pytest.mark.parametrize(
    ("step", "told"),
    [("prepare", "set INPUT="), ("process", "make prepare"), ("extract", "make process")],
)
def test_a_step_whose_predecessor_is_missing_is_not_paid_for(
    service: Emulated, call: Call, tmp_path: Path, step: str, told: str
) -> None:
    words = ("run", step, "BACKEND=ovh", "MODEL=new", "GPU=0", "WAIT=0", "DATASTORE=NEURALANGELO")
    code, _, err = call(*words)
    assert code == 13 and f"{step} needs `" in err and "neither here nor in s3://" in err
    assert told in err and not service.jobs()
    (path,) = (tmp_path / "logs").rglob(f"{step}_job.json")
    document = json.loads(path.read_text())
    assert document["status"]["state"] == "ERROR"


def test_a_scene_that_only_the_bucket_has_is_enough(service: Emulated, call: Call) -> None:
    service.fault("hold", at="QUEUED", times=0)
    chosen = service.settings(Path())
    place = place_in(service.store.location.endpoint, "new", chosen.bucket_name)
    place.ensure()
    put_foreign(place, "transforms.json", b"{}")
    code, out, err = call(
        "run", "process", "BACKEND=ovh", "MODEL=new", "GPU=0", "WAIT=0",
        "DATASTORE=NEURALANGELO", f"BUCKET_NAME={chosen.bucket_name}",
    )  # fmt: skip
    assert code == 0 and "make process-logs MODEL=new" in out, err
    [job] = service.jobs()
    assert service.ask("PUT", f"/v1/job/{job['id']}/kill").status_code == 204


def test_what_only_this_machine_has_is_refused_before_anything_moves(
    person: Path, make_job: MakeJob
) -> None:
    request = OvhRunner().plan(make_job("true"))
    there = {**request, "url": "https://gra.ai.cloud.ovh.net"}
    given = Settings(datastore="NEURALANGELO").data
    preflight.check_reach(there, given)
    store = {"datastore": "NEURALANGELO", "endpoint": "http://localhost:9000"}
    with pytest.raises(ConfigError, match="`http://localhost:9000` is this machine alone"):
        preflight.check_reach({**there, "store": store}, given)
    preflight.check_reach({**there, "store": {**store, "endpoint": "https://s3.example"}}, given)
    preflight.check_reach({**request, "store": store}, given)
    ours = {**there, "body": {**there["body"], "image": "maquette/recon:0.1.0-cpu"}}
    with pytest.raises(ConfigError, match="it is on no registry") as caught:
        preflight.check_reach(ours, given)
    assert "REGISTRY=" in caught.value.hint
    preflight.check_reach({**ours, "url": request["url"]}, given)
    with pytest.raises(NotFound, match="no input `/none`"):
        preflight.check_reach({**request, "given": "/none"}, given)
    datastores.remove("NEURALANGELO")
    with pytest.raises(ConfigError, match="built-in store"):
        preflight.check_reach(there, Settings().data)


def test_all_lets_the_agent_move_the_scene_where_a_volume_was_refused(
    service: Emulated, call: Call, tmp_path: Path
) -> None:
    """Once, for all steps that follow; it is still tried no more often than RETRIES allows."""
    service.fault("no_store", times=0)
    write_scene(tmp_path / "scenes" / "new", {"input/1.jpg": b"no picture"})
    words = ("all", "BACKEND=ovh", "MODEL=new", "GPU=0", "DATASTORE=NEURALANGELO", "RETRIES=1")
    code, out, err = call(*words, f"BUCKET_NAME={service.settings(tmp_path).bucket_name}")
    assert "from here on with CARRY=store" in out and "agent: pulling s3://" in out
    assert "could not be copied: " not in out
    assert code == 14 and "only 1 photo," in err, "the agent brought the step its input"
    first, second = service.jobs()
    assert first["status"]["state"] == "SYNC_FAILED" and first["spec"]["volumes"]
    assert second["status"]["state"] == "FAILED" and not second["spec"]["volumes"]
    bill = service.ask("GET", "/emulator/bill").json()
    assert [entry["minutes"] for entry in bill if entry["job"] == first["id"]] == [0]
