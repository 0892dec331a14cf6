"""The table of an evaluation: a number, or why there is none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from maquette.cli import scenes
from maquette.pipelines.pipeline import Pipeline
from maquette.pipelines.registry import all_pipelines
from maquette.recon.evaluate.__main__ import open_named
from maquette.recon.evaluate.findings import KEYS, Findings
from maquette.recon.evaluate.protocols import NotMeasured


def test_what_was_not_measured_is_explained_in_its_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found = Findings()
    found.note(camera_error_relative=0.25)
    with found.measuring("camera_error_relative", "f_score", "psnr_db"):
        raise NotMeasured("there is no truth")
    result = found.document()
    assert set(result["reasons"]) == {"f_score", "psnr_db"}
    found.lacks("nobody asked", *KEYS)
    monkeypatch.setattr(scenes, "run_evaluation", lambda settings: found.document())
    settings: Any = SimpleNamespace(scene_dir=tmp_path, pipeline="neural")
    scenes.print_evaluation(cast("Any", settings))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "camera error relative 0.25" in lines
    assert "f score there is no truth" in lines and "psnr db there is no truth" in lines
    assert "chamfer relative nobody asked" in lines


@pytest.mark.parametrize("pipeline", all_pipelines(), ids=lambda pipeline: pipeline.name)
def test_the_renderer_that_a_pipeline_names_can_be_opened(pipeline: Pipeline) -> None:
    opener = open_named(pipeline.renderer)
    assert (opener is None) is (pipeline.renderer == "")
    assert opener is None or callable(opener)
