"""What a scene was made with is remembered, and a command that would spoil work says so."""

from __future__ import annotations

import fcntl
import hashlib
import io
import shutil
import threading
from dataclasses import asdict
from pathlib import Path

import pytest
import typer

from maquette.cli import remembering
from maquette.cli.scenes import settings_table
from maquette.config import remembered
from maquette.config.loading import MAKE_OVERRIDES, load
from maquette.config.settings import Settings, setting_names
from maquette.errors import ConfigError, UsageError
from maquette.planning.building import build_job, step_options
from maquette.scene import input_source, stage_records, stale_work
from maquette.scene.checkpoints import checkpoint_name
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord

RUN = "runs/neuralangelo/experiments"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*setting_names(), MAKE_OVERRIDES]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def ran(step: str, *words: str) -> Settings:
    """What a command does with its settings when a step is submitted."""
    settings = remembered.filled(load(["MODEL=shoe", *words]), step)
    remembered.remember(settings, step)
    return settings


def test_a_job_that_runs_does_not_fail_by_its_memory(capsys: pytest.CaptureFixture[str]) -> None:
    settings = load(["MODEL=shoe", "FRAMES=9"])
    file().mkdir(parents=True)  # where no file can be written
    remembering.keep(build_job("prepare", settings), settings)
    assert "does not remember" in capsys.readouterr().err


def told(step: str, *words: str) -> dict[str, object]:
    settings = remembered.filled(load(["MODEL=shoe", *words]), step)
    return asdict(step_options(step, settings))


def file() -> Path:
    return Path("scenes/shoe/settings.yaml")


def test_the_next_command_does_as_the_last_unless_told_otherwise() -> None:
    ran("prepare", "SCENE_TYPE=outdoor", "FRAMES=80")
    assert told("prepare")["scene_type"] == "outdoor"
    assert load(["MODEL=shoe"]).options["scene_type"] == "outdoor", "other commands know it too"
    assert load(["MODEL=boot"]).options["scene_type"] == "object", "it is this scene's"
    ran("prepare", "FRAMES=90")
    assert told("prepare", "SCENE_TYPE=indoor")["scene_type"] == "indoor"
    made = told("prepare")
    assert (made["scene_type"], made["frames"]) == ("outdoor", 90)


def test_of_two_commands_at_once_none_loses_what_it_was_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran("prepare", "SCENE_TYPE=outdoor")
    waits, take = threading.Event(), fcntl.flock

    def told_and_taken(*words: object) -> None:
        waits.set()
        take(*words)

    monkeypatch.setattr(remembered.fcntl, "flock", told_and_taken)
    other = threading.Thread(target=ran, args=("prepare", "FRAMES=80"))
    with open("scenes/shoe/.maquette/settings.lock", "w") as held:
        take(held, fcntl.LOCK_EX)
        other.start()
        assert waits.wait(270)
        file().write_text("prepare:\n  matcher: sequential\n")
    other.join()
    known = told("prepare")
    assert (known["frames"], known["matcher"]) == (80, "sequential")


def test_nothing_given_leaves_no_file_and_options_of_one_run_are_not_kept() -> None:
    ran("prepare")
    ran("process", "FRESH=1", "CHECKPOINT=5", "FORCE_STAGE=train", "FROM=train", "UNTIL=train")
    assert not file().exists()
    ran("process", "FRESH=1", "ITERATIONS=7", "BACKEND=docker", "MAX_COST=5", "GPU=2")
    assert file().read_text().splitlines()[3:] == [
        "neuralangelo/experiments/process:", "  iterations: 7",
    ]  # fmt: skip


def test_each_step_and_group_has_a_memory_of_its_own() -> None:
    ran("process", "SEED=4", "ITERATIONS=7", "RESOLUTION=64")
    assert told("prepare")["seed"] == 0, "prepare was not told it"
    assert told("process")["seed"] == 4
    assert told("extract")["resolution"] == 512, "extract never ran"
    assert told("process", "GROUP=other")["iterations"] == 2000
    ran("prepare", "SEED=1")
    assert (told("prepare", "GROUP=other")["seed"], told("process")["seed"]) == (1, 4)


def test_an_empty_value_means_the_default_again() -> None:
    ran("process", "OVERRIDES=data.val.subset=2")
    assert told("process")["overrides"] == {"data.val.subset": 2}
    ran("process", "OVERRIDES=")
    assert told("process")["overrides"] == {}


