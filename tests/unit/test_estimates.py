"""What a scene will take on this machine, beside what it took."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from maquette.agent import machine
from maquette.cli.main import app
from maquette.config.settings import setting_names
from maquette.errors import JobFailed
from maquette.pipelines.pipeline import Images
from maquette.pipelines.registry import get_pipeline
from maquette.planning.estimating import Run, fit, memory_gib

GIB = 1 << 30


@pytest.fixture(autouse=True)
def this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two cores, 24 GiB and no GPU: as that of the table."""
    for name in setting_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    monkeypatch.setattr(machine, "find_gpus", list)
    monkeypatch.setattr(machine, "memory_bytes", lambda: 24 * GIB)


def said(*words: str) -> str:
    result = CliRunner().invoke(app, ["estimate", "MODEL=shoe", *words])
    assert result.exit_code == 0, result.output
    return result.output


def steps(*words: str) -> dict[str, dict]:
    return {step["step"]: step for step in json.loads(said(*words, "--json"))["steps"]}


def test_a_law_is_fitted_and_memory_grows_slower_than_work() -> None:
    runs = [Run("extract", work, 3 * work, 1.0) for work in (10.0, 1000.0)]
    factor, power, error = fit(runs)
    assert (factor, power, error) == pytest.approx((3.0, 1.0, 2.0))
    assert memory_gib(runs[:1], 1.0) == 1.0
    assert memory_gib(runs[:1], 100.0) == pytest.approx(10**0.7, abs=0.1)
    assert memory_gib([Run("x", 1.0, 1.0)], 1.0) is None


def test_this_machine_is_estimated_without_charge() -> None:
    text = said("FRAMES=80")
    assert "2 cores" in text and "no charge" in text and "about a factor of two" in text
    assert "last run" not in text
    few, many = steps("ITERATIONS=500")["process"], steps("ITERATIONS=2000")["process"]
    assert few["high_s"] < many["high_s"]
    assert many["low_s"] < 440 < many["high_s"], "what was measured lies in between"


def test_more_cores_or_a_gpu_widen_the_range_below(monkeypatch: pytest.MonkeyPatch) -> None:
    two = steps()["process"]
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)))
    sixteen = steps()["process"]
    assert sixteen["low_s"] == pytest.approx(two["low_s"] / 8)
    assert sixteen["high_s"] == two["high_s"]
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    assert steps()["process"]["high_s"] == pytest.approx(two["high_s"] * 2)
    found = machine.Gpu("NVIDIA L4", "580.1", "8.9", 23_000)
    monkeypatch.setattr(machine, "find_gpus", lambda: [found])
    assert "1 core, NVIDIA L4" in said() and "nothing was measured on NVIDIA L4" in said()
    assert "L4" not in said("GPU=0")

    def silent() -> list[machine.Gpu]:
        raise JobFailed("the NVIDIA driver does not answer")

    monkeypatch.setattr(machine, "find_gpus", silent)
    assert "1 core" in said()


def test_nothing_is_said_of_a_data_set_as_if_it_were_photos() -> None:
    assert [*steps("PIPELINE=mvsnet", "FRAMES=80")] == ["prepare", "process", "extract"]
    Path("data/Cameras").mkdir(parents=True)
    text = said("PIPELINE=mvsnet", "INPUT=data")
    assert "prepare, process, extract of a data set: nothing was measured" in text
    Path("scenes/shoe/dataset").mkdir(parents=True)
    Path("scenes/shoe/dataset/index.json").touch()
    assert not steps("PIPELINE=mvsnet") and len(steps("PIPELINE=photogrammetry")) == 3


def test_too_little_memory_is_told_with_what_needs_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory_bytes", lambda: 1 * GIB)
    assert "extract needs about 1.4 GiB, this machine has 1.0: BLOCK_RES=64 needs less" in said()


def test_what_the_scene_took_stands_beside_it() -> None:
    folder = Path("scenes/shoe")
    folder.mkdir(parents=True)
    stage = {"pipeline": "common", "step": "prepare", "wall_s": 20.0}
    others = {"pipeline": "of_another", "step": "prepare", "wall_s": 900.0}
    stages = [stage, stage | {"wall_s": 22.5, "peak_bytes": 2 * GIB}, others]
    (folder / "report.json").write_text(json.dumps({"stages": stages}))
    prepare = steps()["prepare"]
    assert (prepare["ran_s"], prepare["ran_gib"]) == (42.5, 2.0)
    assert steps()["process"]["ran_s"] is None
    assert "last run" in said() and "42 s, 2.0 GiB" in said()
    (folder / "report.json").write_text("{")
    assert steps()["prepare"]["ran_s"] is None


def test_machines_that_nobody_knows_are_no_guess() -> None:
    result = CliRunner().invoke(app, ["estimate", "MODEL=shoe", "BACKEND=docker"])
    assert "nothing is known of the machines of BACKEND=docker" in str(result.exception)


@pytest.mark.parametrize(
    ("words", "count", "megapixels", "work"),
    [
        ({}, 50, 1.92, 50 * 1.08),  # no more than 1200 pixels
        ({"preset": "preview"}, 50, 1.92, 25 * 0.27),
        ({"preset": "preview"}, 16, 1.92, 16 * 0.27),  # few photos all count
        ({"preset": "preview"}, 80, 0.1714, 40 * 0.0972),  # no map below 360 pixels
        ({"preset": "preview", "dense_size": 1600}, 50, 1.92, 25 * 1.92),
    ],
)
def test_dense_work_is_the_pixels_of_its_maps(
    words: dict[str, object], count: int, megapixels: float, work: float
) -> None:
    step = get_pipeline("photogrammetry").steps["process"]
    options = {"preset": "auto", "dense_size": 0} | words
    assert step.work(options, Images(count, megapixels)) == pytest.approx(work, rel=0.01)


def test_splats_are_estimated_by_their_iterations() -> None:
    few, many = (steps("PIPELINE=splat", f"ITERATIONS={n}")["process"] for n in (700, 3000))
    assert few["high_s"] < many["high_s"]
    assert many["low_s"] < 739 < many["high_s"], "what was measured lies in between"
    assert steps("PIPELINE=splat")["extract"]["memory_gib"] > 0.4


def test_a_smaller_cap_and_a_mesh_change_the_estimate_of_splats() -> None:
    usual, few = steps("PIPELINE=splat"), steps("PIPELINE=splat", "CAP=10000")
    assert few["process"]["high_s"] < 0.7 * usual["process"]["high_s"]
    meshed = steps("PIPELINE=splat", "WITH_MESH=1")
    assert meshed["extract"]["high_s"] > 1.5 * usual["extract"]["high_s"]


@pytest.mark.parametrize(
    ("words", "megapixels", "work"),
    [
        ({}, 0.171, 3000 * 0.1097),
        ({"cap": 10_000}, 0.171, 3000 * 0.0297),
        ({"preset": "preview"}, 0.171, 700 * (0.02 + 0.115 * 0.12)),
        ({"preset": "full", "iterations": 10}, 12.0, 10 * (3.0 + 0.115 * 12)),
    ],
)
def test_work_of_splats_is_steps_of_splats_and_pixels(
    words: dict[str, object], megapixels: float, work: float
) -> None:
    options = {"preset": "auto", "iterations": 0, "cap": 0} | words
    step = get_pipeline("splat").steps["process"]
    assert step.work(options, Images(80, megapixels)) == pytest.approx(work, rel=0.01)
