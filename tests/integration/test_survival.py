"""Kill things on purpose: the same command again continues, and nothing finished is lost."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from command_line import environment, maquette
from maquette.recon.step import STAGES
from maquette.scene import checkpoints, stage_records
from maquette.scene.paths import Scene
from synthetic_scene import write_photos, write_posed_scene
from waiting import wait_for

TINY = "OVERRIDES=" + " ".join(
    (
        "model.object.sdf.encoding.levels=3",
        "model.object.sdf.encoding.hashgrid.dict_size=10",
        "model.object.sdf.mlp.hidden_dim=16",
        "model.render.rand_rays=64",
        "model.render.cache_resolution=16",
        "model.background.encoding.levels=2",
        "data.val.subset=1",
    )
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    write_photos(folder, 20, 320, 240)
    return folder


@pytest.fixture(scope="module")
def prepared(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base folder in which prepare of `thing` is done."""
    base = tmp_path_factory.mktemp("prepared")
    done = maquette(base, "run", "prepare", "MODEL=thing", f"INPUT={photos}")
    assert done.returncode == 0, done.stderr
    return base


@pytest.fixture
def posed(tmp_path: Path) -> Path:
    """A base folder with a scene that is ready for training."""
    write_posed_scene(tmp_path / "scenes" / "thing", count=14, width=96, height=72)
    return tmp_path


def document(base: Path, step: str) -> dict:
    done = maquette(base, "job", step, "MODEL=thing")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def wait_for_end(base: Path, step: str) -> dict:
    words = ("status", step, "MODEL=thing")
    active = ("QUEUED", "INITIALIZING", "RUNNING", "INTERRUPTING")
    wait_for(lambda: maquette(base, *words).stdout.strip() not in active, 120, "the job's end")
    return document(base, step)


def kill_when(base: Path, step: str, victim: str, stage: str, words: list[str]) -> dict:
    """Start a step and kill -9 the supervisor or the step as soon as it comes to `stage`."""
    started = maquette(base, "run", step, "MODEL=thing", "WAIT=0", "--json", *words)
    assert started.returncode == 0, started.stderr
    log = Path(json.loads(started.stdout)["maquette"]["request"]["log"])
    wait_for(lambda: f'"stage": "{stage}"' in log.read_text(errors="replace"), 120, stage)
    pid = int(document(base, step)["provider"][victim]["pid"])
    if psutil.pid_exists(pid):
        os.kill(pid, signal.SIGKILL)
    return wait_for_end(base, step)


def records(base: Path) -> dict[str, str]:
    """When each finished stage was started."""
    scene = Scene(base / "scenes" / "thing")
    found = [stage_records.read(scene, path.stem) for path in scene.stages.glob("*.json")]
    return {record.stage: record.started_at for record in found if record}


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["supervisor", "step"])
def test_prepare_killed_in_every_stage_continues(
    tmp_path: Path, photos: Path, prepared: Path, victim: str
) -> None:
    """Each round lets one more stage finish; finished stages are never done again."""
    before: dict[str, str] = {}
    for stage in STAGES["neuralangelo"]["prepare"][1:]:
        ended = kill_when(tmp_path, "prepare", victim, stage, [f"INPUT={photos}"])
        assert ended["status"]["state"] in ("FAILED", "DONE")
        now = records(tmp_path)
        assert before.items() <= now.items()
        before = now
    done = maquette(tmp_path, "run", "prepare", "MODEL=thing", f"INPUT={photos}")
    assert done.returncode == 0, done.stderr
    assert before.items() <= records(tmp_path).items()
    ours = json.loads((tmp_path / "scenes/thing/transforms.json").read_text())
    undisturbed = json.loads((prepared / "scenes/thing/transforms.json").read_text())
    assert [frame["file_path"] for frame in ours["frames"]] == [
        frame["file_path"] for frame in undisturbed["frames"]
    ]
    assert ours["sphere_radius"] == pytest.approx(undisturbed["sphere_radius"], rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["supervisor", "step"])
def test_training_killed_at_random_goes_on_from_its_last_checkpoint(
    posed: Path, victim: str
) -> None:
    words = ["ITERATIONS=400", "SAVE_MINUTES=0.01", TINY]
    run = posed / "scenes" / "thing" / "runs" / "experiments"
    choose, reached = random.Random(victim), 0
    for _ in range(3):
        wanted = reached + choose.randrange(20, 60)
        started = maquette(posed, "run", "process", "MODEL=thing", "WAIT=0", "--json", *words)
        assert started.returncode == 0, started.stderr
        log = Path(json.loads(started.stdout)["maquette"]["request"]["log"])
        wait_for(lambda w=wanted: newest_iteration(run) >= w, 120, f"iteration {wanted}")
        pid = int(document(posed, "process")["provider"][victim]["pid"])
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGKILL)
        wait_for_end(posed, "process")
        if reached:
            assert "continu" in log.read_text() or "resum" in log.read_text()
        assert newest_iteration(run) >= reached
        reached = newest_iteration(run)
    done = maquette(posed, "run", "process", "MODEL=thing", *words)
    assert done.returncode == 0, done.stderr
    assert newest_iteration(run) == 400


