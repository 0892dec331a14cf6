"""What a driving job and its worker jobs know of one another, told by a store in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maquette.agent import worker_notes
from maquette.agent.arguments import parse
from maquette.agent.shard_store import VARIABLE, WORKERS_LAUNCHER, variables
from maquette.agent.worker_launcher import Worker
from maquette.agent.worker_notes import WorkerState
from maquette.agent.worker_run import DriverWatch
from maquette.errors import JobFailed
from maquette.stages.commands import LAUNCHER, TRY_AGAIN, ShardCommand
from maquette.stages.stage import Needs
from maquette.storage.object_store import Answer
from waiting import wait_for

JOB, RECORD = "process-1", "stages/toy/weigh/1-of-3.json"
COMMAND = ShardCommand("weigh:1", ("maquette-shard",), Path("1.log"), Needs())


class Memory:
    """As much of an object store as notes need."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.is_away = False

    def put(self, path: str, data: bytes, md5: bytes, tag: str, more: Mapping[str, str]) -> None:
        self._answer()
        self.objects[path] = data

    def get_if_changed(self, path: str, etag: str) -> Answer:
        self._answer()
        found = self.objects.get(path)
        return Answer(404, {}) if found is None else Answer(200, {}, found)

    def delete(self, path: str, attempts: int) -> None:
        self._answer()
        self.objects.pop(path, None)

    def _answer(self) -> None:
        if self.is_away:
            raise JobFailed("the store does not answer")


class Clock:
    """Seconds that a test lets go by."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def bucket() -> Any:
    return Memory()


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Beating:
    """A worker job that tells what a test wants."""

    def __init__(self, bucket: Any) -> None:
        self._bucket = bucket
        self.state = WorkerState(host="box")

    def tell(self, **facts: Any) -> None:
        self.state = replace(self.state, beat=self.state.beat + 1, **facts)
        worker_notes.tell(self._bucket, JOB, 1, self.state)

    def asked(self) -> str:
        asked = worker_notes.assignment_of(self._bucket, JOB, 1)
        return asked.id if asked else ""


def test_who_was_lost_before_is_not_asked(bucket: Any, clock: Clock) -> None:
    there = Beating(bucket)
    there.tell()
    worker = Worker(bucket, JOB, 1, 10.0, clock)
    assert worker.look() is None and not worker.is_free, "it may have told that long ago"
    there.tell()
    assert worker.look() is None and worker.is_free
    clock.now = 11.0
    assert worker.look() is None and not worker.is_free
    there.tell()
    assert worker.look() is None and worker.is_free, "it was only away"


@pytest.mark.parametrize("code", [0, 14, TRY_AGAIN])
def test_a_shard_ends_as_its_worker_tells(bucket: Any, clock: Clock, code: int) -> None:
    there, worker = Beating(bucket), Worker(bucket, JOB, 1, 10.0, clock)
    there.tell()
    worker.look()
    worker.ask(COMMAND, RECORD)
    assert not worker.is_free and worker.command == COMMAND
    there.tell(at=there.asked())
    assert worker.look() is None
    there.tell(at="", ended="another", code=3)
    assert worker.look() is None, "of an earlier one"
    there.tell(ended=there.asked(), code=code, lines=("said",))
    end = worker.look()
    assert end and (end.code, end.where, end.lines) == (code, "worker 1 (box)", ("said",))
    assert there.asked() == "" and worker.is_free == (code != TRY_AGAIN)


@pytest.mark.parametrize("how", ["silent", "gone"])
def test_a_worker_that_is_lost_costs_its_shard(bucket: Any, clock: Clock, how: str) -> None:
    there, worker = Beating(bucket), Worker(bucket, JOB, 1, 10.0, clock)
    there.tell()
    worker.look()
    worker.ask(COMMAND, RECORD)
    there.tell(at=there.asked(), is_gone=how == "gone")
    clock.now = 9.0
    end = worker.look()
    if how == "silent":
        assert end is None
        clock.now = 20.0
        end = worker.look()
    assert end and end.code is None and end.where == "worker 1 (box)"
    assert not worker.is_free and there.asked() == ""


def test_who_is_still_at_an_earlier_shard_is_not_asked(bucket: Any, clock: Clock) -> None:
    there, worker = Beating(bucket), Worker(bucket, JOB, 1, 10.0, clock)
    there.tell(at="of a stage before")
    worker.look()
    assert not worker.is_free
    there.tell(at="")
    worker.look()
    assert worker.is_free


def test_a_store_that_is_away_for_a_moment_loses_nobody(bucket: Any, clock: Clock) -> None:
    there, worker = Beating(bucket), Worker(bucket, JOB, 1, 10.0, clock)
    there.tell()
    worker.look()
    worker.ask(COMMAND, RECORD)
    bucket.is_away = True
    assert worker.look() is None
    bucket.is_away = False
    there.tell(ended=there.asked(), code=0)
    end = worker.look()
    assert end and end.code == 0


def test_a_worker_ends_when_its_driver_does(bucket: Any, clock: Clock) -> None:
    def watch() -> DriverWatch:
        key = worker_notes.driver_key(JOB)
        return DriverWatch(lambda: bucket.objects.get(key, b"").decode(), 10.0, 100.0, clock)

    never = watch()
    assert not never.why_over()
    clock.now = 99.0
    assert not never.why_over()
    clock.now = 101.0
    assert never.why_over() == "no driver came"
    with worker_notes.driving(bucket, JOB, 60.0):
        wait_for(lambda: bucket.objects, what="the driver's sign of life")
        silent = watch()
        assert not silent.why_over()
        clock.now += 11.0
        assert silent.why_over() == "the driver gives no sign of life any more"
        late = watch()
        assert not late.why_over()
    assert late.why_over() == "the driver needs no worker any more"
    assert watch().why_over(), "one that comes later is told so too"


@pytest.mark.parametrize("driver", ["gone", "done", "alive"])
def test_last_words_stay_only_for_a_driver_that_reads_them(bucket: Any, driver: str) -> None:
    """The notes of a job that ended may be removed while a worker still writes."""
    if driver == "done":
        with worker_notes.driving(bucket, JOB, 100.0):
            pass
    with worker_notes.driving(bucket, JOB, 100.0) if driver == "alive" else nullcontext():
        if driver == "alive":
            wait_for(lambda: worker_notes.driver_key(JOB) in bucket.objects, 100, "its beat")
        Beating(bucket).tell(is_gone=True)
        worker_notes.forget_unread(bucket, JOB, 1)
    assert bool(worker_notes.told_by(bucket, JOB, 1)) == (driver == "alive")


def test_a_step_is_told_of_its_workers_and_not_by_name_of_keys() -> None:
    words = ["--scene", "/s", "--step", "process", "--job", JOB, "--shard-folder", "/shards"]
    words += ["--store-endpoint", "https://s3.example", "--store-bucket", "b"]
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    alone = variables(parse(words, keys))
    assert LAUNCHER not in alone and json.loads(alone[VARIABLE])["workers"] == 0
    shared = variables(parse([*words, "--workers", "3"], keys))
    facts = json.loads(shared[VARIABLE])
    assert shared[LAUNCHER] == WORKERS_LAUNCHER
    assert (facts["job"], facts["workers"], facts["folder"]) == (JOB, 3, "/shards")
    assert parse([*words, "--worker", "2"], keys).worker == 2
