"""Kill things on purpose: the same command again continues, and nothing finished is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import environment, maquette
from killing import document, kill_in_stage, kill_when, newest_iteration, records, start
from maquette.scene import checkpoints
from prepared_scenes import STAGES, assert_same_result
from tiny_training import TINY
from turns import linked_copy
from waiting import wait_for


@pytest.mark.parametrize(("victim", "stage"), [("supervisor", "matches"), ("step", "poses")])
def test_prepare_killed_in_a_stage_continues(
    prepared: Path, tmp_path: Path, victim: str, stage: str
) -> None:
    """Finished stages are never done again; soak kills in each of them."""
    base = linked_copy(prepared, tmp_path / "base")
    scene = base / "scenes" / "thing"
    for name in STAGES[STAGES.index(stage) :]:
        (scene / "stages" / "common" / f"{name}.json").unlink()
    before = records(base)
    ended = kill_in_stage(base, "prepare", victim, stage)
    assert ended["status"]["state"] == "FAILED"
    assert before.items() <= records(base).items()
    done = maquette(base, "run", "prepare", "MODEL=thing")
    assert done.returncode == 0, done.stderr
    assert before.items() <= records(base).items() and set(records(base)) == set(STAGES)
    assert_same_result(base, prepared)


def test_killed_training_goes_on_from_its_last_checkpoint(posed: Path) -> None:
    """Soak kills the supervisor too, and at other saves."""
    words = ["SAVE_MINUTES=0.001", TINY]
    log = start(posed, "process", "ITERATIONS=100000", *words)
    ended = kill_when(lambda: newest_iteration(posed) >= 3, posed, "process", "step", "a save")
    assert ended["status"]["state"] == "FAILED"
    reached = newest_iteration(posed)
    done = maquette(posed, "run", "process", "MODEL=thing", f"ITERATIONS={reached + 3}", *words)
    assert done.returncode == 0, done.stderr
    assert "continu" in done.stdout or "resum" in done.stdout, log.read_text() + done.stdout
    assert newest_iteration(posed) == reached + 3


def test_stop_saves_the_training_and_the_same_command_continues(posed: Path) -> None:
    base = posed
    log = start(base, "process", "ITERATIONS=100000", "SAVE_MINUTES=60", TINY)
    wait_for(lambda: '"name": "training"' in log.read_text(), what="training")
    stopped = maquette(base, "stop", "process", "MODEL=thing")
    assert stopped.stdout.strip() == "INTERRUPTED", stopped.stderr
    saved = newest_iteration(base)
    assert saved > 0
    done = maquette(base, "run", "process", "MODEL=thing", f"ITERATIONS={saved + 5}", TINY)
    assert done.returncode == 0, done.stderr
    assert newest_iteration(base) == saved + 5


def test_two_submissions_at_once_give_one_job(posed: Path) -> None:
    words = ["run", "process", "MODEL=thing", "ITERATIONS=100000", "WAIT=0", TINY]
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
    assert maquette(posed, "stop", "process", "MODEL=thing").stdout.strip() == "INTERRUPTED"
    history = posed / "logs" / "experiments" / "thing" / "neuralangelo" / "history"
    assert len([path for path in history.glob("*.json") if ".local" not in path.name]) == 1


def test_force_replaces_a_running_job(posed: Path) -> None:
    words = ["run", "process", "MODEL=thing", "WAIT=0", "--json", TINY]
    first = json.loads(maquette(posed, *words, "ITERATIONS=100000").stdout)
    again = [*words[:3], TINY, "ITERATIONS=2", "FORCE=1"]
    assert maquette(posed, *again).returncode == 0
    second = document(posed, "process")
    assert first["id"] != second["id"] and second["maquette"]["attempt"] == 2
    assert second["status"]["state"] == "DONE"
    old = (
        posed
        / "logs"
        / "experiments"
        / "thing"
        / "neuralangelo"
        / "history"
        / f"{first['id']}.json"
    )
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
        words = ["MODEL=thing", f"INPUT={photos}", "UNTIL=features"]
        again = maquette(base, "run", "prepare", *words)
        assert again.returncode == 0, again.stderr
        assert finished.items() <= records(base).items()
        assert "features" in set(records(base)) - set(finished)
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
        done = maquette(base, "run", "process", "MODEL=thing", "ITERATIONS=2", TINY)
        assert done.returncode == 12, done.stdout + done.stderr
        assert "not allowed" in done.stderr and str(scene) in done.stderr
        status = maquette(base, "status", "prepare", "MODEL=thing")
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
    done = maquette(base, "run", "process", "MODEL=thing", "ITERATIONS=9", TINY)
    assert done.returncode == 0, done.stderr
    assert "damaged" in done.stdout and older.path.name in done.stdout
