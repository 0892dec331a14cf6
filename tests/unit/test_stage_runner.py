"""Stages are skipped when their key stands, and run again when anything behind it changed."""

from __future__ import annotations

import io
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from maquette.errors import (
    BadInput,
    ConfigError,
    Interrupted,
    JobFailed,
    MaquetteError,
    NotFound,
)
from maquette.pipelines.aerial.options import ProcessOptions as AerialOptions
from maquette.pipelines.neuralangelo.options import ProcessOptions
from maquette.pipelines.photogrammetry.options import ExtractOptions
from maquette.pipelines.prepare import PrepareOptions
from maquette.recon.stages import aerial, common, dense
from maquette.scene import outputs, stage_records
from maquette.scene.events import Progress, parse_log_line
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord
from maquette.stages.running import run_stages
from maquette.stages.stage import Report, Stage


def events(log: io.StringIO) -> list[dict[str, Any]]:
    return [event for line in log.getvalue().splitlines() if (event := parse_log_line(line))]


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


def test_what_can_fail_is_done_without(line: Line) -> None:
    def refuse(scene: Scene, options: PrepareOptions, progress: Progress) -> Report:
        raise BadInput("the photos show nothing")

    a, b, c = line.stages()
    helping = [replace(a, run=refuse, can_fail=True), replace(b, can_fail=True)]
    stages, log = [*helping, replace(c, after=())], io.StringIO()
    told = (stages, "prepare", line.scene)
    records = run_stages(*told, PrepareOptions(), Progress(None, log))
    assert line.ran == ["c"] and [record.stage for record in records] == ["c"]
    (said,) = [event["text"] for event in events(log) if event["event"] == "note"]
    assert said == "the photos show nothing: done without"
    with pytest.raises(BadInput):  # who asks for it by name is told
        run_stages(*told, PrepareOptions(until_stage="a"), Progress(None, io.StringIO()))
    with pytest.raises(BadInput):
        run_stages(
            [replace(a, run=refuse), c], "prepare", line.scene, PrepareOptions(),
            Progress(None, io.StringIO()),
        )  # fmt: skip


def test_a_stage_of_another_step_reads_options_of_its_own(line: Line) -> None:
    seen: list[int] = []

    def look(scene: Scene, options: PrepareOptions, progress: Progress) -> Report:
        seen.append(options.frames)
        return Report([])

    stage = Stage(
        "a", 1, look, ("frames",), own_options=lambda options: PrepareOptions(frames=options.seed)
    )
    (record,) = run_stages(
        [stage], "process", line.scene, ProcessOptions(seed=7), Progress(None, io.StringIO())
    )
    assert seen == [7] and record.parameters == {"frames": 7}


def test_a_second_run_does_nothing(line: Line) -> None:
    assert line.go() == ["a", "b", "c"]
    assert line.go() == []


def test_what_a_late_stage_refuses_is_said_before_the_first_runs(line: Line) -> None:
    def check(scene: Scene, options: PrepareOptions) -> None:
        if options.up != "auto":
            raise ConfigError("no such UP")

    stages = line.stages()
    stages[2] = replace(stages[2], check=check, reads=("up",))
    for until, ran in (("", []), ("b", ["a", "b"])):
        options, progress = PrepareOptions(up="?", until_stage=until), Progress(None, io.StringIO())
        with pytest.raises(ConfigError, match="UP") if not ran else nullcontext():
            run_stages(stages, "prepare", line.scene, options, progress)
        assert line.ran == ran


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"gcp": "nope.txt"}, "GCP=nope.txt is not there"),
        ({"scale_bar": "wide A B"}, "SCALE_BAR: `wide`"),
        ({"scale_bar": "2 a.jpg 1,2 3,4"}, "SCALE_BAR: two photos or more"),
        ({"up": "above"}, "UP"),
        ({"camera_model": "PINHOLES"}, "PINHOLES"),
        ({"camera_params": "500,1"}, "CAMERA_PARAMS"),
    ],
)
def test_prepare_refuses_unusable_values_before_it_reads_a_photo(
    tmp_path: Path, value: dict[str, str], told: str
) -> None:
    scene = Scene(tmp_path / "shoe")
    scene.input.mkdir(parents=True)
    stages = [common.STAGES[name] for name in ("features", "georeference")]
    progress = Progress(None, io.StringIO())
    with pytest.raises((ConfigError, NotFound)) as caught:
        run_stages(stages, "prepare", scene, PrepareOptions(**value), progress)
    assert told in f"{caught.value.what} {caught.value.detail}"


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


def test_a_kill_between_a_record_and_the_list_of_results_loses_no_result(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "scene", "photogrammetry")
    scene.results.mkdir(parents=True)

    def run(scene: Scene, options: ExtractOptions, progress: Progress) -> Report:
        path = scene.results / "mesh.ply"
        path.write_text("ply")
        return Report([path], kinds={path: outputs.MESH})

    told = [Stage("surface", 1, run)], "extract", scene, ExtractOptions()
    run_stages(*told, Progress(None, io.StringIO()))
    listed = scene.results / outputs.FILE
    whole = listed.read_text()
    listed.write_text('{"outputs": []}')
    run_stages(*told, Progress(None, io.StringIO()))
    assert listed.read_text() == whole and "mesh.ply" in whole


