"""Job definitions: rendered strictly, before anything is spent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jinja2 import Environment, meta

from maquette.config.settings import Settings
from maquette.errors import ConfigError
from maquette.jobs.inputs import Input
from maquette.pipelines.registry import all_pipelines
from maquette.pipelines.training import parse_overrides
from maquette.planning import building
from maquette.planning.definitions import definition_of
from maquette.planning.rendering import render_file


@pytest.mark.parametrize("step", ["prepare", "process", "extract"])
def test_every_step_builds_and_is_json(step: str) -> None:
    job = building.build_job(step, Settings(model="lego"), "job-1")
    assert json.loads(json.dumps(job.options)) == job.options
    assert job.spec["labels"]["maquette-job"] == "job-1"
    assert job.command[:3] == ("maquette-step", "neuralangelo", step)


def test_a_rented_machine_gets_the_image_for_its_gpu() -> None:
    """The default flavor is a V100, which CUDA 13 no longer knows."""
    image = building.build_job("process", Settings(backend="ovh")).spec["image"]
    assert image.endswith("-cuda12")


def test_settings_reach_the_options_with_their_type() -> None:
    settings = Settings(iterations=7, overrides="optim.params.lr=5e-4 --a.b=true", fresh=True)
    options = building.build_job("process", settings).options
    assert options["iterations"] == 7 and options["fresh"] is True
    assert options["overrides"] == {"optim.params.lr": 0.0005, "a.b": True}


def test_a_text_that_looks_like_a_number_stays_text() -> None:
    job = building.build_job("extract", Settings(checkpoint="0100"))
    assert job.options["checkpoint"] == "0100"


def test_an_upstream_engine_reads_what_its_job_definitions_name() -> None:
    """Declared beside the engine, so that settings are checked without reading the definitions."""
    for pipeline in all_pipelines():
        for engine in (one for one in pipeline.engines if not one.is_ours):
            paths = [definition_of(pipeline.name, step, engine) for step in pipeline.steps]
            named = set().union(*(_variables(path) for path in paths))
            assert named & set(pipeline.settings()) == engine.reads


def _variables(path: Path) -> set[str]:
    found = meta.find_undeclared_variables(Environment().parse(path.read_text(encoding="utf-8")))
    return {name.upper() for name in found}


@pytest.mark.parametrize("text", ["{{ modle }}", "x-{{ modle }}-y"])
def test_an_undefined_variable_names_file_and_key(tmp_path: Path, text: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(f'spec:\n  list: ["{text}"]\n')
    with pytest.raises(ConfigError) as caught:
        render_file(path, {"model": "lego"})
    assert "job.yaml: spec.list[0]" in caught.value.what and "modle" in caught.value.what


def test_overrides_must_be_assignments() -> None:
    with pytest.raises(ConfigError, match="not of the form"):
        parse_overrides("lonely")


def test_the_bundled_sample_is_its_own_input() -> None:
    assert building.resolve_input(Settings()).told.endswith("owl.mp4")
    assert building.resolve_input(Settings(model="other")).told == ""


def test_only_a_step_that_reads_the_input_carries_it() -> None:
    settings = Settings(input="s3://bucket/photos", model="other")
    prepare, process = (building.build_job(step, settings) for step in ("prepare", "process"))
    assert prepare.input.objects and prepare.options["input"] == prepare.input.told
    assert process.input == Input() and "input" not in process.options