def test_maquette_yaml_and_the_environment_win_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    ran("prepare", "SCENE_TYPE=outdoor", "FRAMES=80")
    Path("maquette.yaml").write_text("scene_type: indoor\n")
    settings = load(["MODEL=shoe"])
    assert settings.options["scene_type"] == "indoor"
    assert remembered.remarks(settings, "prepare") == [
        f"as the last time: FRAMES=80 ({file()})",
        f"SCENE_TYPE=indoor (maquette.yaml) replaces outdoor ({file()})",
    ]
    monkeypatch.setenv("SCENE_TYPE", "object")
    assert load(["MODEL=shoe"]).sources["SCENE_TYPE"] == "environment"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prepare: [1,\n", "not YAML"),
        ("- a\n", "must hold one section"),
        ("prepare: many\n", "prepare: must hold"),
        ("prepar:\n  frames: 3\n", "unknown section `prepar`"),
        ("prepare:\n  farmes: 3\n", "unknown setting `farmes`, nearest: `frames`"),
        ("prepare:\n  frames: many\n", "prepare: frames=many"),
        ("neuralangelo/experiments/process:\n  fresh: 1\n", "unknown setting `fresh`"),
    ],
)
def test_a_damaged_file_is_told_and_stays(text: str, told: str) -> None:
    file().parent.mkdir(parents=True)
    file().write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(["MODEL=shoe"])
    assert str(file()) in caught.value.what and told in caught.value.detail
    assert file().read_text() == text


def test_what_another_pipeline_remembers_is_kept() -> None:
    file().parent.mkdir(parents=True)
    file().write_text("other/experiments/process:\n  every: 3\nprepare:\n  FRAMES: 5\n")
    ran("prepare", "MATCHER=sequential")
    assert told("prepare")["frames"] == 5
    assert "other/experiments/process:\n  every: 3\n" in file().read_text()


def test_the_table_shows_values_and_where_they_come_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ran("prepare", "SCENE_TYPE=outdoor")
    settings_table(["MODEL=shoe", "FRAMES=9"])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    by_name = {row[0]: row for row in rows if row}
    assert by_name["SCENE_TYPE"][1:4] == ["object", "outdoor", "scene"]
    assert by_name["FRAMES"][1:5] == ["0", "9", "command", "line"]
    settings_table(["MODEL=shoe", "BACKEND=docker", "NOTIFY_URL=https://secret"], as_json=True)
    assert "secret" not in capsys.readouterr().out


def record(step: str, stage: str, parameters: dict, *inputs: str, outputs: tuple = ()) -> None:
    scene = Scene(Path("scenes/shoe").resolve(), "neuralangelo")
    made = StageRecord(
        stage,
        step,
        "key",
        parameters,
        dict.fromkeys(inputs, ""),
        dict.fromkeys(outputs, -1),
        "",
        1.0,
    )
    stage_records.write(scene, "common" if step == "prepare" else scene.pipeline, made)


@pytest.fixture
def finished() -> Scene:
    """A scene whose training is done."""
    record("prepare", "poses", {"min_registered": 0.6})
    record("prepare", "undistort", {}, "stage:poses")
    record("prepare", "region", {"scene_type": "outdoor"}, "stage:undistort")
    record(
        "prepare", "dataset", {"scene_type": "outdoor"}, "stage:region", outputs=("config.yaml",)
    )
    record("process", "train", {"group": "experiments"}, "fact:sphere", "config.yaml")
    record("extract", "mesh", {}, "stage:train")
    scene = Scene(Path("scenes/shoe").resolve(), "neuralangelo")
    (scene.root / RUN).mkdir(parents=True)
    (scene.root / RUN / checkpoint_name(1, 5)).touch()
    return scene


def announced(*words: str) -> None:
    settings = load(["MODEL=shoe", *words])
    remembering.announce(build_job("prepare", settings), settings, as_json=False)


