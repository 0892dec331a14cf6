"""A pipeline that lives in `tests/toy/` alone does all that ours does, on every backend."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import trimesh

from command_line import maquette_here
from container_person import Person
from maquette.containers.daemon import connected, find_daemon
from maquette.scene import outputs
from maquette.scene.paths import Scene
from maquette.stages.commands import LAUNCHER
from ovh_chain import assert_nothing_twice, run_through_kills, service_at
from synthetic_scene import write_posed_scene
from turns import linked_copy

FACES = 80  # of a ball


@pytest.fixture(autouse=True)
def _installed(toy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As after `pip install` of a package that brings the pipeline."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Where `thing` has its cameras, and small pictures of them."""
    scene = tmp_path / "base" / "scenes" / "thing"
    write_posed_scene(scene, count=24, width=16, height=12)
    return tmp_path / "base"


def call(base: Path, *words: str, code: int = 0) -> str:
    done = maquette_here(base, *words, "PIPELINE=toy", "MODEL=thing")
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def run_stages(base: Path) -> list[str]:
    """Stages that worked so far, of all steps."""
    events = base / "scenes" / "thing" / "stages" / "events.jsonl"
    found = [json.loads(line) for line in events.read_text().splitlines()]
    return [event["stage"] for event in found if event["event"] == "finished"]


def balls(scene: Path) -> int:
    return len(trimesh.load(scene / "results" / "toy" / "thing.ply").faces) // FACES


def test_all_verbs_beside_another_pipeline(prepared: Path, photos: Path, tmp_path: Path) -> None:
    """What prepare did for the other counts; nothing of the other is touched."""
    base = linked_copy(prepared, tmp_path / "base")
    scene = base / "scenes" / "thing"
    other = scene / "results" / "neuralangelo" / "thing.ply"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"of the other")
    before = run_stages(base)
    said = call(base, "all", f"INPUT={photos}", "EVERY=2")
    assert "prepare of thing: done" in said and "results/toy/thing.ply" in said
    assert run_stages(base)[len(before) :] == ["pick", "weigh", "balls"]
    assert balls(scene) == 12 and other.read_bytes() == b"of the other"
    [result] = outputs.read(Scene(scene, "toy"))
    assert (result.path, result.kind, result.stage) == ("results/toy/thing.ply", "mesh", "balls")
    report = json.loads((scene / "report.json").read_text())
    assert report["results"]["toy"] == {"thing.ply": "results/toy/thing.ply"}
    assert report["licences"]["toy"].keys() == {"process", "extract"}
    page = scene / "report.html"
    told = page.read_text()
    assert "A ball where each camera was." in told and "results/toy/thing.ply" in told
    page.unlink()
    assert call(base, "report").strip().endswith("scenes/thing/report.html")
    assert page.read_text() == told

    assert call(base, "status", "process").strip() == "DONE"
    assert "2 cameras" not in call(base, "logs", "extract")
    assert "was never started" in maquette_here(base, "status", "process", "MODEL=thing").stderr
    assert [row["maquette"]["pipeline"] for row in json.loads(call(base, "jobs", "--json"))]
    call(base, "all", f"INPUT={photos}", "EVERY=2")
    assert run_stages(base)[len(before) :] == ["pick", "weigh", "balls"]  # not once more


def test_a_step_that_was_cut_short_goes_on_and_one_option_runs_its_readers(base: Path) -> None:
    said = call(base, "run", "extract", code=13)
    assert "needs `runs/toy/`" in said and "make process PIPELINE=toy MODEL=thing" in said
    call(base, "run", "process", "UNTIL=pick")
    call(base, "run", "process")
    call(base, "run", "extract")
    call(base, "run", "extract", "BALL_SIZE=0.2")
    call(base, "run", "process", "BALL_SIZE=0.2")
    call(base, "run", "process", "FORCE_STAGE=pick")
    call(base, "run", "extract", "BALL_SIZE=0.2")
    assert run_stages(base) == [
        "pick", "weigh", "balls", "balls", "pick", "weigh", "balls",
    ]  # fmt: skip


def test_shards_are_done_once_each_by_as_many_workers_as_are_asked_for(base: Path) -> None:
    scene = base / "scenes" / "thing"
    (scene / "cursed-8").touch()
    for workers in (3, 1):  # a process of its own says the same
        said = call(base, "run", "process", f"WORKERS={workers}", code=14)
        assert "the balls from 8 on are cursed" in said and "at stage weigh" in said
        assert "1 of 6 shards failed, the others are done" in said
    (scene / "cursed-8").unlink()
    records = scene / "stages" / "toy" / "weigh"
    parts = scene / "runs" / "toy" / "experiments" / "weighed"

    def written() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in records.glob("*-of-*.json")}

    done = written()
    assert done.keys() == {f"{number}-of-6.json" for number in (1, 2, 4, 5, 6)}
    call(base, "run", "process", "WORKERS=2")
    after = written()
    assert done.items() <= after.items() and len(after) == len(list(parts.iterdir())) == 6
    (parts / "0004.json").unlink()
    call(base, "run", "process", "FORCE_STAGE=pick")
    again = written()
    assert all(again[name] > after[name] for name in again)  # another key: all of them
    call(base, "run", "process", "FORCE_STAGE=weigh")
    forced = written()
    assert all(forced[name] > again[name] for name in forced)
    weighed = json.loads((parts.parent / "weighed.json").read_text())
    assert len(weighed) == 24


