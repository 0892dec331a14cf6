"""Shards on machines that share no folder: what they read and make goes by the store alone."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import machines
from agent_job import there
from machines import Machines, Watch
from maquette.agent import shard_task
from maquette.agent.arguments import Arguments
from maquette.agent.scene_sync import SceneSync
from maquette.errors import ConfigError
from maquette.pipelines.options import to_mapping
from maquette.recon.executing import command
from maquette.scene.atomic import write_json
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.commands import LAUNCHER, TRY_AGAIN, Commands, ShardCommand
from maquette.stages.running import run_stages
from maquette.storage.object_store import ObjectStore
from s3_server import content_of, pull, push
from synthetic_scene import write_posed_scene
from turns import linked_copy
from waiting import wait_for

TOY = Path(__file__).resolve().parents[1] / "toy"
FIRST, SECOND = (f"weigh:{number}" for number in (1, 2))
MANIFEST = ".maquette/manifest.json"


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(TOY)
    monkeypatch.setenv("PYTHONPATH", f"{TOY}:{os.environ.get('PYTHONPATH', '')}")


@dataclass
class Work:
    """A step of the toy in a scene of the driver's, with two shards.

    Attributes:
        folder: Each machine's folder lies below it.
        log: What the step said.
        told: Another place of its options.
    """

    scene: Scene
    bucket: ObjectStore
    folder: Path
    log: io.StringIO
    told: Path | None = None

    @property
    def options(self) -> Path:
        return self.told or self.scene.options_file("toy", "process")

    def machines(self, watch: Watch | None = None, count: int = 2) -> Machines:
        return Machines(self.folder, machines.place_of(self.bucket), count, watch)

    def run(self, at: Machines | None = None) -> Machines:
        """Do the step, its shards on machines."""
        from maquette_toy.options import ProcessOptions
        from maquette_toy.stages import pick, weigh

        at, place = at or self.machines(), machines.place_of(self.bucket)
        write_json(self.options, to_mapping(ProcessOptions()))
        executor = Commands(
            lambda scene: machines.launcher(at, scene, place),
            lambda shard: command("toy", "process", self.options, shard),
        )
        stages = [pick.STAGE, weigh.STAGE]
        told = Progress(log=self.log)
        run_stages(stages, "process", self.scene, ProcessOptions(), told, executor=executor)
        return at

    @property
    def weighed(self) -> bytes:
        return (self.scene.run("experiments") / "weighed.json").read_bytes()


@pytest.fixture
def work(tmp_path: Path, bucket: ObjectStore) -> Work:
    scene = write_posed_scene(tmp_path / "driver" / "thing", 8, 16, 12)
    (scene.root / "images" / "of-nobody.txt").write_text("read by no shard")
    push(scene.root, bucket)
    return Work(Scene(scene.root, "toy"), bucket, tmp_path / "machines", io.StringIO())


@pytest.fixture
def alone(tmp_path: Path, work: Work) -> bytes:
    """What one process makes of the scene."""
    from maquette_toy.options import ProcessOptions
    from maquette_toy.stages import pick, weigh

    scene = Scene(linked_copy(work.scene.root, tmp_path / "alone" / "thing"), "toy")
    quiet = Progress(log=io.StringIO())
    run_stages([pick.STAGE, weigh.STAGE], "process", scene, ProcessOptions(), quiet)
    return (scene.run("experiments") / "weighed.json").read_bytes()


def known(folder: Path) -> set[str]:
    """What a machine has kept of the scene."""
    (place,) = folder.glob("*/*/known")
    assert not list(place.with_name("work").iterdir()), "a shard's own folder goes with it"
    return set(content_of(place))


def test_it_is_what_one_process_makes_and_nothing_else_moves(
    work: Work, alone: bytes, tmp_path: Path
) -> None:
    before = there(tmp_path, work.bucket)
    manifests = set()

    def watch(command: ShardCommand, process: subprocess.Popen) -> None:
        manifests.add(shard_task.text(work.bucket, MANIFEST))

    at = work.run(work.machines(watch))
    manifests.add(shard_task.text(work.bucket, MANIFEST))
    assert work.weighed == alone and sorted(at.begun) == [FIRST, SECOND]
    assert len(manifests) == 1, "only who drives writes the manifest"
    records = "stages/toy/weigh"
    read = {"transforms.json", "runs/toy/experiments/picked.json", f"{records}/shards.json",
            "stages/toy/options/process.json"}  # fmt: skip
    for number in range(2):
        assert known(work.folder / f"machine-{number}") == read
    parts = {f"runs/toy/experiments/weighed/000{first}.json" for first in (0, 4)}
    made = parts | {f"{records}/{number}-of-2.json" for number in (1, 2)}
    after = there(tmp_path, work.bucket)
    assert after.keys() - before.keys() == made | (read - before.keys())
    assert before.items() <= after.items()
    assert all((work.scene.root / path).read_bytes() == after[path] for path in made)
    assert not [path for path in work.bucket.objects() or {} if "/shards/" in path]
    push(work.scene.root, work.bucket)
    pull(work.scene.root, work.bucket)  # no conflict: the driver knows what they made
    assert work.run().begun == []


def test_a_machine_that_is_killed_costs_its_shard_alone(work: Work, alone: bytes) -> None:
    held = work.scene.root / "held-4"
    held.touch()

    def watch(command: ShardCommand, process: subprocess.Popen) -> None:
        if command.name == SECOND and command.attempt == 1:
            beat = command.log.with_suffix(".beat")
            wait_for(lambda: beat.exists(), what="its heartbeat comes to the driver")
            held.unlink()
            process.kill()

    at = work.machines(watch)
    begun = at.start

    def in_turn(commands: Sequence[ShardCommand]) -> None:
        """The second last: until it is killed nobody waits for the other."""
        begun(sorted(commands, key=lambda command: command.name == SECOND))

    at.start = in_turn  # type: ignore[method-assign]
    work.run(at)
    assert work.weighed == alone
    assert at.begun == [FIRST, SECOND, SECOND]
    assert f"shard {SECOND} was stopped or killed" in work.log.getvalue()


def test_who_drives_may_be_lost_and_goes_on_elsewhere(
    work: Work, alone: bytes, tmp_path: Path
) -> None:
    class Lost(Exception):
        pass

    def watch(command: ShardCommand, process: subprocess.Popen) -> None:
        if command.name == SECOND:
            raise Lost
        assert process.wait() == 0

    with pytest.raises(Lost):
        work.run(work.machines(watch))
    records = work.scene.records("toy") / "weigh"
    assert not list(records.glob("*-of-*.json")), "it has seen no end"
    elsewhere = tmp_path / "elsewhere" / "thing"
    pull(elsewhere, work.bucket)
    other = replace(work, scene=Scene(elsewhere, "toy"))
    at = other.run()
    assert other.weighed == alone and FIRST not in at.begun and SECOND in at.begun


def test_a_machine_that_was_given_up_writes_nothing_more(work: Work) -> None:
    ends = []

    def watch(command: ShardCommand, process: subprocess.Popen) -> None:
        if command.name == FIRST and command.attempt == 1:
            record = work.scene.relative(command.shard.record) if command.shard else ""
            task = shard_task.read(work.bucket, record)
            assert task is not None
            wait_for(lambda: shard_task.text(work.bucket, shard_task.beat_key(record)))
            shard_task.write(work.bucket, replace(task, attempt=2))
            (work.scene.root / "held-0").unlink()
            ends.append(process.wait())
            assert not shard_task.text(work.bucket, record)

    (work.scene.root / "held-0").touch()
    work.run(work.machines(watch))
    assert ends == [130], "it ended by itself, and is begun again"


def shard_process(work: Work, at: Machines, *words: str) -> subprocess.Popen:
    """The newest command of some machines once more."""
    _, *argv = at.commands[-1].argv
    argv = [word.replace(machines.FOLDER, str(work.folder / "another")) for word in argv]
    place = machines.place_of(work.bucket)
    return subprocess.Popen(
        [sys.executable, "-m", machines.MODULE, *argv, *words], stdout=subprocess.PIPE, text=True,
        env={**os.environ, **place.keys},
    )  # fmt: skip


def test_a_machine_ends_when_nobody_waits_or_its_store_is_gone(work: Work) -> None:
    (work.scene.root / "held-4").touch()
    silent: list[subprocess.Popen] = []

    def watch(command: ShardCommand, process: subprocess.Popen) -> None:
        if command.name == SECOND and command.attempt == 1:
            process.kill()
            silent.append(shard_process(work, at, "--silence-s", "-1"))
            assert silent[0].wait() == 130, "its driver is silent for longer than that"
            (work.scene.root / "held-4").unlink()

    at = work.machines(watch)
    work.run(at)
    assert silent and shard_process(work, at).wait() == 130, "nobody waits for it"
    lost = shard_process(work, at, "--store-endpoint", "http://127.0.0.1:9")
    assert lost.wait() == TRY_AGAIN and "@maquette" in str(lost.stdout and lost.stdout.read())


def test_what_a_shard_said_of_its_failure_is_told(work: Work) -> None:
    (work.scene.root / "cursed-4").touch()
    with pytest.raises(Exception, match="the balls from 4 on are cursed"):
        work.run()
    (work.scene.root / "cursed-4").unlink()
    assert work.run().begun == [SECOND]


def test_options_outside_the_scene_are_refused(work: Work, tmp_path: Path) -> None:
    at = work.machines()
    with pytest.raises(ConfigError, match="lie outside the scene"):
        replace(work, told=tmp_path / "options.json").run(at)
    assert at.begun == []


def test_a_push_beside_shards_removes_nothing(work: Work) -> None:
    """What they made may not have been brought yet."""
    place, name = machines.place_of(work.bucket), "images/of-nobody.txt"
    given = Arguments((), work.scene.root, "process", "job", store=place.store, secrets=place.keys)
    beside = SceneSync(given, place.store, print)
    beside.pull()
    (work.scene.root / name).unlink()
    beside.push(removes=False)
    assert work.bucket.head(name)
    beside.push()
    assert work.bucket.head(name) is None
    beside.close()


def test_a_step_beside_an_agent_needs_no_other_keys(
    work: Work, alone: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent's own process, a step that knows its launcher alone, and machines."""
    from maquette_toy.options import ProcessOptions

    write_json(work.options, to_mapping(ProcessOptions()))
    push(work.scene.root, work.bucket)
    head, place = tmp_path / "head" / "thing", machines.place_of(work.bucket)
    tests = str(TOY.parent)
    told = {"PYTHONPATH": f"{tests}:{os.environ['PYTHONPATH']}", LAUNCHER: "machines"}
    told[machines.VARIABLE] = str(work.folder)
    step = ["maquette-step", "toy", "process", "--scene", str(head)]
    step += ["--options", str(head / work.scene.relative(work.options))]
    agent = [sys.executable, "-m", "maquette.agent", "--scene", str(head), "--step", "process"]
    agent += [
        *place.words(),
        "--sync-minutes",
        "0.005",
        "--shard-folder",
        machines.FOLDER,
        "--",
        *step,
    ]
    done = subprocess.run(
        agent, env={**os.environ, **told, **place.keys}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(head)
    pull(work.scene.root, work.bucket)
    assert work.weighed == alone
    assert {path.name for path in work.folder.iterdir()} == {"machine-0", "machine-1"}
    records = json.loads((work.scene.records("toy") / "weigh.json").read_text())
    assert records["numbers"] == {"balls": 8}
