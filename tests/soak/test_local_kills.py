"""Jobs of this machine, killed in every stage and at events of all kinds; seeds are swept."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from command_line import maquette
from killing import VICTIMS, kill_in_stage, kill_when, newest_iteration, records, start
from maquette.scene import stage_records
from maquette.scene.paths import Scene
from prepared_scenes import STAGES, assert_same_result
from tiny_training import TINY

pytestmark = [pytest.mark.timeout(900), pytest.mark.parametrize("victim", VICTIMS)]


def test_prepare_killed_in_every_stage_continues(
    tmp_path: Path, photos: Path, prepared: Path, victim: str
) -> None:
    """Each round lets one more stage finish; finished stages are never done again."""
    before: dict[str, str] = {}
    for stage in STAGES[1:]:
        ended = kill_in_stage(tmp_path, "prepare", victim, stage, f"INPUT={photos}")
        assert ended["status"]["state"] in ("FAILED", "DONE")
        now = records(tmp_path)
        assert before.items() <= now.items()
        before = now
    finish_prepare(tmp_path, photos, prepared, before)


@pytest.mark.seeds(3)
def test_prepare_killed_at_any_event_loses_nothing(
    tmp_path: Path, photos: Path, prepared: Path, victim: str, seed: int
) -> None:
    file, before = tmp_path / "scenes" / "thing" / "stages" / "events.jsonl", dict[str, str]()

    def count() -> int:
        return len(file.read_bytes().splitlines()) if file.exists() else 0

    for further in random.Random(seed).choices(range(1, 30), k=3):
        wanted = count() + further
        start(tmp_path, "prepare", f"INPUT={photos}")

        def happened(wanted: int = wanted) -> bool:
            return count() >= wanted or set(records(tmp_path)) == set(STAGES)

        kill_when(happened, tmp_path, "prepare", victim, f"event {wanted}")
        now = records(tmp_path)
        assert before.items() <= now.items()
        before = now
    finish_prepare(tmp_path, photos, prepared, before)


def finish_prepare(base: Path, photos: Path, prepared: Path, before: dict[str, str]) -> None:
    """Give the command once more; what was finished stays, and the result is an undisturbed one."""
    done = maquette(base, "run", "prepare", "MODEL=thing", f"INPUT={photos}")
    assert done.returncode == 0, done.stderr
    assert before.items() <= records(base).items()
    assert_same_result(base, prepared)
    scene, undisturbed = (Scene(each / "scenes" / "thing") for each in (base, prepared))
    for name in ("input", "frames", "features", "matches"):
        one, other = stage_records.read(scene, name), stage_records.read(undisturbed, name)
        assert one is not None and other is not None
        assert (one.key, one.numbers) == (other.key, other.numbers)
    assert [path for path in scene.root.rglob(".*") if path.name != ".lock"] == []


@pytest.mark.seeds(2)
def test_training_killed_at_any_save_goes_on_from_its_last_checkpoint(
    posed: Path, victim: str, seed: int
) -> None:
    words = ["ITERATIONS=400", "SAVE_MINUTES=0.01", TINY]
    reached = 0
    for further in random.Random(seed).choices(range(1, 60), k=3):
        log = start(posed, "process", *words)
        kill_when(
            lambda wanted=reached + further: newest_iteration(posed) >= wanted,
            posed, "process", victim, f"iteration {reached + further}",
        )  # fmt: skip
        if reached:
            assert "continu" in log.read_text() or "resum" in log.read_text()
        assert newest_iteration(posed) >= reached
        reached = newest_iteration(posed)
    done = maquette(posed, "run", "process", "MODEL=thing", *words)
    assert done.returncode == 0, done.stderr
    assert newest_iteration(posed) == 400