def test_what_was_damaged_is_said(line: Line) -> None:
    line.go()
    (line.scene.root / "b").write_text("longer")
    log = io.StringIO()
    run_stages(line.stages(), "prepare", line.scene, PrepareOptions(), Progress(None, log))
    (told,) = [event["text"] for event in events(log) if event["event"] == "note"]
    assert told == "`b` is gone, or has not the size it had: made again"


def test_results_that_are_gone_name_the_step_that_makes_them(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "scene", "photogrammetry")
    fused = scene.dense("experiments") / "fused.ply"
    record = StageRecord("fuse", "process", "key", {}, {}, {scene.relative(fused): 3}, "", 1.0)
    wanted = Stage("surface", 1, lambda *given: Report([]), after=("fuse",))
    stage_records.write(scene, "photogrammetry", record)
    for known in (True, False):
        with pytest.raises(NotFound, match="surface needs the results of stage fuse") as caught:
            run_stages([wanted], "extract", scene, ExtractOptions(), Progress(None, io.StringIO()))
        assert ("fused.ply" in caught.value.detail) is known
        assert "`make process PIPELINE=photogrammetry MODEL=scene`" in caught.value.hint
        stage_records.forget(scene, "photogrammetry", "fuse")


def test_a_stop_that_a_library_swallowed_comes_again_with_the_next_progress() -> None:
    asked = Mock(side_effect=[None, Interrupted("stopped on request")])
    progress = Progress(None, io.StringIO(), check=asked)
    progress.step("photos", 0, 9)
    with pytest.raises(Interrupted):
        progress.step("photos", 1, 9)


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
    (line.scene.stages / "common" / "c.json").write_text(text)
    assert line.go() == ["c"]


def later(line: Line, **changes) -> Stage:
    """A stage of a later step, which reads what `c` made and the cameras."""
    return Stage("d", 1, line._run("d"), after=("c",), **changes)


def run_later(line: Line, stage: Stage) -> list[str]:
    line.ran.clear()
    progress = Progress(None, io.StringIO())
    run_stages([stage], "process", line.scene, ProcessOptions(), progress)
    return list(line.ran)


def test_what_was_forced_is_read_again_in_later_steps_also_after_a_kill(line: Line) -> None:
    line.go()
    assert run_later(line, later(line)) == ["d"]
    assert run_later(line, later(line)) == []
    assert line.go(force_stage="a") == ["a", "b", "c"]
    assert run_later(line, later(line)) == ["d"]
    assert run_later(line, later(line)) == []
    line.fail_at = "b"
    with pytest.raises(MaquetteError):
        line.go(force_stage="b")
    line.fail_at = ""
    assert line.go() == ["b", "c"]
    assert run_later(line, later(line)) == ["d"]


def test_a_stage_runs_again_for_the_facts_that_it_reads_and_no_others(line: Line) -> None:
    line.go()
    write = line.scene.transforms.write_text
    write('{"frames": [1], "sphere_radius": 1}')
    cameras, masks = later(line, facts=("cameras",)), later(line, facts=("masks",))
    assert run_later(line, cameras) == ["d"]
    write('{"sphere_radius": 2,  "frames": [1]}')  # another region, another layout
    assert run_later(line, cameras) == []
    write('{"sphere_radius": 2, "frames": [2]}')
    assert run_later(line, cameras) == ["d"]
    assert run_later(line, masks) == ["d"]
    line.scene.masks.mkdir()
    (line.scene.masks / "1.png").write_bytes(b"black")
    assert run_later(line, masks) == ["d"]
    (line.scene.masks / "1.png").write_bytes(b"white")
    assert run_later(line, masks) == ["d"]
    assert run_later(line, masks) == []


def test_a_stage_can_read_no_option_that_it_does_not_declare(line: Line) -> None:
    def run(scene: Scene, options: PrepareOptions, progress: Progress) -> Report:
        return Report([], numbers={"seed": options.seed, "frames": options.frames})

    def go(stage: Stage) -> dict:
        progress = Progress(None, io.StringIO())
        records = run_stages([stage], "prepare", line.scene, PrepareOptions(frames=7), progress)
        return records[0].numbers

    assert go(Stage("e", 1, run, ("seed",), reads=("frames",))) == {"seed": 0, "frames": 7}
    with pytest.raises(AttributeError, match="stage e reads the option `frames`"):
        go(Stage("e", 2, run, ("seed",)))


def test_two_sizes_of_a_mesh_are_refused_before_one_is_laid(tmp_path: Path) -> None:
    stages, progress = [dense.STAGES["filtered"]], Progress(None, io.StringIO())
    options = ExtractOptions(faces=5, decimate=0.5)
    with pytest.raises(ConfigError, match="both ask for a size"):
        run_stages(stages, "extract", Scene(tmp_path, "photogrammetry"), options, progress)


def test_levels_of_a_descent_are_refused_before_splats_are_trained(tmp_path: Path) -> None:
    stages, progress = [aerial.STAGES["descent"]], Progress(None, io.StringIO())
    options = AerialOptions(descent=True, descent_altitudes="0.5,1")
    with pytest.raises(ConfigError, match="from high to low"):
        run_stages(stages, "process", Scene(tmp_path, "aerial"), options, progress)
