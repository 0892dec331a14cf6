"""Each verb ends with the next command to type, for this scene."""

from __future__ import annotations

from pathlib import Path

import pytest

from maquette.agent.arguments import Arguments, same_again
from maquette.cli import next_command
from maquette.config.settings import Settings
from maquette.jobs.ledger import StepLedger
from maquette.pipelines.registry import get_pipeline, naming
from maquette.runners.ovh import responses
from maquette.ui import targets


def scene(folder: Path, *made: str) -> Path:
    for name in made:
        (folder / "scenes" / "shoe" / name).mkdir(parents=True)
    return folder


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return scene(tmp_path, "transforms.json", "runs/neuralangelo")


def after(step: str, is_measured: bool = False, **given: object) -> list[str]:
    return next_command.next_commands(Settings(model="shoe", **given), step, is_measured)


def test_after_each_step_comes_the_next_one(base: Path) -> None:
    assert after("prepare") == [
        "look at scenes/shoe/stages/region.png; `make adjust MODEL=shoe` changes the region",
        "next: `make process MODEL=shoe`",
    ]
    assert after("process") == ["next: `make extract MODEL=shoe`"]
    assert after("extract") == [
        "next: `make view MODEL=shoe` shows it",
        "      `make evaluate MODEL=shoe` measures it",
    ]
    assert after("extract", is_measured=True) == ["next: `make view MODEL=shoe` shows it"]


def test_after_tables_of_a_data_set_the_network_is_used(base: Path) -> None:
    scene(base, "dataset/index.json", "runs/mvsnet")
    assert after("process", pipeline="mvsnet") == [
        "next: `make extract PIPELINE=mvsnet MODEL=shoe`"
    ]
    assert after("extract", pipeline="mvsnet") == [
        "next: `make view PIPELINE=mvsnet MODEL=shoe` shows it",
        "      `make process PIPELINE=mvsnet MODEL=… CHECKPOINT=scenes/shoe/runs/mvsnet/"
        "experiments/best.pt` makes depth maps of photos with the network",
    ]


def test_what_is_not_the_default_is_in_it(base: Path) -> None:
    given = {"group": "fine", "backend": "docker"}
    assert after("process", **given) == [
        "next: `make extract MODEL=shoe GROUP=fine BACKEND=docker`"
    ]
    assert after("extract", **given)[0] == "next: `make view MODEL=shoe GROUP=fine` shows it"


def test_a_step_that_ended_early_is_the_next_one(tmp_path: Path) -> None:
    early = after("prepare", base_dir=tmp_path)
    assert early == [f"next: `make prepare MODEL=shoe BASE_DIR={tmp_path}` does the rest of it"]
    elsewhere = after("prepare", base_dir=tmp_path, pull=False)
    assert elsewhere[-1].startswith("next: `make process MODEL=shoe"), "its results lie in a bucket"
    assert len(elsewhere) == 1, "and so does the picture to look at"


def test_without_a_makefile_it_is_a_command(
    base: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(targets, "IS_CHECKOUT", False)
    next_command.print_next(Settings(model="shoe"), "prepare")
    said = capsys.readouterr().out
    assert "`maquette adjust MODEL=shoe`" in said and "`maquette run process MODEL=shoe`" in said


def test_every_pipelines_steps_follow_one_another() -> None:
    pipeline = get_pipeline(Settings().pipeline)
    assert [pipeline.verb_after(step) for step in pipeline.steps] == ["process", "extract", ""]


def test_a_hint_names_pipeline_and_group_where_they_are_not_the_default() -> None:
    assert naming("neuralangelo", "process", "shoe", "experiments") == "MODEL=shoe"
    assert naming("of_another", "process", "shoe", "fine") == (
        "PIPELINE=of_another MODEL=shoe GROUP=fine"
    )
    ledger = StepLedger(Path(), "fine", "shoe", "common", "prepare")
    assert ledger.names == "MODEL=shoe GROUP=fine"


def test_the_agent_names_the_whole_command_that_goes_on_with_a_job() -> None:
    def again(*command: str) -> str:
        return same_again(Arguments(command, Path("/scenes/shoe"), "process", "process-1"))

    assert again("maquette-step", "of_another", "process") == (
        "make process PIPELINE=of_another MODEL=shoe"
    )
    assert again("bash", "-c", "true") == "make process MODEL=shoe"


def test_results_that_ovhcloud_holds_are_asked_for_by_their_pipeline() -> None:
    labels = {"maquette-step": "process", "maquette-model": "shoe", "maquette-group": "fine"}
    job = {
        "spec": {"labels": labels | {"maquette-pipeline": "of_another"}},
        "status": {"state": "SYNC_FAILED", "startedAt": "2026-01-01T10:00:00Z"},
    }
    reason = responses.status_of(job, {}).reason
    assert reason is not None
    command = "make process-push PIPELINE=of_another MODEL=shoe GROUP=fine"
    assert f"`{command}` copies them again" in reason["hint"]
