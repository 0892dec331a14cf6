"""WORKERS=n at OVHcloud: a driving job and n worker jobs share the shards of a step."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from command_line import maquette_here
from emulated import Emulated, emulator
from job_making import ended
from maquette.agent import shard_task, worker_notes
from maquette.errors import ConfigError, UsageError
from maquette.jobs.spec import JobSpec, new_job_id
from maquette.jobs.states import has_ended
from maquette.planning.building import build_job
from maquette.planning.estimating import StepEstimate
from maquette.runners import scene_store, tracking
from maquette.runners.base import Handle, Request, ResponseLost
from maquette.runners.ovh import orphans, posting, tokens
from maquette.runners.ovh.labels import WORKER_LABEL, our_id, worker_of
from maquette.runners.ovh.runner import OvhRunner
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.running import run_stages
from maquette.storage.embedded import Running
from maquette.storage.object_store import ObjectStore
from s3_server import KEYS, place_in
from synthetic_scene import write_posed_scene
from turns import linked_copy
from waiting import wait_for

pytestmark = pytest.mark.usefixtures("toy")
MakeToy = Callable[..., JobSpec]
HELD = ("held-0", "held-4", "held-8")  # one in the way of each shard


class Quick(OvhRunner):
    """Whose jobs give signs of life often, and are soon believed to be lost."""

    def plan(self, job: JobSpec) -> Request:
        request = super().plan(job)
        for each in (request, *request["workers"]):
            words = each["body"]["command"]
            after = words.index("maquette.agent") + 1
            words[after:after] = ["--beat-s", "0.3", "--silence-s", "10"]
        return request


@pytest.fixture
def service(own_service: Emulated, tmp_path: Path) -> Iterator[Emulated]:
    """Of whose jobs none outlives the test."""
    yield own_service
    for shell in (tmp_path / "emulator").glob("work/*/*/pid"):
        with suppress(psutil.NoSuchProcess):
            end_below(int(shell.read_text()))


@pytest.fixture
def waiting(service: Emulated) -> Emulated:
    """Its jobs wait in QUEUED."""
    service.fault("hold", at="QUEUED", times=0)
    return service


def make_toy(service: Emulated, folder: Path, **more: Any) -> JobSpec:
    """A step with three shards."""
    asked = {"pipeline": "toy", "model": "thing", "image": "any", "gpu": 0, "workers": 2, **more}
    settings = service.settings(folder, **asked)
    if not settings.scene_dir.exists():
        write_posed_scene(settings.scene_dir, 12, 16, 12)
    return build_job("process", settings)


def workers_of(service: Emulated) -> dict[int, dict[str, Any]]:
    """The worker jobs that there are, by number."""
    return {worker_of(job): job for job in service.jobs() if worker_of(job)}


def driver_of(service: Emulated) -> dict[str, Any]:
    [driver] = [job for job in service.jobs() if not worker_of(job)]
    return driver


def all_over(service: Emulated) -> bool:
    return all(has_ended(job["status"]) for job in service.jobs())


def left_in_bucket(service: Emulated, job: JobSpec) -> list[str]:
    """Notes and secrets that lie in the bucket."""
    top = place_in(service.store.location.endpoint, "", job.data.bucket).objects() or {}
    return [path for path in top if path.startswith(".handover") or "/shards/" in path]


@pytest.mark.timeout(300)
def test_a_worker_that_is_killed_costs_its_shard_alone(service: Emulated, tmp_path: Path) -> None:
    job = make_toy(service, tmp_path)
    alone = linked_copy(job.scene, tmp_path / "alone")
    for name in HELD:
        (job.scene / name).touch()
    tracking.submit(job, Quick())
    all_at_work(tmp_path)
    end_job(tmp_path, workers_of(service)[1])
    for path in files_in_the_way(tmp_path / "emulator"):
        path.unlink(missing_ok=True)
    document = ended(job)
    handle = document["maquette"]["handle"]
    log = "\n".join(OvhRunner().logs(handle, follow=False))
    assert document["status"]["state"] == "DONE", log
    assert "was lost on worker 1" in log and "begun again (1 of 3)" in log
    assert "shards that were done:" in log and "by worker 2" in log
    assert weighed(job.scene) == of_one_process(alone)
    wait_for(lambda: all_over(service), 100, "the end of the worker that is left")
    assert document["maquette"]["cost"]["minutes"] >= 3, "all three are paid"
    assert left_in_bucket(service, job) == []
    for text in (json.dumps(document), log, json.dumps(service.jobs())):
        assert KEYS.secret_key not in text


@pytest.mark.timeout(300)
def test_a_driver_that_is_lost_loses_no_shard_that_a_worker_handed_in(
    service: Emulated, tmp_path: Path
) -> None:
    job = make_toy(service, tmp_path)
    alone = linked_copy(job.scene, tmp_path / "alone")
    for name in HELD:
        (job.scene / name).touch()
    tracking.submit(job, Quick())
    at_work = all_at_work(tmp_path)
    first = workers_of(service)[1]["id"]
    [in_its_way] = [path for place, path in at_work.items() if first in place]
    in_its_way.unlink()
    top = place_in(service.store.location.endpoint, "", job.data.bucket)
    record = re.compile(r"thing/stages/toy/weigh/\d-of-3\.json")
    wait_for(lambda: [path for path in top.objects() or {} if record.search(path)], 100, "a shard")
    end_job(tmp_path, driver_of(service))
    assert ended(job)["status"]["state"] == "FAILED"
    for name in HELD:
        (job.scene / name).unlink()
        top.delete(f"thing/{name}")
    again = replace(job, id=new_job_id("process"))
    tracking.submit(again, Quick())
    old = [one for one in service.jobs() if our_id(one) == job.id]
    assert len(old) == 3 and all(has_ended(one["status"]) for one in old)
    document = ended(again)
    log = "\n".join(OvhRunner().logs(document["maquette"]["handle"], follow=False))
    assert document["status"]["state"] == "DONE", log
    done = re.findall(r"(\d+) by (?:the driver|worker)", log)
    assert sum(map(int, done)) == 2, log
    assert weighed(job.scene) == of_one_process(alone)
    wait_for(lambda: all_over(service), 100, "the end of all workers")
    assert left_in_bucket(service, job) == []


def all_at_work(folder: Path) -> dict[str, Path]:
    """Wait until each shard is at work; what is in its way, by the folder of its job there."""
    emulated = folder / "emulator"

    def held() -> dict[str, Path]:
        found = [path for path in files_in_the_way(emulated) if path.parents[2].name == "work"]
        return {path.relative_to(emulated).parts[1]: path for path in found}

    return wait_for(lambda: (found := held()) and len(found) == 3 and found, 200, "all three")


def files_in_the_way(folder: Path) -> list[Path]:
    """All of them, while folders come and go."""
    return [Path(at, name) for at, _, names in os.walk(folder) for name in names if name in HELD]


def end_job(folder: Path, job: dict[str, Any]) -> None:
    """End all processes of a job, as when its machine is gone."""
    [shell] = (folder / "emulator" / "work").glob(f"*{job['id']}*/*/pid")
    end_below(int(shell.read_text()))


def end_below(shell: int) -> None:
    for process in psutil.Process(shell).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            process.kill()


def weighed(scene: Path) -> bytes:
    return (Scene(scene, "toy").run("experiments") / "weighed.json").read_bytes()


def of_one_process(scene: Path) -> bytes:
    from maquette_toy.options import ProcessOptions
    from maquette_toy.stages import pick, weigh

    quiet = Progress(log=io.StringIO())
    run_stages([pick.STAGE, weigh.STAGE], "process", Scene(scene, "toy"), ProcessOptions(), quiet)
    return weighed(scene)


@pytest.mark.timeout(300)
def test_a_step_whose_workers_never_come_is_done_by_its_driver(
    service: Emulated, tmp_path: Path
) -> None:
    service.fault("hold", at="QUEUED", labels={WORKER_LABEL: "1"}, times=0)
    service.fault("hold", at="QUEUED", labels={WORKER_LABEL: "2"}, times=0)
    job = make_toy(service, tmp_path)
    tracking.submit(job, Quick())
    document = ended(job)
    assert document["status"]["state"] == "DONE"
    assert len(json.loads(weighed(job.scene))) == 12
    wait_for(lambda: all_over(service), 100, "workers that wait for nothing are stopped")
    assert left_in_bucket(service, job) == []


def test_last_words_that_come_while_notes_are_removed_go_too(
    stored: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a worker whose driver was lost: nobody reads them."""
    shard_task.put(stored, worker_notes.driver_key("process-1"), {"count": 7})
    list_objects = type(stored).objects

    def meanwhile(place: ObjectStore) -> Any:
        found = list_objects(place)
        worker_notes.tell(stored, "process-1", 1, worker_notes.WorkerState(is_gone=True))
        worker_notes.forget_unread(stored, "process-1", 1)
        return found

    @contextmanager
    def opened(store: dict[str, Any]) -> Iterator[ObjectStore]:
        yield stored

    monkeypatch.setattr(scene_store, "opened", opened)
    with monkeypatch.context() as patched:
        patched.setattr(type(stored), "objects", meanwhile)
        scene_store.forget_notes({}, "process-1")
    assert not [path for path in stored.objects() or {} if "/shards/" in path]


