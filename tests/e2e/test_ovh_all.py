"""`maquette all BACKEND=ovh`, while who takes part in it is killed: the same command continues."""

from __future__ import annotations

from pathlib import Path

import pytest
import trimesh

from maquette.scene import checkpoints
from ovh_chain import (
    SMALL,
    Kill,
    assert_no_keys_anywhere,
    assert_nothing_twice,
    run_through_kills,
    service_at,
)

KILLS = (Kill("client", "prepare", 2), Kill("service", "prepare", 12), Kill("step", "process", 12))


@pytest.mark.timeout(600)
def test_all_three_steps_though_each_who_takes_part_is_killed_once(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Soak has the other ways of carrying and running, and looks at how good the mesh is."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with service_at(tmp_path, "process", second_s=0.05) as service:
        words = ["all", "BACKEND=ovh", f"INPUT={photos}", "IMAGE=any", "CARRY=mount", "RETRIES=6"]
        words += [*SMALL, "ITERATIONS=30", "BUCKET_NAME=chain"]
        assert run_through_kills(words, service, KILLS) == [kill.victim for kill in KILLS]
        assert_nothing_twice(service)
    assert_no_keys_anywhere(tmp_path)
    scene = tmp_path / "scenes" / "thing"
    newest = checkpoints.newest(scene / "runs" / "neuralangelo" / "experiments")
    assert newest and checkpoints.iteration_of(newest.path.name) == 30
    assert len(trimesh.load(scene / "results" / "neuralangelo" / "thing.ply").faces) > 100
