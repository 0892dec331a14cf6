"""Stages are skipped when their key stands, and run again when anything behind it changed."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest

from maquette.errors import ConfigError, JobFailed, MaquetteError, NotFound
from maquette.pipelines.neuralangelo.options import ProcessOptions
from maquette.pipelines.prepare import PrepareOptions
from maquette.recon.stages.stage import Report, Stage, run_stages
from maquette.scene import stage_records
from maquette.scene.events import Progress
from maquette.scene.paths import Scene


def photo(scene: Scene, options: PrepareOptions) -> list[Path]:
    return [scene.input / "photo"]


class Line:
    """Three stages a → b → c, each writing one file and counting its runs."""

    def __init__(self, root: Path) -> None:
        self.scene = Scene(root / "scene")
        self.scene.input.mkdir(parents=True)
        (self.scene.input / "photo").write_text("1")
        self.ran: list[str] = []
        self.fail_at = ""

    def stages(self, version: int = 1) -> list[Stage]:
        return [
            Stage(
                "a",
                version,
                self._run("a"),
                ("seed",),
                (),
                photo,
            ),
            Stage("b", 1, self._run("b"), ("frames",), ("a",)),
            Stage("c", 1, self._run("c"), (), ("b",)),
        ]

    def _run(self, name: str):
        def run(scene: Scene, options: PrepareOptions, progress: Progress) -> Report:
            if self.fail_at == name:
                raise OSError(28, "No space left on device", "file")
            self.ran.append(name)
            path = scene.root / name
            path.write_text(name)
            return Report([path], numbers={"runs": len(self.ran)})

        return run

    def go(self, version: int = 1, **options) -> list[str]:
        self.ran.clear()
        progress = Progress(None, io.StringIO())
        run_stages(self.stages(version), "prepare", self.scene, PrepareOptions(**options), progress)
        return list(self.ran)


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


def test_a_second_run_does_nothing(line: Line) -> None:
    assert line.go() == ["a", "b", "c"]
    assert line.go() == []


def test_only_what_depends_on_a_change_runs_again(line: Line) -> None:
    line.go()
    assert line.go(frames=9) == ["b", "c"]
    assert line.go(frames=9, seed=1) == ["a", "b", "c"]
    assert line.go(frames=9, seed=1, version=2) == ["a", "b", "c"]
    (line.scene.input / "photo").write_text("2")
    assert line.go(frames=9, seed=1, version=2) == ["a", "b", "c"]


def test_a_missing_or_changed_output_is_made_again(line: Line) -> None:
    line.go()
    (line.scene.root / "b").unlink()
    assert line.go() == ["b", "c"]
    (line.scene.root / "c").write_text("longer")
    assert line.go() == ["c"]


def test_forcing_runs_the_stage_and_all_after_it_even_if_interrupted(line: Line) -> None:
    line.go()
    assert line.go(force_stage="b") == ["b", "c"]
    line.fail_at = "c"
    with pytest.raises(JobFailed):
        line.go(force_stage="b")
    line.fail_at = ""
    assert line.go() == ["c"]


def test_fresh_runs_what_is_done_already(line: Line) -> None:
    line.go()
    line.ran.clear()
    progress = Progress(None, io.StringIO())
    stages = [Stage("a", 1, line._run("a"), ("seed",), files=photo)]
    run_stages(stages, "process", line.scene, ProcessOptions(), progress)
    assert line.ran == []
    run_stages(stages, "process", line.scene, ProcessOptions(fresh=True), progress)
    assert line.ran == ["a"]


def test_from_and_until_limit_the_step(line: Line) -> None:
    assert line.go(until_stage="a") == ["a"]
    with pytest.raises(NotFound, match="needs the results of stage b"):
        line.go(from_stage="c")
    assert line.go(from_stage="b") == ["b", "c"]
    for wrong in (
        {"from_stage": "x"},
        {"from_stage": "c", "until_stage": "a"},
        {"force_stage": "x"},
    ):
        with pytest.raises(ConfigError):
            line.go(**wrong)


def test_a_moved_scene_keeps_its_stages(line: Line, tmp_path: Path) -> None:
    line.go()
    shutil.move(line.scene.root, tmp_path / "elsewhere")
    line.scene = Scene(tmp_path / "elsewhere")
    assert line.go() == []


def test_a_full_disk_is_a_sentence_and_leaves_no_record(line: Line) -> None:
    line.fail_at = "b"
    with pytest.raises(MaquetteError, match="no space left"):
        line.go()
    assert stage_records.read(line.scene, "a") and not stage_records.read(line.scene, "b")
    line.fail_at = ""
    assert line.go() == ["b", "c"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"stage": "a"}'])
def test_a_damaged_record_means_run_again(line: Line, text: str) -> None:
    line.go()
    (line.scene.stages / "c.json").write_text(text)
    assert line.go() == ["c"]
