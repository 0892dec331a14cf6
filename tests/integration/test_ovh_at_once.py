"""Several clients submit within the same second: one paid job on one prefix, one document each."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from command_line import environment
from emulated import Emulated
from job_making import script_job
from maquette.errors import UsageError
from maquette.jobs.spec import JobSpec
from maquette.runners import tracking
from maquette.runners.base import NO_SECRETS, Handle, Request, Secrets
from maquette.runners.ovh import tokens
from maquette.runners.ovh.labels import JOB_LABEL
from maquette.runners.ovh.runner import OvhRunner
from s3_server import write_scene
from waiting import wait_for

CLIENTS = 4


@pytest.fixture
def service(own_service: Emulated) -> Emulated:
    """Jobs wait in QUEUED, which lets those be seen that were posted together."""
    own_service.fault("hold", at="QUEUED", times=0)
    return own_service


def submit_together(jobs: list[JobSpec]) -> list[str]:
    """Submit from as many clients; returns what each was told, "" for those that were taken."""
    all_sent = threading.Barrier(len(jobs))

    class Together(OvhRunner):
        """Waits, when its scene is in the bucket, for the others."""

        def submit(self, request: Request, secrets: Secrets = NO_SECRETS) -> Handle:
            all_sent.wait(270)
            return super().submit(request, secrets)

    def submit(job: JobSpec) -> str:
        try:
            tracking.submit(job, Together())
        except UsageError as error:
            return error.what
        return ""

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(submit, jobs))


def our_id(job: dict[str, Any]) -> str:
    return str(job["spec"]["labels"][JOB_LABEL])


@pytest.mark.parametrize("late", [False, True])
def test_clients_with_folders_of_their_own_and_one_prefix(
    service: Emulated, tmp_path: Path, late: bool
) -> None:
    """As on two machines; `late`: every request is looked at before any job is made."""
    if late:
        service.fault("delay", method="POST", path="/v1/job$", seconds=2.0, times=CLIENTS)
    shared = service.settings(tmp_path).bucket_name
    folders = [tmp_path / str(number) for number in range(CLIENTS)]
    jobs = [
        script_job(one, "exec sleep 60", settings=service.settings(one, bucket_name=shared))
        for one in folders
    ]
    told = submit_together(jobs)
    going = [job.id for job, said in zip(jobs, told, strict=True) if not said]
    assert len(going) <= 1, "at most one; none where the dates are cut to the same second"
    assert all("already writes to" in said for said in told if said)
    posted = service.jobs()
    assert len(posted) > 1 or not late, "the test wants several to be posted"
    wait_for(lambda: _ended_but(service, going), 100, "the end of all others")
    bill = {entry["job"]: entry["minutes"] for entry in service.ask("GET", "/emulator/bill").json()}
    for job in posted:
        assert bill[job["id"]] == 0, "it never came to its machine"
    for job, said in zip(jobs, told, strict=True):
        document = tracking.ledger_of(job).read()
        assert document["id"] == job.id
        assert (document["status"]["state"] == "ERROR") == bool(said)
        assert bool(document["maquette"]["handle"]) != bool(said)


def _ended_but(service: Emulated, going: list[str]) -> bool:
    live = [job for job in service.jobs() if not job["status"]["finalizedAt"]]
    return [our_id(job) for job in live] == going


def commands(service: Emulated, folder: Path, models: list[str]) -> list[tuple[int, str]]:
    """Run `maquette run extract` for each model in processes that start together."""
    for model in models:
        write_scene(
            folder / "scenes" / model,
            {"runs/neuralangelo/experiments/none": b"what a step asks for"},
        )
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "maquette.cli.main", "run", "extract", "BACKEND=ovh",
             f"OVH_URL={service.running.url}", "WAIT=0", "GPU=0", f"MODEL={model}",
             f"BUCKET_NAME={service.settings(folder).bucket_name}", "DATASTORE=NEURALANGELO"],
            cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=environment(**{tokens.VARIABLE: service.running.token}),
        )
        for model in models
    ]  # fmt: skip
    said = [process.communicate(timeout=270)[0] for process in running]
    return [(process.returncode, text) for process, text in zip(running, said, strict=True)]


def test_the_same_step_from_the_same_folder_is_submitted_once(
    service: Emulated, tmp_path: Path
) -> None:
    done = commands(service, tmp_path, ["thing"] * 3)
    assert sorted(code for code, _ in done) == [0, 2, 2], done
    assert sum("already runs: job" in text for _, text in done) == 2
    [job] = service.jobs()
    document = json.loads(
        (tmp_path / "logs/experiments/thing/neuralangelo/extract_job.json").read_text()
    )
    assert document["id"] == our_id(job)
    assert document["maquette"]["handle"]["id"] == job["id"]


def test_scenes_that_are_submitted_together_are_not_mixed_up(
    service: Emulated, tmp_path: Path
) -> None:
    models = [f"thing-{number}" for number in range(CLIENTS)]
    done = commands(service, tmp_path, models)
    assert [code for code, _ in done] == [0] * CLIENTS, done
    jobs = {job["spec"]["labels"]["maquette-model"]: job for job in service.jobs()}
    assert sorted(jobs) == models and len(service.jobs()) == CLIENTS
    for model in models:
        file = tmp_path / f"logs/experiments/{model}/neuralangelo/extract_job.json"
        document, job = json.loads(file.read_text()), jobs[model]
        [volume] = job["spec"]["volumes"]
        assert volume["dataStore"]["prefix"] == model and volume["mountPath"] == f"/scenes/{model}"
        assert document["id"] == our_id(job) and document["maquette"]["model"] == model
        assert document["maquette"]["handle"]["id"] == job["id"]
        assert document["maquette"]["request"]["body"]["volumes"] == job["spec"]["volumes"]