def test_shards_run_as_commands_where_the_environment_names_who_starts_them(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, tests = base / "scenes" / "thing", Path(__file__).resolve().parents[1]
    (scene / "cursed-4").touch()
    monkeypatch.setenv("PYTHONPATH", f"{os.environ['PYTHONPATH']}:{tests}")
    monkeypatch.setenv(LAUNCHER, "launching")
    said = call(base, "run", "process", "EVERY=3", code=14)
    assert "the balls from 4 on are cursed" in said and "1 of 2 shards failed" in said
    (scene / "cursed-4").unlink()
    records = scene / "stages" / "toy" / "weigh"
    assert {path.name for path in records.iterdir()} == {
        "1-of-2.json", "2-of-2.log", "shards.json",
    }  # fmt: skip
    call(base, "run", "process", "EVERY=3")
    assert {path.suffix for path in records.iterdir()} == {".json"}
    monkeypatch.setenv(LAUNCHER, "nobody")
    said = call(base, "run", "process", "EVERY=3", code=10)
    assert f"{LAUNCHER}=nobody is no module" in said


def test_its_options_are_settings(base: Path) -> None:
    rows = json.loads(call(base, "settings", "--json"))
    assert {
        row["name"]: row["meaning"] for row in rows if row["name"] in ("EVERY", "BALL_SIZE")
    } == {
        "EVERY": "take every N-th camera",
        "BALL_SIZE": "radius of a ball, of the region's",
    }
    assert json.loads(call(base, "plan", "process", "EVERY=3"))["options"]["every"] == 3
    assert "greater than or equal to 1" in call(base, "run", "process", "EVERY=0", code=10)
    assert "nearest: `EVERY`" in call(base, "run", "process", "EVRY=2", code=10)
    done = maquette_here(base, "run", "process", "MODEL=thing", "EVERY=2")
    assert done.returncode == 10 and "pipelines that know it: toy" in done.stderr
    done = maquette_here(base, "run", "process", "MODEL=thing", "PIPELINE=toi")
    assert done.returncode == 10 and "there is no pipeline `toi`, nearest: `toy`" in done.stderr


def test_its_results_move_are_listed_and_measured(base: Path, tmp_path: Path) -> None:
    from maquette.viewer.gallery import scene_state

    call(base, "run", "process")
    call(base, "run", "extract")
    scene = base / "scenes" / "thing"
    state = scene_state.state(Scene(scene))
    assert [file["name"] for file in state["pipelines"][0]["files"]] == ["thing.ply"]
    assert [run["group"] for run in state["runs"]] == ["experiments"]
    call(base, "data", "push")
    kept = (scene / "results" / "toy" / "thing.ply").read_bytes()
    shutil.rmtree(scene)
    call(base, "data", "pull", "ONLY=results")
    assert (scene / "results" / "toy" / "thing.ply").read_bytes() == kept
    call(base, "data", "pull")
    assert "this pipeline renders no views" in call(base, "evaluate")
    told = (scene / "report.html").read_text()
    assert "Quality" in told and "this pipeline renders no views" in told


@pytest.mark.timeout(300)
def test_at_the_emulator(tmp_path: Path, prepared: Path, photos: Path) -> None:
    """Its prepare finds all done; tests/e2e/test_ovh_all.py does that work at the emulator."""
    linked_copy(prepared / "scenes", tmp_path / "scenes")
    with service_at(tmp_path, "process", second_s=0.05) as service:
        words = ["all", "BACKEND=ovh", "PIPELINE=toy", "MODEL=thing", f"INPUT={photos}", "GPU=0"]
        words += ["IMAGE=any", "CARRY=mount", "BUCKET_NAME=toy", "EVERY=3"]
        assert run_through_kills(words, service, ()) == []
        assert_nothing_twice(service)
        labels = [job["spec"]["labels"]["maquette-pipeline"] for job in service.jobs()]
        assert set(labels) == {"toy"}
    assert balls(tmp_path / "scenes" / "thing") == 8


@pytest.mark.docker
@pytest.mark.timeout(600)
def test_in_containers(user: Person, prepared: Path, toy: Path) -> None:
    """In an image that is ours with the toy's package in it, as its Dockerfile says."""
    with connected(find_daemon()) as client:
        image, _ = client.images.build(
            path=str(toy), buildargs={"BASE": user.image}, tag=f"toy-{user.volume}", rm=True
        )
        try:
            someone = replace(user, image=str(image.id))
            linked_copy(prepared / "scenes", user.base / "scenes")
            for step in ("process", "extract"):
                done = someone.run("run", step, "PIPELINE=toy", "EVERY=4")
                assert done.returncode == 0, done.stdout + done.stderr
            assert balls(user.scene) == 6
        finally:
            client.images.remove(f"toy-{user.volume}", force=True)
