"""Shards as commands: what is begun again, what is given up, and what is told of it."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from launching import OneByOne
from maquette.errors import BadInput, ConfigError, Interrupted, JobFailed, MaquetteError
from maquette.pipelines.options import ShardedStepOptions
from maquette.recon.executing import executor_for
from maquette.scene.events import LOG_PREFIX, Progress
from maquette.scene.paths import Scene
from maquette.stages import shard_list
from maquette.stages.commands import LAUNCHER, Commands, ShardCommand, ShardEnd
from maquette.stages.heartbeat import Pulse, beating
from maquette.stages.sharding import run_shards
from maquette.stages.shards import do
from maquette.stages.stage import Report, Sharding, Stage
from waiting import wait_for


@dataclass(frozen=True)
class Options(ShardedStepOptions):
    """Of the stage here."""


def split(scene: Scene, options: Any) -> list[list[int]]:
    return [[1], [2, 3], [4, 5, 6]]


def run(scene: Scene, options: Any, item: list[int], progress: Progress) -> Sequence[Path]:
    path = scene.root / f"{item[0]}.txt"
    path.write_text(str(item))
    return [path]


def merge(scene: Scene, options: Any, progress: Progress) -> Report:
    return Report([], numbers={"parts": len(list(scene.root.glob("*.txt")))})


STAGE = Stage("test_shard_commands", version=1, run=Sharding(split, run, merge))
FIRST, SECOND, THIRD = (f"test_shard_commands:{number}" for number in (1, 2, 3))


class Cluster:
    """Does shards here, but ends first with the codes that it is told.

    Attributes:
        codes: Of each shard's first attempts.
        begun: The names of all that were begun, in order.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.codes: dict[str, list[int | None]] = {}
        self.begun: list[str] = []
        self.lines = ""
        self.launcher = OneByOne(self.run)

    def run(self, command: ShardCommand) -> int | None:
        self.begun.append(command.name)
        with open(command.log, "a") as log:
            log.write(self.lines)
        if codes := self.codes.get(command.name):
            return codes.pop(0)
        number = int(command.name.partition(":")[2])
        do(shard_list.read(STAGE, self.scene, "toy", Options(), number), Progress(None, log))
        return 0

    def work(self, progress: Progress | None = None, **limits: float) -> Report:
        argv = ("maquette-step",)
        executor = Commands(lambda scene: self.launcher, lambda shard: argv, **limits)
        told = progress or Progress(log=io.StringIO())
        return run_shards(STAGE, self.scene, "toy", Options(), "k", told, executor)


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(Scene(tmp_path, "toy"))


def test_what_takes_longest_begins_first_and_logs_of_success_go(cluster: Cluster) -> None:
    assert cluster.work().numbers == {"parts": 3}
    assert cluster.begun == [THIRD, SECOND, FIRST] and cluster.launcher.is_closed
    folder = cluster.scene.stages / "toy" / "test_shard_commands"
    assert {path.suffix for path in folder.iterdir()} == {".json"}


@pytest.mark.parametrize("code", [None, 75, 130, 137, 143])
def test_a_shard_whose_machine_failed_is_begun_again(cluster: Cluster, code: int | None) -> None:
    cluster.codes = {SECOND: [code, code, code]}
    log = io.StringIO()
    assert cluster.work(Progress(log=log)).numbers == {"parts": 3}
    assert cluster.begun.count(SECOND) == 4 and cluster.begun.count(FIRST) == 1
    assert "on node-1" in log.getvalue() and "begun again (3 of 3)" in log.getvalue()


def test_after_three_it_is_given_up_and_the_others_go_on(cluster: Cluster) -> None:
    cluster.codes = {THIRD: [137] * 4}
    cluster.lines = "loading\n"
    with pytest.raises(JobFailed, match=r"killed on node-1 \(exit code 137\), 4 times") as caught:
        cluster.work()
    assert cluster.begun.count(THIRD) == 4
    assert "1 of 3 shards failed, the others are done" in caught.value.detail
    assert f"{THIRD}: loading" in caught.value.detail
    assert cluster.work().numbers == {"parts": 3} and cluster.begun.count(FIRST) == 1


