"""The agent as a process of its own, beside a small step, with a real S3 server."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

from agent_job import RUN, Job, there
from fault_proxy import Fault, proxy_to
from maquette.agent.arguments import KEY_NAMES, RESUME_ME, TIME_IS_UP, UNSAVED, Arguments, Store
from maquette.agent.scene_sync import SceneSync
from maquette.scene.checkpoints import (
    CHECKSUM_SUFFIX,
    POINTER,
    checkpoint_name,
    listed,
    write_pointer,
)
from maquette.storage.object_store import ObjectStore, StoreLocation
from maquette.storage.opening import open_store
from s3_server import BUCKET, KEYS, pull, push, write_scene
from waiting import wait_for

SOON = ("--store-patience-s", "0.2")  # an unreachable store is given up


def test_it_pulls_runs_pushes_and_reports(tmp_path: Path, stored: ObjectStore) -> None:
    script = 'cat "$1/images/1.jpg" > "$1/result"; env > "$1/environment"; echo said'
    job = Job(tmp_path, stored, script, MAQUETTE_NOTIFY_URL="http://127.0.0.1:9/hook-secret")
    assert job.ended() == 0, job.text
    found = there(tmp_path, stored)
    assert found["result"] == b"picture" and "said" in job.text
    report = json.loads(found["stages/jobs/process-1.json"])
    assert report["exit_code"] == 0 and report["machine"]["memory_gb"] > 0
    assert KEYS.secret_key.encode() not in found["environment"]
    for secret in (KEYS.secret_key, "hook-secret"):
        assert secret not in job.text
        assert all(secret.encode() not in content for content in found.values())


def test_a_steps_exit_code_is_passed_on_and_its_work_is_pushed(
    tmp_path: Path, stored: ObjectStore
) -> None:
    job = Job(tmp_path, stored, 'echo half > "$1/half"; exit 14')
    assert job.ended() == 14
    assert there(tmp_path, stored)["half"] == b"half\n"


def test_a_checkpoint_goes_before_its_checksum_and_that_before_the_pointer(
    tmp_path: Path, stored: ObjectStore
) -> None:
    name = checkpoint_name(1, 100)
    script = (
        f'mkdir -p "$1/{RUN}"; echo weights > "$1/{RUN}/{name}"; echo {name} > "$1/{RUN}/{POINTER}"'
    )
    with proxy_to(stored.location.endpoint) as proxy:
        place = at(proxy.endpoint, stored.prefix)
        assert Job(tmp_path, place, script).ended() == 0
        puts = [line.split("/")[-1] for line in proxy.seen if line.startswith("PUT")]
    order = [puts.index(part) for part in (name, name + CHECKSUM_SUFFIX, POINTER)]
    assert order == sorted(order)
    seen = tmp_path / "seen"
    pull(seen, stored)
    checked = subprocess.run(
        ["sha256sum", "-c", name + CHECKSUM_SUFFIX],
        cwd=seen / RUN,
        capture_output=True,
        check=False,
    )
    assert checked.returncode == 0


def test_a_pointer_to_a_checkpoint_that_is_not_pushed_waits(
    tmp_path: Path, stored: ObjectStore
) -> None:
    script = f'mkdir -p "$1/{RUN}"; echo {checkpoint_name(1, 9)} > "$1/{RUN}/{POINTER}"'
    assert Job(tmp_path, stored, script).ended() == 0
    assert f"{RUN}/{POINTER}" not in there(tmp_path, stored)


def test_a_pointer_is_pushed_though_each_checkpoint_is_gone_before_its_push_ends(
    tmp_path: Path, scene: Path, stored: ObjectStore
) -> None:
    count = iter(range(1, 1000))

    def rotate() -> None:
        """Do what training does: write the next checkpoint, point at it, remove the ones before."""
        name = checkpoint_name(1, next(count))
        write_scene(scene, {f"{RUN}/{name}": name.encode()})
        write_pointer(scene / RUN, name)
        for old in listed(scene / RUN)[1:]:
            old.unlink()

    def judge(method: str, path: str) -> None:
        if method == "PUT" and path.endswith("_checkpoint.pt"):
            rotate()

    rotate()
    with proxy_to(stored.location.endpoint, judge) as proxy:
        keys = dict(zip(KEY_NAMES, (KEYS.access_key, KEYS.secret_key), strict=False))
        arguments = Arguments((), scene, "process", "process-1", secrets=keys)
        store = Store(proxy.endpoint, "us-east-1", BUCKET, stored.prefix)
        scene_sync = SceneSync(arguments, store, print)
        for _ in range(4):
            scene_sync.push()
            found = there(tmp_path, stored)
            named = found[f"{RUN}/{POINTER}"].decode().strip()
            assert found[f"{RUN}/{named}"] == named.encode()
            digest = hashlib.sha256(named.encode()).hexdigest()
            assert found[f"{RUN}/{named}{CHECKSUM_SUFFIX}"].decode().startswith(digest)
        scene_sync.close()
    assert (scene / RUN / named).exists() is False and next(count) > 8, "nothing was outrun"
    assert len([path for path in found if path.endswith("_checkpoint.pt")]) <= 3


def test_a_checkpoint_that_the_stores_pointer_names_stays_there(
    tmp_path: Path, scene: Path, stored: ObjectStore
) -> None:
    kept, lost = checkpoint_name(1, 100), checkpoint_name(1, 200)
    write_scene(scene, {f"{RUN}/{kept}": b"weights", f"{RUN}/{POINTER}": kept.encode()})
    push(scene, stored)
    script = f'rm "$1/{RUN}/{kept}"; echo {lost} > "$1/{RUN}/{POINTER}"'
    assert Job(tmp_path, stored, script).ended() == 0
    found = there(tmp_path, stored)
    assert found[f"{RUN}/{POINTER}"].split() == [kept.encode()]
    assert found[f"{RUN}/{kept}"] == b"weights"


def test_a_checkpoint_unlike_its_checksum_is_left_out(
    tmp_path: Path, scene: Path, stored: ObjectStore
) -> None:
    name = f"{RUN}/{checkpoint_name(1, 100)}"
    write_scene(scene, {name: b"torn", name + CHECKSUM_SUFFIX: b"0" * 64 + b"  x\n"})
    push(scene, stored)
    job = Job(tmp_path, stored, f'test ! -e "$1/{name}"')
    assert job.ended() == 0 and "differs from its checksum" in job.text


def test_sigterm_lets_the_step_save_pushes_and_says_resume_me(
    tmp_path: Path, stored: ObjectStore
) -> None:
    script = (
        'trap \'echo s > "$1/saved"; exit 130\' TERM; touch "$1/up"; while :; do sleep .1; done'
    )
    job = Job(tmp_path, stored, script)
    wait_for((job.scene / "up").exists, 100, "the step")
    job.process.send_signal(signal.SIGTERM)
    assert job.ended() == RESUME_ME
    assert there(tmp_path, stored)["saved"] == b"s\n"


@pytest.mark.parametrize(
    "limit",
    [("--max-hours", "0.0003"), ("--max-cost", "0.003", "--price-per-hour", "10")],
)
def test_the_clock_stops_a_step_that_does_not_listen(
    tmp_path: Path, stored: ObjectStore, limit: tuple[str, ...]
) -> None:
    script = "trap '' TERM; echo work > \"$1/work\"; while :; do sleep .1; done"
    job = Job(tmp_path, stored, script, *limit, "--grace-s", "0.2")
    assert job.ended() == TIME_IS_UP
    assert "time is up" in job.error()["what"]
    assert there(tmp_path, stored)["work"] == b"work\n"


def test_a_failed_job_is_kept_pushed_already_until_it_is_asked_to_stop(
    tmp_path: Path, stored: ObjectStore
) -> None:
    words = ("--keep-on-fail-minutes", "600", "--look-with", "get me in")
    job = Job(tmp_path, stored, 'echo half > "$1/half"; exit 14', *words)
    wait_for(lambda: '"event": "kept"' in job.text, 100, "the look")
    assert job.process.poll() is None and "get me in" in job.text
    found = there(tmp_path, stored)
    assert found["half"] == b"half\n"
    assert json.loads(found["stages/jobs/process-1.json"])["exit_code"] == 14
    (job.scene / "mended").touch()
    job.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: stored.head("mended"), 100, "the push that was asked for")
    job.process.send_signal(signal.SIGTERM)
    assert job.ended() == 14
    report = json.loads(there(tmp_path, stored)["stages/jobs/process-1.json"])
    assert report["exit_code"] == 14 and report["wall_s"] >= report["kept_s"] > 0


def test_a_job_that_never_began_is_kept_too_and_ends_by_itself(tmp_path: Path) -> None:
    words = ("--keep-on-fail-minutes", "0.002", "--gpus", "99")
    job = Job(tmp_path, None, "true", *words)
    assert job.ended() == 12
    assert '"event": "kept"' in job.text and "99 GPU wanted" in job.error()["what"]


def test_no_job_is_kept_beyond_its_limit(tmp_path: Path) -> None:
    limit = ("--max-hours", "0.0000001")
    job = Job(tmp_path, None, "sleep 60", "--keep-on-fail-minutes", "600", *limit)
    assert job.ended() == TIME_IS_UP and '"event": "kept"' not in job.text


def test_max_cost_without_a_price_is_refused(tmp_path: Path) -> None:
    job = Job(tmp_path, None, "true", "--max-cost", "1")
    assert job.ended() == 10 and "PRICE_PER_HOUR" in job.text


def test_it_pushes_while_the_step_works(tmp_path: Path, stored: ObjectStore) -> None:
    script = 'echo a > "$1/a"; while [ ! -e "$1/go" ]; do sleep .1; done'
    job = Job(tmp_path, stored, script, "--sync-minutes", "0.01")
    wait_for(lambda: stored.head("a"), 100, "the first push")
    (job.scene / "go").touch()
    assert job.ended() == 0


def test_it_pushes_when_asked(tmp_path: Path, stored: ObjectStore) -> None:
    script = 'echo a > "$1/a"; while [ ! -e "$1/go" ]; do sleep .1; done'
    job = Job(tmp_path, stored, script, "--sync-minutes", "60")
    wait_for((job.scene / "a").exists, 100, "the step")
    assert stored.head("a") is None
    job.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: stored.head("a"), 100, "the push")
    (job.scene / "go").touch()
    assert job.ended() == 0


def test_a_wish_to_push_that_comes_too_early_does_no_harm() -> None:
    code = (
        "import os, signal, sys\n"
        "from maquette.agent import __main__, arguments\n"
        "def read(argv, environment):\n"
        "    os.kill(os.getpid(), signal.SIGUSR1)\n"
        "    sys.exit(7)\n"
        "arguments.parse = read\n"
        "__main__.main()\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 7


def test_nothing_is_left_running(tmp_path: Path) -> None:
    script = 'setsid bash -c \'echo $$ > "$0/pid"; exec sleep 300\' "$1" & sleep 300 & '
    script += 'while [ ! -s "$1/pid" ]; do sleep .05; done'
    job = Job(tmp_path, None, script)
    assert job.ended() == 0
    assert not psutil.pid_exists(int((job.scene / "pid").read_text()))


def test_a_killed_agent_takes_the_step_with_it(tmp_path: Path) -> None:
    watch = (
        "from maquette.recon import stopping; stopping.install(); import os, sys, threading; "
        "open(sys.argv[1] + '/pid', 'w').write(str(os.getpid())); threading.Event().wait(600)"
    )
    job = Job(tmp_path, None, f'exec {sys.executable} -c "{watch}" "$1"')
    file = job.scene / "pid"
    wait_for(lambda: file.exists() and file.read_text(), 100, "the step")
    job.process.kill()
    job.ended()
    wait_for(lambda: not _is_alive(int(file.read_text())), 100, "the step's end")


def test_a_store_that_comes_back_gets_everything(tmp_path: Path, stored: ObjectStore) -> None:
    refused = []

    def judge(method: str, path: str) -> Fault | None:
        if "result" in path and method == "PUT" and len(refused) < 9:
            refused.append(path)
            return Fault(request_bytes=0)
        return None

    with proxy_to(stored.location.endpoint, judge) as proxy:
        place = at(proxy.endpoint, stored.prefix)
        job = Job(tmp_path, place, 'echo r > "$1/result"', "--store-patience-s", "60")
        assert job.ended() == 0, job.text
    assert len(refused) == 9 and "tried again" in job.text
    assert there(tmp_path, stored)["result"] == b"r\n"


def test_a_store_that_stays_away_ends_in_a_sentence_and_the_data_stays(
    tmp_path: Path, stored: ObjectStore
) -> None:
    def judge(method: str, path: str) -> Fault | None:
        return Fault(status=503, word="SlowDown") if method == "PUT" else None

    with proxy_to(stored.location.endpoint, judge) as proxy:
        place = at(proxy.endpoint, stored.prefix)
        job = Job(
            tmp_path, place, 'echo r > "$1/result"', *SOON, "--kept-where", "look in the volume"
        )
        assert job.ended() == UNSAVED
    assert "could not be pushed" in job.error()["what"]
    assert job.error()["hint"] == "look in the volume"
    assert (job.scene / "result").read_text() == "r\n"


@pytest.mark.parametrize("others", [False, True])
def test_the_next_job_goes_on_with_what_could_not_be_pushed(
    tmp_path: Path, scene: Path, stored: ObjectStore, others: bool
) -> None:
    """A pointer of the volume's own wins over what it pushed before, not over somebody else's."""
    early, late, foreign = (checkpoint_name(1, count) for count in (100, 200, 150))
    is_away: list[str] = []

    def judge(method: str, path: str) -> Fault | None:
        return Fault(status=403, word="AccessDenied") if method == "PUT" and is_away else None

    train = (
        f'mkdir -p "$1/{RUN}"; echo $2 | tee "$1/{RUN}/$2" "$1/metrics" > "$1/.p"; '
        f'mv "$1/.p" "$1/{RUN}/{POINTER}"'
    )
    script = (
        f"train() {{ {train}; }}; train $1 {early}; while [ ! -e $1/go ]; do sleep .05; done; "
        f"train $1 {late}"
    )
    with proxy_to(stored.location.endpoint, judge) as proxy:
        place = at(proxy.endpoint, stored.prefix)
        job = Job(tmp_path, place, script, "--sync-minutes", "0.01")
        wait_for(lambda: stored.head(f"{RUN}/{POINTER}"), 100, "the first checkpoint's push")
        is_away.append("now")
        (job.scene / "go").touch()
        assert job.ended() == UNSAVED, job.text
        is_away.clear()
        if others:
            pull(scene, stored)
            write_scene(scene, {f"{RUN}/{foreign}": b"w", f"{RUN}/{POINTER}": foreign.encode()})
            push(scene, stored)
        look = f'cat "$1/{RUN}/{POINTER}" > "$1/seen"'
        assert Job(tmp_path, place, look).ended() == 0
    found = there(tmp_path, stored)
    expected = foreign if others else late
    assert found["seen"].decode().strip() == expected
    assert found[f"{RUN}/{POINTER}"].decode().strip() == expected
    assert found[f"{RUN}/{late}"].decode().strip() == late
    assert found["metrics"].decode().strip() == late


def test_a_scene_that_is_not_there_is_told(tmp_path: Path, stored: ObjectStore) -> None:
    place = stored.at(stored.name, "no-such-scene")
    job = Job(tmp_path, place, "true")
    assert job.ended() == 13 and "there is no scene" in job.error()["what"]


def test_messages_tell_start_stages_and_end(
    tmp_path: Path, stored: ObjectStore, hook: tuple[str, list[dict]]
) -> None:
    url, taken = hook
    finished = json.dumps({"event": "finished", "stage": "train", "numbers": {"psnr": 30}})
    script = f"mkdir -p $1/stages $1/results/splat; echo '{finished}' >> $1/stages/events.jsonl"
    script += "; echo report > $1/report.html; echo picture > $1/results/splat/owl_views.png"
    job = Job(tmp_path, stored, script, MAQUETTE_NOTIFY_URL=url)
    assert job.ended() == 0
    assert [message["event"] for message in taken] == ["start", "stage", "done"]
    assert stored.url() in taken[-1]["text"] and "train" in taken[1]["text"]
    assert "secret-part" not in job.text
    with urllib.request.urlopen(taken[-1]["link"], timeout=60) as answer:
        assert answer.read() == b"report\n"
    assert taken[-1]["link"] in taken[-1]["text"]
    [shown] = taken[-1]["attachments"]
    with urllib.request.urlopen(shown["image_url"], timeout=60) as answer:
        assert answer.read() == b"picture\n"


def test_a_failure_is_told_with_its_reason(tmp_path: Path, hook: tuple[str, list[dict]]) -> None:
    url, taken = hook
    failure = json.dumps({"event": "error", "what": "no eyes", "code": 14})
    script = f"mkdir -p $1/stages; echo '{failure}' >> $1/stages/events.jsonl; exit 14"
    assert Job(tmp_path, None, script, MAQUETTE_NOTIFY_URL=url).ended() == 14
    assert taken[-1]["event"] == "failed" and taken[-1]["reason"] == "no eyes"


def at(endpoint: str, prefix: str) -> ObjectStore:
    return open_store(StoreLocation(endpoint), KEYS, BUCKET, prefix)


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
