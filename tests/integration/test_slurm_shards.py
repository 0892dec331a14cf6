"""A stage spread over a Slurm cluster: what happens to its tasks costs no more than a shard."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import maquette
from maquette.jobs.ledger import find_all
from maquette.jobs.states import has_ended
from maquette.runners import tracking
from maquette.runners.slurm import launcher
from maquette.runners.slurm.arrays import VARIABLE, ArrayOptions
from maquette.scene.paths import Scene
from maquette.stages.commands import ShardCommand
from maquette.stages.stage import Needs
from slurm_cluster import NODES, SlurmCluster
from synthetic_scene import write_posed_scene
from turns import linked_copy
from waiting import wait_for

pytestmark = pytest.mark.cluster
TOY = Path(__file__).resolve().parents[1] / "toy"
WORDS = ("PIPELINE=toy", "MODEL=thing", "BACKEND=slurm", "WORKERS=3", "GPU=0")
SHARDS = 4  # of 14 cameras
HELD, NUMBER = "held-8", 3  # the third shard begins with camera 8
LIMIT_S = 120.0


class Spread:
    """A scene whose step runs on the cluster."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.scene = base / "scenes" / "thing"
        self.records = self.scene / "stages" / "toy" / "weigh"
        self.result = self.scene / "runs" / "toy" / "experiments" / "weighed.json"

    def start(self) -> None:
        """Submit the step and return."""
        done = maquette(self.base, "run", "process", *WORDS, "WAIT=0")
        assert done.returncode == 0, done.stderr

    def document(self) -> dict:
        [ledger] = find_all(self.base / "logs")
        return tracking.refresh(ledger)

    def ended(self) -> dict:
        """The document of the step's job, when it has ended."""
        wait_for(lambda: has_ended(self.document()["status"]), LIMIT_S, "the step's end")
        return self.document()

    def log(self) -> str:
        return Path(self.document()["maquette"]["request"]["log"]).read_text()

    def beat(self, number: int) -> dict:
        """The sign of life of a shard that runs."""
        file = self.records / f"{number}-of-{SHARDS}.beat"
        return wait_for(lambda: file.exists() and json.loads(file.read_text()), LIMIT_S, "a beat")

    def written(self) -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in self.records.glob("*-of-*.json")}

    def wait_for_others(self) -> dict[str, int]:
        """Wait until all shards but the held one are done."""
        wait_for(lambda: len(self.written()) == SHARDS - 1, LIMIT_S, "the other shards")
        return self.written()


@pytest.fixture(scope="module")
def posed_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base folder with a scene of 14 cameras."""
    base = tmp_path_factory.mktemp("posed")
    write_posed_scene(base / "scenes" / "thing", count=14, width=96, height=72)
    return base


@pytest.fixture(scope="module", autouse=True)
def toy_is_installed() -> Iterator[None]:
    """As after `pip install` of a package that brings the pipeline."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", f"{os.environ.get('PYTHONPATH', '')}:{TOY}".strip(":"))
        yield


@pytest.fixture
def spread(posed_once: Path, slurm: SlurmCluster, tmp_path: Path) -> Spread:
    return Spread(linked_copy(posed_once, tmp_path / "spread"))


@pytest.fixture(scope="module")
def expected(posed_once: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What one process makes."""
    alone = Spread(linked_copy(posed_once, tmp_path_factory.mktemp("alone") / "base"))
    done = maquette(alone.base, "run", "process", *WORDS[:2])
    assert done.returncode == 0, done.stderr
    return alone.result.read_bytes()


def test_a_task_that_is_killed_costs_its_shard_alone(spread: Spread, expected: bytes) -> None:
    (spread.scene / HELD).touch()
    spread.start()
    before, beat = spread.wait_for_others(), spread.beat(NUMBER)
    os.kill(beat["pid"], signal.SIGKILL)
    (spread.scene / HELD).unlink()
    assert spread.ended()["status"]["state"] == "DONE"
    assert before.items() <= spread.written().items()
    assert spread.result.read_bytes() == expected
    log = spread.log()
    assert f"shard weigh:{NUMBER} was stopped or killed on node" in log
    assert "(exit code 137): begun again (1 of 3)" in log
    assert {path.suffix for path in spread.records.iterdir()} == {".json"}


def test_a_node_that_fails_costs_its_shards_alone(
    spread: Spread, expected: bytes, slurm: SlurmCluster
) -> None:
    """Three tasks and the step that waits for them fill both nodes: one has two of the tasks."""
    for first in range(0, 16, 4):
        (spread.scene / f"held-{first}").touch()
    spread.start()
    beats = {number: spread.beat(number) for number in (1, 2, 3)}
    rows = slurm.ask("squeue", "--noheader", "--states=RUNNING", "--format=%j|%N").splitlines()
    [waiting] = [row.partition("|")[2] for row in rows if "-shards|" not in row]
    [failing] = set(NODES) - {waiting}
    slurm.kill_node(failing)
    try:
        for held in spread.scene.glob("held-*"):
            held.unlink()
        assert spread.ended()["status"]["state"] == "DONE"
    finally:
        slurm.revive_node(failing)
    assert spread.log().count("begun again (1 of 3)") == 2 < len(beats)
    assert spread.result.read_bytes() == expected


def test_a_shard_that_fails_is_told_and_the_others_are_done(spread: Spread) -> None:
    (spread.scene / "cursed-8").touch()
    done = maquette(spread.base, "run", "process", *WORDS)
    assert done.returncode == 14, done.stderr
    assert "the balls from 8 on are cursed" in done.stderr
    assert "1 of 4 shards failed, the others are done" in done.stderr
    assert len(spread.written()) == SHARDS - 1


def test_a_stop_leaves_no_task_behind(spread: Spread, slurm: SlurmCluster) -> None:
    (spread.scene / HELD).touch()
    spread.start()
    spread.beat(NUMBER)
    done = maquette(spread.base, "stop", "process", *WORDS[:2])
    assert done.returncode == 0, done.stderr
    assert spread.document()["status"]["state"] == "INTERRUPTED"
    wait_for(lambda: not slurm.ask("squeue", "--noheader"), LIMIT_S, "an empty queue")


def test_what_an_earlier_start_left_behind_is_ended_first(
    slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the node of the step that waits for its shards failed."""
    options = ArrayOptions("process-1-shards", 2, (), str(tmp_path))
    monkeypatch.setenv(VARIABLE, options.to_text())
    scene = Scene(tmp_path, "toy")
    words = ("bash", "-c", "touch $0; sleep 600", str(tmp_path / "begun"))
    first = launcher.open_launcher(scene)
    first.start([ShardCommand("weigh:1", words, tmp_path / "log", Needs())])
    wait_for((tmp_path / "begun").exists, LIMIT_S, "the task")
    launcher.open_launcher(scene).close()
    [end] = wait_for(lambda: first.wait(1.0), LIMIT_S, "the end")
    assert (end.name, end.code) == ("weigh:1", None)