def newest_iteration(run: Path) -> int:
    found = checkpoints.newest(run)
    return (checkpoints.iteration_of(found.path.name) or 0) if found else 0


def test_stop_saves_the_training_and_the_same_command_continues(
    prepared: Path, tmp_path: Path
) -> None:
    posed = tmp_path / "base"
    shutil.copytree(prepared, posed)
    run = posed / "scenes" / "thing" / "runs" / "experiments"
    words = ["MODEL=thing", "ITERATIONS=100000", "SAVE_MINUTES=60", TINY]
    started = maquette(posed, "run", "process", "WAIT=0", "--json", *words)
    log = Path(json.loads(started.stdout)["maquette"]["request"]["log"])
    wait_for(lambda: '"name": "training"' in log.read_text(), 60, "training")
    stopped = maquette(posed, "stop", "process", "MODEL=thing")
    assert stopped.stdout.strip() == "INTERRUPTED", stopped.stderr
    saved = newest_iteration(run)
    assert saved > 0
    done = maquette(posed, "run", "process", *words[:1], f"ITERATIONS={saved + 5}", TINY)
    assert done.returncode == 0, done.stderr
    assert newest_iteration(run) == saved + 5


def test_two_submissions_at_once_give_one_job(posed: Path) -> None:
    words = ["run", "process", "MODEL=thing", "ITERATIONS=100000", "WAIT=0", TINY]
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "maquette.cli.main", *words],
            cwd=posed, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    results = [process.communicate(timeout=60) for process in both]
    assert sorted(process.returncode for process in both) == [0, 2]
    assert sum("already runs" in stderr for _, stderr in results) == 1
    assert maquette(posed, "stop", "process", "MODEL=thing").stdout.strip() == "INTERRUPTED"
    history = posed / "logs" / "experiments" / "thing" / "history"
    assert len([path for path in history.glob("*.json") if ".local" not in path.name]) == 1


def test_force_replaces_a_running_job(posed: Path) -> None:
    words = ["run", "process", "MODEL=thing", "WAIT=0", "--json", TINY]
    first = json.loads(maquette(posed, *words, "ITERATIONS=100000").stdout)
    second = json.loads(maquette(posed, *words, "ITERATIONS=2", "FORCE=1").stdout)
    assert first["id"] != second["id"] and second["maquette"]["attempt"] == 2
    wait_for_end(posed, "process")
    old = posed / "logs" / "experiments" / "thing" / "history" / f"{first['id']}.json"
    assert json.loads(old.read_text())["status"]["state"] == "INTERRUPTED"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root: run as root")
def test_a_full_disk_ends_in_a_sentence_and_then_continues(tmp_path: Path, photos: Path) -> None:
    base = tmp_path / "small"
    base.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", base]).returncode:
        pytest.skip("this system does not let tests mount a tmpfs: run in a privileged container")
    try:
        done = maquette(base, "run", "prepare", "MODEL=thing", f"INPUT={photos}")
        assert done.returncode == 12, done.stdout + done.stderr
        assert "no space left" in done.stderr
        assert maquette(base, "status", "prepare", "MODEL=thing").stdout.strip() == "FAILED"
        finished = records(base)
        subprocess.run(["mount", "-o", "remount,size=200m", base], check=True)
        again = maquette(base, "run", "prepare", "MODEL=thing", f"INPUT={photos}")
        assert again.returncode == 0, again.stderr
        assert finished.items() <= records(base).items()
    finally:
        subprocess.run(["umount", "-l", base], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a read-only folder needs root")
def test_a_read_only_scene_ends_in_a_sentence(prepared: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(prepared, base)
    scene = base / "scenes" / "thing"
    if subprocess.run(["mount", "--bind", "-o", "ro", scene, scene]).returncode:
        pytest.skip("this system does not let tests mount: run in a privileged container")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", scene], check=True)
        done = maquette(base, "run", "process", "MODEL=thing", "ITERATIONS=2", TINY)
        assert done.returncode == 12, done.stdout + done.stderr
        assert "not allowed" in done.stderr and str(scene) in done.stderr
        status = maquette(base, "status", "prepare", "MODEL=thing")
        assert status.stdout.strip() == "DONE"
    finally:
        subprocess.run(["umount", "-l", scene], check=True)


def test_a_damaged_checkpoint_is_passed_over_and_said(posed: Path) -> None:
    run = posed / "scenes" / "thing" / "runs" / "experiments"
    assert maquette(posed, "run", "process", "MODEL=thing", "ITERATIONS=5", TINY).returncode == 0
    older = checkpoints.newest(run)
    assert maquette(posed, "run", "process", "MODEL=thing", "ITERATIONS=8", TINY).returncode == 0
    newer = checkpoints.newest(run)
    assert older and newer and older.path != newer.path
    newer.path.write_bytes(newer.path.read_bytes()[:1000])
    done = maquette(posed, "run", "process", "MODEL=thing", "ITERATIONS=9", TINY)
    assert done.returncode == 0, done.stderr
    assert "damaged" in done.stdout and older.path.name in done.stdout
