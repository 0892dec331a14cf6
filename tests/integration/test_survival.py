"""Kill things on purpose: the same command again continues, and nothing finished is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import environment, maquette_here
from killing import VICTIMS, kill_in_stage, kill_when, newest_iteration, records, start
from maquette.scene import checkpoints
from prepared_scenes import STAGES, assert_same_result
from tiny_training import TINY
from turns import linked_copy
from waiting import wait_for


@pytest.mark.parametrize("victim", VICTIMS)
def test_prepare_killed_in_a_stage_continues(prepared: Path, tmp_path: Path, victim: str) -> None:
    """Finished stages are never done again; soak kills in each of them."""
    base, stage = linked_copy(prepared, tmp_path / "base"), "poses"
    scene = base / "scenes" / "thing"
    for name in STAGES[STAGES.index(stage) :]:
        (scene / "stages" / "common" / f"{name}.json").unlink()
    before = records(base)
    ended = kill_in_stage(base, "prepare", victim, stage)
    assert ended["status"]["state"] == "FAILED"
    assert before.items() <= records(base).items()
    done = maquette_here(base, "run", "prepare", "MODEL=thing")
    assert done.returncode == 0, done.stderr
    assert before.items() <= records(base).items() and set(records(base)) == set(STAGES)
    assert_same_result(base, prepared)


def test_training_that_was_killed_or_stopped_goes_on_from_its_last_checkpoint(posed: Path) -> None:
    """Soak kills the supervisor too, and at other saves."""
    words = ["ITERATIONS=100000", TINY]
    start(posed, "process", "SAVE_MINUTES=0.001", *words)
    ended = kill_when(lambda: newest_iteration(posed) >= 3, posed, "process", "step", "a save")
    assert ended["status"]["state"] == "FAILED"
    reached = newest_iteration(posed)
    log = start(posed, "process", "SAVE_MINUTES=60", *words)
    wait_for(lambda: '"name": "training"' in log.read_text(), what="training")
    assert "continu" in log.read_text() or "resum" in log.read_text()
    stopped = maquette_here(posed, "stop", "process", "MODEL=thing")
    assert stopped.stdout.strip() == "INTERRUPTED", stopped.stderr
    saved = newest_iteration(posed)
    assert saved >= reached
    words = ["run", "process", "MODEL=thing", f"ITERATIONS={saved + 5}", TINY]
    done = maquette_here(posed, *words)
    assert done.returncode == 0, done.stderr
    assert "continu" in done.stdout or "resum" in done.stdout, done.stdout
    assert newest_iteration(posed) == saved + 5


def test_two_submissions_at_once_give_one_job(posed: Path, toy: Path) -> None:
    (posed / "scenes" / "thing" / "held-0").touch()
    words = ["run", "process", "PIPELINE=toy", "MODEL=thing", "WAIT=0"]
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "maquette.cli.main", *words],
            cwd=posed, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    results = [process.communicate(timeout=270) for process in both]
    assert sorted(process.returncode for process in both) == [0, 2]
    assert sum("already runs" in stderr for _, stderr in results) == 1
    stopped = maquette_here(posed, "stop", "process", "PIPELINE=toy", "MODEL=thing")
    assert stopped.stdout.strip() == "INTERRUPTED", stopped.stderr
    history = posed / "logs" / "experiments" / "thing" / "toy" / "history"
    assert len([path for path in history.glob("*.json") if ".local" not in path.name]) == 1


def test_force_replaces_a_running_job(posed: Path, toy: Path) -> None:
    (posed / "scenes" / "thing" / "held-0").touch()
    words = ["process", "PIPELINE=toy", "MODEL=thing"]
    first = json.loads(maquette_here(posed, "run", *words, "WAIT=0", "--json").stdout)
    log = Path(first["maquette"]["request"]["log"])
    wait_for(lambda: '"name": "held"' in log.read_text(), what="the first job at work")
    assert maquette_here(posed, "run", *words, "UNTIL=pick", "FORCE=1").returncode == 0
    second = json.loads(maquette_here(posed, "job", *words).stdout)
    assert first["id"] != second["id"] and second["maquette"]["attempt"] == 2
    assert second["status"]["state"] == "DONE"
    history = posed / "logs" / "experiments" / "thing" / "toy" / "history"
    old = history / f"{first['id']}.json"
    assert json.loads(old.read_text())["status"]["state"] == "INTERRUPTED"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root: run as root")
def test_a_full_disk_ends_in_a_sentence_and_then_continues(tmp_path: Path, photos: Path) -> None:
    base = tmp_path / "small"
    base.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", base]).returncode:
        pytest.skip("this system does not let tests mount a tmpfs: run in a privileged container")
    try:
        done = maquette_here(base, "run", "prepare", "MODEL=thing", f"INPUT={photos}")
        assert done.returncode == 12, done.stdout + done.stderr
        assert "no space left" in done.stderr
        assert maquette_here(base, "status", "prepare", "MODEL=thing").stdout.strip() == "FAILED"
        finished = records(base)
        subprocess.run(["mount", "-o", "remount,size=200m", base], check=True)
        words = ["MODEL=thing", f"INPUT={photos}", "UNTIL=frames"]
        again = maquette_here(base, "run", "prepare", *words)
        assert again.returncode == 0, again.stderr
        assert finished.items() <= records(base).items()
        assert "frames" in set(records(base)) - set(finished)
    finally:
        subprocess.run(["umount", "-l", base], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a read-only folder needs root: run as root")
def test_a_read_only_scene_ends_in_a_sentence(prepared: Path, tmp_path: Path) -> None:
    base = linked_copy(prepared, tmp_path / "base")
    scene = base / "scenes" / "thing"
    if subprocess.run(["mount", "--bind", "-o", "ro", scene, scene]).returncode:
        pytest.skip("this system does not let tests mount: run in a privileged container")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", scene], check=True)
        done = maquette_here(base, "run", "process", "MODEL=thing", "ITERATIONS=2", TINY)
        assert done.returncode == 12, done.stdout + done.stderr
        assert "not allowed" in done.stderr and str(scene) in done.stderr
        status = maquette_here(base, "status", "prepare", "MODEL=thing")
        assert status.stdout.strip() == "DONE"
    finally:
        subprocess.run(["umount", "-l", scene], check=True)


def test_a_damaged_checkpoint_is_passed_over_and_said(trained: Path, tmp_path: Path) -> None:
    base = linked_copy(trained, tmp_path / "base")
    run = base / "scenes" / "thing" / "runs" / "neuralangelo" / "experiments"
    older = checkpoints.newest(run)
    assert older
    newer = checkpoints.checkpoint_name(1, 8)
    (run / newer).write_bytes(older.path.read_bytes()[:1000])
    checkpoints.write_pointer(run, newer)
    done = maquette_here(base, "run", "process", "MODEL=thing", "ITERATIONS=9", TINY)
    assert done.returncode == 0, done.stderr
    assert "damaged" in done.stdout and older.path.name in done.stdout