@pytest.mark.parametrize("code", [1, 10, 12, 14, 139])
def test_a_fault_of_the_input_is_not_tried_twice(cluster: Cluster, code: int) -> None:
    cluster.codes = {SECOND: [code]}
    with pytest.raises(MaquetteError, match=f"ended with exit code {code} on node-1"):
        cluster.work()
    assert cluster.begun.count(SECOND) == 1 and cluster.begun.count(FIRST) == 1


def test_what_a_shard_said_of_its_failure_is_told(cluster: Cluster) -> None:
    event = {"event": "error", "what": "no eyes", "detail": "d", "hint": "h", "code": 14}
    cluster.codes = {SECOND: [14]}
    cluster.lines = f"looking\n{LOG_PREFIX}{json.dumps(event)}\n"
    with pytest.raises(BadInput, match="no eyes") as caught:
        cluster.work()
    assert caught.value.hint == "h"
    assert caught.value.detail.splitlines()[:2] == ["d", f"{SECOND}: looking"]


def test_a_shard_that_was_done_before_its_machine_was_lost_counts(cluster: Cluster) -> None:
    def run_and_lose(command: ShardCommand) -> None:
        assert Cluster.run(cluster, command) == 0

    cluster.launcher = OneByOne(run_and_lose)
    assert cluster.work().numbers == {"parts": 3} and len(cluster.begun) == 3


def test_a_record_that_never_comes_into_sight_is_told(cluster: Cluster) -> None:
    cluster.codes = {FIRST: [0]}
    with pytest.raises(JobFailed, match="its record is not in the scene") as caught:
        cluster.work(seen_within_s=0.0)
    assert "under the same path" in caught.value.hint


def test_a_stop_ends_all_that_run(cluster: Cluster) -> None:
    def stop() -> None:
        if cluster.begun:
            raise Interrupted("stopped on request")

    with pytest.raises(Interrupted):
        cluster.work(Progress(log=io.StringIO(), check=stop))
    assert cluster.launcher.is_closed


class Silent(OneByOne):
    """Says of a shard that it runs, though its machine is gone, until it is begun again."""

    def wait(self, limit_s: float) -> Sequence[ShardEnd]:
        if self.waiting and self.waiting[0].attempt == 1:
            gone = self.waiting.pop(0)
            gone.log.with_suffix(".beat").write_text(json.dumps({"beat": 1, "host": "spot-7"}))
            return []
        return super().wait(limit_s)


def test_a_node_that_the_engine_believes_alive_is_given_up(cluster: Cluster) -> None:
    cluster.launcher = Silent(cluster.run)
    log = io.StringIO()
    assert cluster.work(Progress(log=log), silence_s=0.0).numbers == {"parts": 3}
    assert sorted(cluster.launcher.given_up) == [FIRST, SECOND, THIRD]
    assert "was lost on spot-7" in log.getvalue()


def test_a_pulse_counts_beats_and_looks_at_no_date(tmp_path: Path) -> None:
    path, seconds = tmp_path / "1-of-2.beat", [0.0]
    pulse = Pulse(path, silence_s=60, clock=lambda: seconds[0])
    seconds[0] = 1e6
    assert not pulse.is_lost(), "it waits for a machine"
    path.write_text('{"beat": 1, "host": "a"}')
    assert not pulse.is_lost()
    seconds[0] += 50
    path.write_text('{"beat": 2, "host": "a"}')
    assert not pulse.is_lost()
    seconds[0] += 50
    assert not pulse.is_lost()
    path.unlink()  # as a folder on another machine may show for a moment
    seconds[0] += 20
    assert pulse.is_lost() and pulse.where() == "a"


def test_a_heart_beats_while_work_runs_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "1-of-1.beat"
    with beating(path, interval_s=0.001):
        wait_for(lambda: path.exists() and json.loads(path.read_text())["beat"] > 2)
    assert not path.exists()


def test_a_launcher_whose_library_is_missing_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "launcher_without_engine.py").write_text("import no_such_engine")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(LAUNCHER, "launcher_without_engine")
    with pytest.raises(ConfigError, match="needs `no_such_engine`, which this Python lacks"):
        executor_for("toy", "process", tmp_path / "options.json")
    monkeypatch.setenv(LAUNCHER, "no_such_launcher")
    with pytest.raises(ConfigError, match="no_such_launcher is no module"):
        executor_for("toy", "process", tmp_path / "options.json")