def test_a_plan_shows_all_that_is_posted(waiting: Emulated, tmp_path: Path) -> None:
    job, runner = make_toy(waiting, tmp_path), OvhRunner()
    request = runner.plan(job)
    assert request == runner.plan(job) == json.loads(json.dumps(request))
    assert runner.remarks(request)[0].startswith("WORKERS=2 starts 2 further jobs")
    document = tracking.submit(job, runner)
    assert document["maquette"]["request"] == request
    workers = workers_of(waiting)
    ids = [workers[number]["id"] for number in (1, 2)]
    assert document["maquette"]["handle"]["workers"] == ids
    for number, planned in enumerate(request["workers"], 1):
        sent = workers[number]["spec"]
        assert our_id(workers[number]) == job.id
        assert {**sent["labels"], **planned["body"]["labels"]} == sent["labels"]
        for name in ("command", "image", "name"):
            assert sent[name] == planned["body"][name]
        assert "--worker " + str(number) in planned["ovhai"]
    rows = [document["id"] for document in tracking.refresh_all([tracking.ledger_of(job)])]
    assert rows == [job.id], "one job in `make jobs`"


def test_max_cost_is_for_all_jobs_together(service: Emulated, tmp_path: Path) -> None:
    def timeouts(**more: Any) -> set[int]:
        job = make_toy(service, tmp_path, max_cost=1.0, **more)
        request = OvhRunner().plan(job)
        return {each["body"]["timeout"] for each in (request, *request["workers"])}

    [one], [each] = timeouts(workers=1), timeouts(workers=3)
    assert one + 60 == pytest.approx(4 * (each + 60), abs=240)
    with pytest.raises(ConfigError, match="less than a minute for each of 65 jobs"):
        make = make_toy(service, tmp_path, workers=64, max_cost=0.1)
        OvhRunner().plan(make)