def test_another_region_would_orphan_the_training(finished: Scene) -> None:
    found = stale_work.find(finished, "prepare", told("prepare"))
    assert found == stale_work.StaleWork(
        {"SCENE_TYPE": ("outdoor", "object")},
        ("region", "dataset"),
        ("neuralangelo: train", "neuralangelo: mesh"),
        (RUN,),
    )
    assert stale_work.find(finished, "prepare", told("prepare", "SCENE_TYPE=outdoor")) is None
    assert stale_work.find(finished, "process", told("process", "ITERATIONS=9")) is None
    early = told("prepare", "UNTIL=poses")
    assert stale_work.find(finished, "prepare", early) is None, "it does not come to the region"


def test_what_a_changed_stage_feeds_is_made_again(finished: Scene) -> None:
    options = told("prepare", "SCENE_TYPE=outdoor", "MIN_REGISTERED=0.5")
    found = stale_work.find(finished, "prepare", options)
    assert found and found.again == ("poses", "undistort", "region", "dataset")


def test_a_forced_stage_spoils_what_was_made_from_it(finished: Scene) -> None:
    same = ("SCENE_TYPE=outdoor",)
    found = stale_work.find(finished, "prepare", told("prepare", *same, "FORCE_STAGE=undistort"))
    assert found and found.changes == {"FORCE_STAGE": ("", "undistort")}
    assert found.again == ("undistort", "region", "dataset") and found.runs == (RUN,)
    found = stale_work.find(finished, "prepare", told("prepare", *same, "FORCE_STAGE=all"))
    assert found and found.again == ("poses", "undistort", "region", "dataset")


def photos(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number}.jpg").write_bytes(bytes([number]))
    return folder


def taken_in(scene: Scene, source: Path) -> None:
    """What the first stage leaves of a folder of photos."""
    shutil.copytree(source, scene.input)
    files = {f"input/{path.name}": path for path in source.iterdir()}
    made = StageRecord(
        "input",
        "prepare",
        "key",
        {},
        {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()},
        {name: path.stat().st_size for name, path in files.items()},
        "",
        1.0,
    )
    stage_records.write(scene, "common", made)
    record("prepare", "poses", {}, "stage:input")


def zip_of(folder: Path) -> str:
    return shutil.make_archive(str(folder), "zip", folder)


def test_another_input_spoils_what_was_made_from_the_one_before(finished: Scene) -> None:
    taken_in(finished, photos(Path("here"), 3))

    def found(where: object) -> stale_work.StaleWork | None:
        options = told("prepare", "SCENE_TYPE=outdoor", f"INPUT={where}")
        return stale_work.find(finished, "prepare", options)

    again = photos(Path("elsewhere"), 3)  # the same photos, with another place and other times
    for same in ("", "here", again, zip_of(again), finished.input, "not/there"):
        assert found(same) is None, same
    for other in (photos(Path("more"), 4), zip_of(Path("more")), "https://example.org/a.zip"):
        spoilt = found(other)
        assert spoilt and spoilt.again[:2] == ("input", "poses"), other
        assert spoilt.changes["INPUT"][0] == "scenes/shoe/input"
    input_source.note(finished, input_source.fingerprint("https://example.org/a.zip"))
    assert found("https://example.org/a.zip") is None


def test_a_forced_stage_is_named_as_it_was_given(
    finished: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(UsageError) as caught:
        announced("SCENE_TYPE=outdoor", "FORCE_STAGE=poses")
    assert "FORCE_STAGE=poses: made again: poses, undistort" in caught.value.detail
    assert caught.value.hint.startswith("FORCE_STAGE= keeps it as it is")


def test_it_is_refused_where_nobody_can_be_asked(
    finished: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(UsageError, match="nothing was started") as caught:
        announced()
    assert "SCENE_TYPE was outdoor, now object: made again: region" in caught.value.detail
    assert RUN in caught.value.detail and "YES=1" in caught.value.hint
    announced("YES=1")
    assert RUN in capsys.readouterr().err
    announced("SCENE_TYPE=outdoor")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("agreed", [True, False])
def test_a_person_at_a_terminal_is_asked(
    finished: Scene, monkeypatch: pytest.MonkeyPatch, agreed: bool
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(typer, "confirm", lambda *words, **options: agreed)
    if agreed:
        announced()
        return
    with pytest.raises(UsageError, match="nothing was started"):
        announced()


def test_without_training_it_is_only_said(
    finished: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    (finished.root / RUN / checkpoint_name(1, 5)).unlink()
    announced()
    assert "may be stale: neuralangelo: train, neuralangelo: mesh" in capsys.readouterr().err
