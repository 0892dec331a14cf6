"""PRUNE=1 drops what served other stages and can be made again; nothing that stands is orphaned."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest

from maquette.errors import MaquetteError, NotFound
from maquette.pipelines.photogrammetry.options import ExtractOptions, ProcessOptions
from maquette.pipelines.pipeline import COMMON
from maquette.scene import disk_usage, outputs, stage_records
from maquette.scene.events import Progress, parse_log_line
from maquette.scene.paths import Scene
from maquette.stages.pruning import prune
from maquette.stages.running import run_stages
from maquette.stages.stage import Report, Stage

OWNER = "photogrammetry"


class Steps:
    """Stages maps → agreed → points of process and mesh of extract, each with one file.

    `maps`, two files, and `agreed` are intermediate; `mesh` uses the file of `agreed`.
    """

    def __init__(self, root: Path) -> None:
        self.scene = Scene(root / "scene", OWNER)
        self.scene.input.mkdir(parents=True)
        (self.scene.input / "photo").write_text("1")
        self.ran: list[str] = []
        self.fails = False
        self.log = io.StringIO()
        serving = ("dense/",)
        self.maps = Stage(
            "maps", 1, self._match, ("seed",), files=self._photo, intermediate=serving
        )
        self.agreed = Stage(
            "agreed", 1, self._run("agreed", "maps"), after=("maps",), intermediate=serving
        )
        self.points = Stage("points", 1, self._run("points", "agreed"), ("workers",), ("agreed",))
        mesh = self._run("mesh", "agreed")
        self.mesh = Stage("mesh", 1, mesh, ("resolution",), ("points",), uses=("agreed",))

    @property
    def process(self) -> list[Stage]:
        return [self.maps, self.agreed, self.points]

    def _photo(self, scene: Scene, options: object) -> list[Path]:
        return [scene.input / "photo"]

    def file(self, name: str) -> Path:
        folder = "dense/photogrammetry/experiments" if name != "mesh" else "results/photogrammetry"
        return self.scene.root / folder / name

    def _match(self, scene: Scene, options: object, progress: Progress) -> Report:
        self.ran.append("maps")
        made = [self._write("maps1", "map"), self._write("maps2", "map")]
        if self.fails:
            raise OSError(28, "No space left on device", "file")
        return Report(made)

    def _run(self, name: str, reads: str):
        def run(scene: Scene, options: object, progress: Progress) -> Report:
            self.ran.append(name)
            read = "maps1" if reads == "maps" else reads
            path = self._write(name, f"{name} of {self.file(read).read_text()}")
            return Report([path], kinds={path: outputs.MESH} if name == "mesh" else {})

        return run

    def _write(self, name: str, text: str) -> Path:
        path = self.file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def go(self, step: str = "process", **options) -> list[str]:
        """Run a step; the names of what ran."""
        self.ran.clear()
        self.log = io.StringIO()
        kind, stages = (ProcessOptions, self.process)
        if step == "extract":
            kind, stages = (ExtractOptions, [self.mesh])
        run_stages(stages, step, self.scene, kind(**options), Progress(None, self.log))
        return list(self.ran)

    def prune(self, keep: str = "") -> list[str]:
        """Drop what may go; the names of the files that went."""
        before = {path.name for path in self.scene.root.rglob("*") if path.is_file()}
        known = [(OWNER, stage) for stage in (*self.process, self.mesh)]
        prune(self.scene, known, Progress(None, self.log), keep)
        after = {path.name for path in self.scene.root.rglob("*") if path.is_file()}
        return sorted(name for name in before - after if not name.endswith(".json"))

    def told(self) -> str:
        events = [parse_log_line(line) or {} for line in self.log.getvalue().splitlines()]
        return "\n".join(str(event.get("text", "")) for event in events)


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    """A scene after process."""
    made = Steps(tmp_path)
    made.go()
    return made


@pytest.fixture
def pruned(steps: Steps) -> Steps:
    """A scene after process and extract, pruned."""
    steps.go("extract")
    assert steps.prune() == ["agreed", "maps1", "maps2"]
    return steps


def test_files_go_when_all_that_read_them_are_done(steps: Steps) -> None:
    assert steps.prune() == ["maps1", "maps2"]  # the mesh, of a later step, is to read `agreed`
    assert "MB dropped, as all stages that read them are done" in steps.told()
    steps.go("extract")
    assert steps.prune() == ["agreed"]
    assert steps.prune() == []
    assert steps.file("points").is_file() and steps.file("mesh").is_file()
    record = stage_records.read(steps.scene, "maps")
    assert record and record.pruned == [
        steps.scene.relative(steps.file(f"maps{n}")) for n in (1, 2)
    ]


def test_a_pruned_stage_counts_as_done(pruned: Steps, tmp_path: Path) -> None:
    assert pruned.go() == [] and pruned.go("extract") == []
    shutil.copytree(pruned.scene.root, tmp_path / "pulled")
    pruned.scene = Scene(tmp_path / "pulled", OWNER)
    assert pruned.go() == [] and pruned.go("extract") == []


def test_a_stage_of_the_step_that_has_to_read_has_them_made_again_first(pruned: Steps) -> None:
    before = [stage_records.read(pruned.scene, name) for name in ("maps", "agreed")]
    assert pruned.go(workers=2) == ["maps", "agreed", "points"]
    assert "of stage agreed were pruned, and stage points reads them: made again" in pruned.told()
    assert pruned.file("agreed").read_text() == "agreed of map"
    for old in before:
        assert old is not None
        new = stage_records.read(pruned.scene, old.stage)
        assert new and new.pruned == [] and (new.key, new.outputs) == (old.key, old.outputs)
    assert pruned.go("extract") == ["mesh"]
    assert pruned.prune() == ["agreed", "maps1", "maps2"]


def test_a_stage_of_another_step_says_which_command_makes_them(pruned: Steps) -> None:
    with pytest.raises(NotFound, match="mesh reads files of stage agreed that PRUNE=1") as caught:
        pruned.go("extract", resolution=64)
    command = "`make process PIPELINE=photogrammetry MODEL=scene UNTIL=agreed`"
    assert caught.value.hint == f"{command} makes them again"
    assert stage_records.read(pruned.scene, "mesh") and pruned.file("mesh").is_file()
    assert pruned.go(until_stage="agreed") == ["maps", "agreed"]
    assert pruned.prune(keep="agreed") == ["maps1", "maps2"]
    assert pruned.go("extract", resolution=64) == ["mesh"]


def test_what_comes_out_otherwise_now_is_made_anew_and_not_for_a_later_stage_alone(
    pruned: Steps,
) -> None:
    with pytest.raises(NotFound, match="maps that PRUNE=1 dropped") as caught:
        pruned.go(seed=2, from_stage="agreed", force_stage="agreed")
    assert caught.value.hint == "run it without FROM"
    assert pruned.go(seed=2) == ["maps", "agreed", "points"]
    assert pruned.prune() == ["maps1", "maps2"]  # the mesh is to be made anew of `agreed`


def test_what_could_not_be_made_again_stays(steps: Steps) -> None:
    steps.go("extract")
    (steps.scene.input / "photo").write_text("2")
    assert steps.prune() == []
    (steps.scene.input / "photo").unlink()
    assert steps.prune() == []


def test_what_others_read_stays_until_they_are_done(steps: Steps) -> None:
    steps.go("extract")
    scene = steps.scene.of("other")
    read = Stage("other", 1, lambda *told: Report([]), files=lambda *told: [steps.file("maps2")])
    progress = Progress(None, io.StringIO())
    run_stages([read], "process", scene, ProcessOptions(), progress)
    assert steps.prune() == ["agreed", "maps1"]  # the content of `maps2` is in a key


def test_files_that_all_pipelines_share_wait_for_those_that_ran_here(tmp_path: Path) -> None:
    scene, quiet = Scene(tmp_path / "scene", "splat"), Progress(None, io.StringIO())
    raw = scene.images_raw / "1.jpg"

    def run(*told: object) -> Report:
        raw.parent.mkdir(parents=True, exist_ok=True)
        raw.write_text("jpg")
        return Report([raw])

    shared = Stage("frames", 1, run, ("seed",), intermediate=("images_raw/",))
    reader = Stage("reader", 1, lambda *told: Report([]), after=("frames",))
    for seed in (0, 1):
        options = ProcessOptions(seed=seed)
        run_stages([shared], "prepare", scene, options, quiet, owner=COMMON)
        if seed == 0:
            run_stages([reader], "process", scene.of("other"), options, quiet)
    prune(scene, [(COMMON, shared)], quiet)
    assert raw.is_file()  # the other pipeline's stage is to read the new ones
    run_stages([reader], "process", scene.of("other"), options, quiet)
    prune(scene, [(COMMON, shared)], quiet)
    assert not raw.is_file()


@pytest.mark.parametrize("files_gone", [0, 1])
def test_a_kill_while_pruning_loses_nothing(
    steps: Steps, monkeypatch: pytest.MonkeyPatch, files_gone: int
) -> None:
    steps.go("extract")
    more = [files_gone]
    unlink = Path.unlink

    def dying(path: Path, missing_ok: bool = False) -> None:
        if path.parent.name == "experiments":
            more[0] -= 1
            if more[0] < 0:
                raise KeyboardInterrupt
        unlink(path, missing_ok)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", dying)
        steps.prune()
    assert steps.go() == [] and steps.go("extract") == []
    assert steps.go(workers=2) == ["points"]  # `agreed` is whole
    steps.go("extract")
    left = ["agreed", "maps2"] if files_gone else ["agreed", "maps1", "maps2"]
    assert steps.prune() == left
    assert steps.go(workers=3) == ["maps", "agreed", "points"]


def test_a_kill_while_they_are_made_again_loses_nothing(pruned: Steps) -> None:
    pruned.fails = True
    with pytest.raises(MaquetteError, match="no space left"):
        pruned.go(workers=2)
    pruned.file("maps2").write_text("ma")
    pruned.fails = False
    assert pruned.go(workers=2) == ["maps", "agreed", "points"]


def test_disk_tells_what_was_pruned(pruned: Steps) -> None:
    found = {one.name: one for one in disk_usage.of_scene(pruned.scene)}
    maps = found["photogrammetry maps"]
    assert (maps.size_bytes, maps.pruned_bytes) == (0, 6)
    assert maps.remark == "0.0 MB pruned: UNTIL=maps of process makes it again"
    assert found["photogrammetry points"].pruned_bytes == 0


def test_a_record_from_before_there_was_pruning_is_read(pruned: Steps) -> None:
    path = pruned.scene.records(OWNER) / "points.json"
    content = json.loads(path.read_text())
    del content["pruned"]
    path.write_text(json.dumps(content))
    assert pruned.go() == []
