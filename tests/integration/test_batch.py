"""Many scenes in one command: one that fails stops no other, and the same command goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command_line import maquette_here
from turns import linked_copy


@pytest.fixture
def base(prepared: Path, tmp_path: Path, toy: Path) -> Path:
    """A prepared scene, `thing`."""
    return linked_copy(prepared, tmp_path / "base")


def run_list(base: Path, photos: Path, *words: str) -> tuple[int, list[dict[str, object]], str]:
    """Run a list of a scene that has no photos and of `thing`; exit code, what became, errors."""
    lines = ["defaults: {PIPELINE: toy}", "scenes:", "  - {MODEL: lost, INPUT: nowhere}"]
    lines += [f"  - {{MODEL: thing, INPUT: '{photos}', EVERY: 2}}"]
    (base / "scenes.yaml").write_text("\n".join(lines))
    done = maquette_here(base, "batch", "--json", "LIST=scenes.yaml", *words)
    return done.returncode, json.loads(done.stdout or "[]"), done.stderr


def test_all_scenes_but_the_one_without_photos(base: Path, photos: Path) -> None:
    code, runs, said = run_list(base, photos, "JOBS=2")
    assert code == 12 and "of 2 scenes 1 failed" in said
    assert [run["state"] for run in runs] == ["failed", "done"]
    assert "nowhere" in str(runs[0]["error"])
    assert (base / "scenes" / "thing" / "results" / "toy" / "thing.ply").exists()
    assert "next: `make view" in (base / "logs" / "batch" / "scenes" / "thing-toy.log").read_text()

    jobs = sorted((base / "logs").rglob("process-*.log"))
    assert run_list(base, photos)[1][1]["state"] == "done"
    assert sorted((base / "logs").rglob("process-*.log")) == jobs  # nothing was done again


def test_nothing_starts_once_this_machine_has_no_time_left(base: Path, photos: Path) -> None:
    code, runs, said = run_list(base, photos, "HOST_LIMIT_HOURS=0.01")
    assert code == 130 and "of 2 scenes 2 not done" in said
    assert {run["state"] for run in runs} == {"waiting"}