def test_an_estimate_counts_all_jobs(service: Emulated, tmp_path: Path) -> None:
    """From all shared evenly to nothing shared at all."""

    def process(workers: int) -> StepEstimate:
        nowhere = f"{service.running.url}/no-catalogue"
        asked = {"pipeline": "photogrammetry", "gpu": 0, "ovh_catalogue": nowhere}
        settings = service.settings(tmp_path, workers=workers, **asked)
        return next(one for one in OvhRunner().estimate(settings).steps if one.step == "process")

    alone, shared = process(1), process(3)
    assert shared.low_s == pytest.approx(alone.low_s / 4) and shared.high_s == alone.high_s
    assert alone.high_eur and shared.high_eur == pytest.approx(4 * alone.high_eur, abs=0.05)
    assert alone.low_eur and shared.low_eur and shared.low_eur >= alone.low_eur


def test_a_volume_keeps_workers_the_processes_of_one_machine(
    service: Emulated, tmp_path: Path
) -> None:
    request = OvhRunner().plan(make_toy(service, tmp_path, carry="mount"))
    assert request["workers"] == [] and request["body"]["volumes"]
    assert request["options"]["workers"] == 2


@pytest.fixture
def small(
    server: Running, person: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Emulated]:
    """A service whose quota suffices for two of such jobs."""
    with emulator(tmp_path / "emulator", server, quota={"CPU": 8, "GPU": 0}) as running:
        monkeypatch.setenv(tokens.VARIABLE, running.running.token)
        running.fault("hold", at="QUEUED", times=0)
        yield running


def test_a_quota_for_some_starts_these_and_says_so(small: Emulated, tmp_path: Path) -> None:
    job = make_toy(small, tmp_path, workers=3)
    handle = tracking.submit(job, OvhRunner())["maquette"]["handle"]
    [remark] = handle["remarks"]
    assert remark.startswith("1 worker job of 3: the quota suffices for no more")
    assert [bool(id) for id in handle["workers"]] == [True, False, False]
    assert sorted(workers_of(small)) == [1]
    with pytest.raises(UsageError, match="already runs"):
        tracking.submit(replace(job, id=new_job_id("process")), OvhRunner())
    assert tracking.cancel(tracking.ledger_of(job))["status"]["state"] == "INTERRUPTED"
    wait_for(lambda: all_over(small), 100, "all are stopped")
    assert left_in_bucket(small, job) == []


