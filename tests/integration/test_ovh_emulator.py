"""The emulator speaks the API of the reference: requests, answers, refusals, memory."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from emulated import Emulated, emulator
from maquette.emulator.app import ApiOptions
from maquette.emulator.clock import Clock
from maquette.emulator.objects import Access
from maquette.emulator.process_runtime import ProcessRuntime
from maquette.emulator.runtimes import Task
from maquette.storage.embedded import Running
from s3_server import KEYS
from waiting import wait_for

ENDED = {"DONE", "FAILED", "ERROR", "INTERRUPTED", "SYNC_FAILED"}
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$")


def body(script: str = "true", **more: Any) -> dict[str, Any]:
    cpu = {"flavor": "ai1-1-cpu", "cpu": 1}
    return {"image": "any", "command": ["sh", "-c", script], "resources": cpu, **more}


def submit(service: Emulated, script: str = "true", **more: Any) -> str:
    answer = service.ask("POST", "/v1/job", json=body(script, **more))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def get(service: Emulated, job_id: str) -> dict[str, Any]:
    return dict(service.ask("GET", f"/v1/job/{job_id}").json())


def reach(service: Emulated, job_id: str, *states: str) -> dict[str, Any]:
    wait_for(lambda: get(service, job_id)["status"]["state"] in states, 100, f"{states}")
    return get(service, job_id)


def volume(bucket: str, spelling: str = "flat", **more: Any) -> dict[str, Any]:
    source = {"dataStore": {"alias": "ANY", "container": bucket, "prefix": "thing"}}
    placed = source if spelling == "flat" else {"volumeSource": source}
    return {**placed, "mountPath": "/scenes/thing", "permission": "RW", **more}


def s3(store: Running) -> Any:
    import boto3

    return boto3.client(
        "s3", endpoint_url=store.location.endpoint, region_name="us-east-1",
        aws_access_key_id=KEYS.access_key, aws_secret_access_key=KEYS.secret_key,
    )  # fmt: skip


def test_a_job_walks_through_the_states(emulated: Emulated) -> None:
    job = reach(emulated, submit(emulated, "echo hello", labels={"a": "b"}), *ENDED)
    status = job["status"]
    order = ["QUEUED", "INITIALIZING", "PENDING", "RUNNING", "FINALIZING", "DONE"]
    assert [entry["state"] for entry in status["history"]] == order
    assert (status["exitCode"], status["info"]["code"]) == (0, "JOB_DONE")
    assert job["spec"]["labels"]["ovh/id"] == job["id"] and job["spec"]["labels"]["a"] == "b"
    dates = [entry["date"] for entry in status["history"]] + [status["finalizedAt"]]
    assert all(DATE.match(date) for date in dates)
    assert emulated.ask("GET", f"/v1/job/{job['id']}/log").text == "hello\n"
    [bill] = [b for b in emulated.ask("GET", "/emulator/bill").json() if b["job"] == job["id"]]
    assert bill["minutes"] == 1 and bill["euros"] == pytest.approx(0.0005)


def test_dates_have_all_numbers_of_digits() -> None:
    from maquette.emulator.clock import shortened

    dates = [shortened(f"2026-09-01T14:05:58.29778{last}Z") for last in range(10)]
    assert {len(date.partition(".")[2].rstrip("Z")) for date in dates} == set(range(7))
    assert all(DATE.match(date) for date in dates)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"image": None}, "image"),
        ({"imagee": "x"}, "imagee"),
        ({"timeout": "7200"}, "timeout"),
        ({"command": "bash -c true"}, "command"),
        ({"labels": {"ovh/mine": "x"}}, "platform"),
        ({"shutdown": "Stop"}, "shutdown"),
        ({"region": "GRA"}, "region"),
        ({"resources": {"flavor": "no-such"}}, "flavor"),
        ({"resources": {"flavor": "ai1-1-gpu", "gpu": 5}}, "at most 4"),
        ({"volumes": [{"mountPath": "/x"}]}, "source"),
        ({"volumes": [{**volume("b"), "volumeSource": {"standalone": {}}}]}, "source"),
        ({"volumes": [volume("b"), volume("c")]}, "mountPath"),
        ({"volumes": [volume("b", permission="R")]}, "permission"),
    ],
)
def test_what_the_service_would_not_take_is_refused(
    emulated: Emulated, change: dict[str, Any], told: str
) -> None:
    answer = emulated.ask("POST", "/v1/job", json={**body(), **change})
    assert answer.status_code == 400 and told in answer.json()["message"]


def test_refusals_have_their_status_and_a_message(emulated: Emulated) -> None:
    import httpx

    url = f"{emulated.running.url}/v1/job"
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}):
        answer = httpx.get(url, headers=headers)
        assert answer.status_code == 401 and answer.json()["message"]
    assert emulated.ask("GET", "/v1/job/no-such").status_code == 404
    assert emulated.ask("GET", "/v1/registry").status_code == 501
    assert emulated.ask("GET", "/v1/job", params={"color": "red"}).status_code == 400
    spec = {"name": "reader", "role": "ai_training_read"}
    token = emulated.ask("POST", "/v1/token", json=spec).json()
    headers = {"Authorization": f"Bearer {token['status']['value']}"}
    assert httpx.get(url, headers=headers).status_code == 200
    assert httpx.post(url, headers=headers, json=body()).status_code == 403
    assert httpx.get(f"{emulated.running.url}/v1/token", headers=headers).status_code == 403
    shown = emulated.ask("GET", f"/v1/token/{token['id']}")
    assert token["status"]["value"] not in shown.text
    renewed = emulated.ask("POST", f"/v1/token/{token['id']}/renew").json()
    assert httpx.get(url, headers=headers).status_code == 401
    assert emulated.ask("DELETE", f"/v1/token/{renewed['id']}").status_code == 204


def test_a_token_with_a_selector_labels_its_jobs(emulated: Emulated) -> None:
    import httpx

    spec = {"name": "scoped", "role": "ai_training_operator", "labelSelector": "team=a"}
    secret = emulated.ask("POST", "/v1/token", json=spec).json()["status"]["value"]
    answer = httpx.post(
        f"{emulated.running.url}/v1/job", json=body(),
        headers={"Authorization": f"Bearer {secret}"},
    )  # fmt: skip
    assert answer.json()["spec"]["labels"]["team"] == "a"


def test_beyond_the_quota_it_is_402_at_once(server: Running, tmp_path: Path) -> None:
    with emulator(tmp_path / "e", server, quota={"CPU": 2, "GPU": 0}) as service:
        service.fault("hold", at="PENDING", times=0)
        held = [submit(service), submit(service)]
        answer = service.ask("POST", "/v1/job", json=body())
        assert answer.status_code == 402 and "0 of 2 free" in answer.json()["message"]
        assert service.ask("PUT", f"/v1/job/{held[0]}/kill").status_code == 204
        reach(service, held[0], "INTERRUPTED")
        submit(service)


@pytest.mark.parametrize("first_page", [0, 1])
def test_pages_filters_and_order(server: Running, tmp_path: Path, first_page: int) -> None:
    with emulator(tmp_path / "e", server, api=ApiOptions(first_page=first_page)) as service:
        service.fault("hold", times=0)
        ids = [submit(service, labels={"even": str(i % 2 == 0)}) for i in range(5)]
        wanted: list[str] = []
        for page in range(first_page, first_page + 3):
            answer = service.ask("GET", "/v1/job", params={"size": 2, "page": page}).json()
            wanted += [job["id"] for job in answer["items"]]
            assert answer["metadata"]["total"] == 5 and answer["metadata"]["pageCount"] == 3
        assert wanted == ids and answer["metadata"]["links"]["next"] is None
        even = service.jobs(labelSelector="even=True")
        assert {job["id"] for job in even} == set(ids[::2])
        assert not service.jobs(statusState="DONE")
        newest = service.ask("GET", "/v1/job", params={"order": "desc", "size": 1}).json()
        assert newest["items"][0]["id"] == ids[-1]
        assert not service.jobs(updatedBefore=1) and len(service.jobs(updatedAfter=1)) == 5


@pytest.mark.parametrize(
    ("permission", "spelling"), [("RO", "nested"), ("RW", "flat"), ("RWD", "nested")]
)
def test_objects_are_copied_by_the_volume_s_permission(
    emulated: Emulated, server: Running, permission: str, spelling: str
) -> None:
    bucket, client = f"perm-{permission.lower()}-{spelling}", s3(server)
    client.create_bucket(Bucket=bucket)
    for key in ("thing/old", "thing/gone", "thing/deep/er", "other/untouched"):
        client.put_object(Bucket=bucket, Key=key, Body=key.encode())
    script = (
        "cd $0; cat old deep/er; echo new > new; echo changed > old; rm gone; ln -s old link;"
        " test ! -e untouched"
    )
    where = volume(bucket, spelling, permission=permission)
    job_id = submit(emulated, volumes=[where], command=["sh", "-c", script, "/scenes/thing"])
    job = reach(emulated, job_id, *ENDED)
    assert job["status"]["exitCode"] == 0, emulated.ask("GET", f"/v1/job/{job_id}/log").text
    keys = {item["Key"] for item in client.list_objects_v2(Bucket=bucket)["Contents"]}
    expected = {"thing/old", "thing/gone", "thing/deep/er", "other/untouched"}
    expected |= set() if permission == "RO" else {"thing/new"}
    expected -= {"thing/gone"} if permission == "RWD" else set()
    assert keys == expected
    old = client.get_object(Bucket=bucket, Key="thing/old")["Body"].read()
    assert old == (b"thing/old" if permission == "RO" else b"changed\n")
    syncs = [(s["spec"]["direction"], s["status"]["state"]) for s in job["status"]["dataSync"]]
    assert syncs == [("pull", "DONE"), ("push", "DONE")]


def test_a_running_job_s_data_moves_on_request(emulated: Emulated, server: Running) -> None:
    client = s3(server)
    client.create_bucket(Bucket="on-request")
    script = "echo 1 > $0/made; while [ ! -e $0/gate ]; do sleep 0.05; done"
    command = ["sh", "-c", script, "/scenes/thing"]
    job_id = submit(emulated, volumes=[volume("on-request")], command=command)
    reach(emulated, job_id, "RUNNING")

    def made() -> bool:
        emulated.ask("POST", f"/v1/job/{job_id}/datasync", json={"direction": "push"})
        listed = client.list_objects_v2(Bucket="on-request").get("Contents", ())
        return any(item["Key"] == "thing/made" for item in listed)

    wait_for(made)
    client.put_object(Bucket="on-request", Key="thing/gate", Body=b"")
    begun = emulated.ask("POST", f"/v1/job/{job_id}/datasync", json={"direction": "pull"})
    assert begun.json()["spec"] == {"direction": "pull", "manual": True}
    assert reach(emulated, job_id, *ENDED)["status"]["state"] == "DONE"
    late = emulated.ask("POST", f"/v1/job/{job_id}/datasync", json={"direction": "push"})
    assert late.status_code == 400


def test_the_log_as_text_and_over_a_websocket(server: Running, tmp_path: Path) -> None:
    clock = Clock(second_s=0.01, phase_s=2, keep_alive_s=10)
    with emulator(tmp_path / "e", server, api=ApiOptions(dated_log=True), clock=clock) as service:
        gate = tmp_path / "gate"
        job_id = submit(service, f"echo one; while [ ! -e {gate} ]; do sleep 0.1; done; echo two")
        reach(service, job_id, "RUNNING")
        url = f"{service.running.url.replace('http', 'ws')}/v1/job/{job_id}/log?follow=true"
        headers = {"Authorization": f"Bearer {service.running.token}"}
        frames = []
        with connect(url, additional_headers=headers) as socket:
            for frame in socket:
                assert isinstance(frame, bytes)
                frames.append(frame)
                if frame == b".":
                    gate.touch()
        text = b"".join(frame for frame in frames if frame != b".").decode()
        assert b"." in frames
        assert [line.partition(" [job] ")[2] for line in text.splitlines()] == ["one", "two"]
        tail = service.ask("GET", f"/v1/job/{job_id}/log", params={"tail": 1}).text
        assert tail.endswith("[job] two\n") and DATE.match(tail.partition(" ")[0])


def test_jobs_outlive_the_emulator(server: Running, tmp_path: Path) -> None:
    gate, count = tmp_path / "gate", tmp_path / "count"
    script = f"echo x >> {count}; while [ ! -e {gate} ]; do sleep 0.05; done; exit 3"
    with emulator(tmp_path / "e", server) as service:
        job_id = submit(service, script)
        token = service.running.token
        reach(service, job_id, "RUNNING")
    gate.touch()  # it ends while nobody looks
    with emulator(tmp_path / "e", server) as service:
        assert service.running.token == token
        job = reach(service, job_id, *ENDED)
        assert (job["status"]["state"], job["status"]["exitCode"]) == ("FAILED", 3)
    assert count.read_text() == "x\n"


def test_a_task_is_started_once_however_often_it_is_asked_for(tmp_path: Path) -> None:
    """A kill between the start and writing it down must not run a job twice."""
    task = Task("t", "any", ["sh", "-c", f"echo x >> {tmp_path}/n"], {}, {}, 0, tmp_path / "run")
    for _ in range(3):
        ProcessRuntime().start(task)
    wait_for(lambda: ProcessRuntime().exit_code(task) == 0)
    assert (tmp_path / "n").read_text() == "x\n"


def test_timeout_counts_from_the_start_of_running(emulated: Emulated) -> None:
    job = reach(emulated, submit(emulated, "exec sleep 60", timeout=30), *ENDED)
    states = [entry["state"] for entry in job["status"]["history"]]
    assert "TIMEOUT" in states and job["status"]["info"]["code"] == "JOB_TIMEOUT"
    assert job["status"]["timeoutAt"] and job["status"]["duration"] >= 29


def test_rerun_label_timeout_and_delete(emulated: Emulated) -> None:
    job_id = submit(emulated, "exit 2")
    reach(emulated, job_id, "FAILED")
    path = f"/v1/job/{job_id}"
    assert emulated.ask("PUT", f"{path}/start").status_code == 204
    states = [e["state"] for e in reach(emulated, job_id, "FAILED")["status"]["history"]]
    assert states.count("RUNNING") == 2 and "RESTARTING" in states
    change = {"name": "kept", "value": "1"}
    assert emulated.ask("PUT", f"{path}/label", json=change).status_code == 204
    assert get(emulated, job_id)["spec"]["labels"]["kept"] == "1"
    emulated.ask("PUT", f"{path}/label", json={"name": "kept"})
    assert "kept" not in get(emulated, job_id)["spec"]["labels"]
    assert emulated.ask("PUT", path, json={"timeout": 60}).status_code == 204
    assert get(emulated, job_id)["spec"]["timeout"] == 60
    assert emulated.ask("DELETE", path).status_code == 204
    assert emulated.ask("GET", path).status_code == 404
    running = submit(emulated, "exec sleep 60")
    reach(emulated, running, "RUNNING")
    assert emulated.ask("DELETE", f"/v1/job/{running}").status_code == 400
    answer = emulated.ask("DELETE", f"/v1/job/{running}", params={"force": "true"}, timeout=60)
    assert answer.status_code == 204


def test_me_flavors_prices_and_the_command_line(emulated: Emulated) -> None:
    me = emulated.ask("GET", "/v1/me").json()
    assert me["role"] == "ai_training_operator" and me["quotas"]["resources"]["GPU"] == 40
    ids = {item["id"] for item in emulated.ask("GET", "/v1/capabilities/flavor").json()}
    assert {"ai1-1-gpu", "h100-1-gpu"} <= ids
    one = emulated.ask("GET", "/v1/capabilities/flavor/l4-1-gpu").json()
    assert one["gpuInformation"]["gpuMemory"] == 24 * 2**30
    catalogue = emulated.ask("GET", "/1.0/order/catalog/public/cloud").json()
    assert any(addon["planCode"].startswith("ai-training.") for addon in catalogue["addons"])
    line = emulated.ask("POST", "/v1/job/command", json=body("a b")).json()["command"]
    assert line.startswith("ovhai job run ") and line.endswith("-- sh -c 'a b'")


def test_secrets_are_kept_out_of_its_memory(emulated: Emulated, tmp_path: Path) -> None:
    access = Access("http://x", "r", "key", "very-secret")
    assert "very-secret" not in repr(access)
    assert emulated.running.token not in repr(emulated.running)
    assert json.dumps(emulated.ask("GET", "/v1/token").json()).count("value") == 0
