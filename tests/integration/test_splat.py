"""Gaussian splats by their commands, on a scene that is ready for training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from command_line import maquette
from maquette.recon.splats.files.ply import read_ply
from maquette.recon.splats.run_files import newest
from maquette.recon.splats.trained import read_trained
from maquette.scene.paths import Scene

SMALL = ("CAP=400", "DEGREE=1")


def call(base: Path, *words: str, code: int = 0) -> str:
    done = maquette(base, *words, "PIPELINE=splat", "MODEL=thing")
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def test_splats_are_trained_continued_extracted_and_measured(posed: Path) -> None:
    scene = Scene(posed / "scenes" / "thing", "splat")
    assert "runs/splat/experiments" in call(posed, "run", "process", "ITERATIONS=20", *SMALL)
    call(posed, "run", "process", "ITERATIONS=40", *SMALL)
    path = newest(scene.run("experiments"))
    assert path is not None
    trained = read_trained(path)
    assert trained.iteration == 40 and len(trained.gaussians) == 400
    assert (scene.run("experiments") / "metrics.jsonl").is_file()

    said = call(posed, "run", "extract", "FORMATS=sog", "CROP=0", "MIN_OPACITY=0")
    assert "thing.sog" in said
    master = read_ply(scene.results / "thing.ply")
    assert 0 < len(master) <= 400 and master.degree == 1
    told = json.loads((scene.results / "manifest.json").read_text())
    assert told["provenance"]["iteration"] == 40 and told["formats"]["sog"] == "thing.sog"

    call(posed, "evaluate")
    measured = json.loads(scene.evaluation.read_text())
    assert measured["psnr_db"] > 8 and measured["details"]["iteration"] == 40


def test_what_can_not_be_trained_is_told_in_a_sentence(posed: Path) -> None:
    assert "do: CAP=" in call(posed, "run", "process", "CAP=2000000000", code=10)
    scene = Scene(posed / "scenes" / "thing", "splat")
    scene.masks.mkdir()
    for path in scene.images.iterdir():
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(scene.masks / f"{path.stem}.png")
    assert "all 14 masks are black" in call(posed, "run", "process", *SMALL, code=14)
    assert "is no size of a file" in call(posed, "run", "extract", "SIZE_LIMIT=many", code=10)


@pytest.mark.parametrize("missing", ["transforms.json", "runs/splat/"])
def test_a_step_names_the_verb_that_makes_what_it_needs(tmp_path: Path, missing: str) -> None:
    scene = tmp_path / "scenes" / "thing"
    (scene / "images").mkdir(parents=True)
    step, verb = ("process", "prepare") if missing == "transforms.json" else ("extract", "process")
    said = call(tmp_path, "run", step, code=13)
    assert f"needs `{missing}`" in said and f"make {verb}" in said