def test_a_person_is_told_and_sees_one_job(small: Emulated, tmp_path: Path) -> None:
    asked = make_toy(small, tmp_path)
    words = ["PIPELINE=toy", "MODEL=thing", "BACKEND=ovh", f"OVH_URL={small.running.url}"]
    words += ["IMAGE=any", "GPU=0", "WORKERS=2", f"BUCKET_NAME={asked.data.bucket}"]

    def call(*more: str) -> str:
        done = maquette_here(tmp_path, *more)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    assert len(json.loads(call("plan", "process", *words))["workers"]) == 2
    said = call("run", "process", *words, "WAIT=0")
    assert "warning: WORKERS=2 starts 2 further jobs" in said
    assert "warning: 1 worker job of 2: the quota suffices for no more" in said
    [listed] = json.loads(call("jobs", "--json"))
    assert listed["id"] == our_id(driver_of(small))
    worker = workers_of(small)[1]
    small.ask("PUT", f"/v1/job/{worker['id']}/kill")
    wait_for(lambda: has_ended(workers_of(small)[1]["status"]), 100, "room in the quota")
    said = call("run", "process", *words, "WAIT=0")
    assert f"job {listed['id']} on ovh" in said and "quota" not in said
    assert sorted(workers_of(small)) == [1, 2], "the second, and the first not once more"
    assert call("stop", "process", *words[:2]).strip() == "INTERRUPTED"
    wait_for(lambda: all_over(small), 100, "all are stopped")


def test_one_that_is_refused_is_named_and_the_others_are_started(
    waiting: Emulated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted, post = [], posting.post

    def some(client: Any, request: Request, secrets: Any) -> Handle:
        posted.append(request.get("worker", 0))
        if posted[-1] == 1:
            raise ResponseLost("the answer was lost")
        return post(client, request, secrets)

    monkeypatch.setattr(posting, "post", some)
    job = make_toy(waiting, tmp_path)
    handle = tracking.submit(job, OvhRunner())["maquette"]["handle"]
    assert posted == [0, 1, 2] and sorted(workers_of(waiting)) == [2]
    assert handle["remarks"] == ["worker 1 of 2 was not started: the answer was lost"]


def test_a_submission_that_was_cut_off_is_completed_by_the_same_command(
    waiting: Emulated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = posting.post

    def cut(client: Any, request: Request, secrets: Any) -> Handle:
        if request.get("worker") == 2:
            raise KeyboardInterrupt
        return post(client, request, secrets)

    job = make_toy(waiting, tmp_path)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(posting, "post", cut)
        tracking.submit(job, OvhRunner())
    before = workers_of(waiting)
    assert sorted(before) == [1]
    document = tracking.submit(replace(job, id=new_job_id("process")), OvhRunner())
    after = workers_of(waiting)
    assert document["id"] == job.id == our_id(driver_of(waiting))
    assert sorted(after) == [1, 2] and after[1]["id"] == before[1]["id"]
    assert document["maquette"]["handle"]["workers"] == [after[1]["id"], after[2]["id"]]
    with pytest.raises(UsageError, match="already runs"):
        tracking.submit(replace(job, id=new_job_id("process")), OvhRunner())


def test_they_are_one_writer_and_leave_the_prefix_to_the_next(
    waiting: Emulated, tmp_path: Path
) -> None:
    """A worker that outlives its driver is stopped before another job writes there."""
    job = make_toy(waiting, tmp_path)
    tracking.submit(job, OvhRunner())
    elsewhere = make_toy(waiting, tmp_path / "elsewhere", bucket_name=job.data.bucket)
    with pytest.raises(UsageError, match=f"job {job.id} already writes"):
        tracking.submit(elsewhere, OvhRunner())
    waiting.ask("PUT", f"/v1/job/{driver_of(waiting)['id']}/kill")
    wait_for(lambda: has_ended(driver_of(waiting)["status"]), 100, "the driver's end")
    assert not [one for one in workers_of(waiting).values() if has_ended(one["status"])]
    tracking.submit(elsewhere, OvhRunner())
    left = [one for one in waiting.jobs() if our_id(one) == job.id]
    assert len(left) == 3 and all(has_ended(one["status"]) for one in left)


def test_a_worker_is_swept_once_its_driver_has_ended_and_never_adopted(
    waiting: Emulated, tmp_path: Path
) -> None:
    job = make_toy(waiting, tmp_path)
    tracking.submit(job, OvhRunner())
    settings, runner = waiting.settings(tmp_path), OvhRunner()
    assert orphans.find(runner, settings).ours == []
    for path in sorted(job.logs.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    [lost] = orphans.find(runner, settings).ours
    assert lost.step == "process", "the workers go with it"
    [adopted] = orphans.adopt(runner, settings)
    workers = workers_of(waiting)
    ids = [workers[number]["id"] for number in (1, 2)]
    assert adopted["id"] == job.id and adopted["maquette"]["handle"]["workers"] == ids
    waiting.ask("PUT", f"/v1/job/{driver_of(waiting)['id']}/kill")
    wait_for(lambda: has_ended(driver_of(waiting)["status"]), 100, "the driver's end")
    found = orphans.find(runner, settings).ours
    assert sorted(one.step for one in found) == ["process, worker 1", "process, worker 2"]
    orphans.stop(runner, settings, found[0])
    wait_for(lambda: all_over(waiting), 100, "both are stopped")
