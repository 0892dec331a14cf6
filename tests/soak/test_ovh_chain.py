"""`maquette all BACKEND=ovh` on the sample through random kills, in each way of carrying a scene.

Nothing is paid twice, and the mesh is as good as one that this machine makes by itself.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from command_line import ROOT, maquette
from ovh_chain import (
    SMALL,
    STEPS,
    VICTIMS,
    Kill,
    assert_no_keys_anywhere,
    assert_nothing_twice,
    run_through_kills,
    service_at,
)
from recon_image import recon_image
from turns import made_once

ITERATIONS = 400
OWL = (
    *SMALL, f"INPUT={ROOT / 'samples' / 'owl.mp4'}", "FRAMES=24", f"ITERATIONS={ITERATIONS}",
)  # fmt: skip
LIMIT_S = 1500.0
Numbers = dict[str, Any]


@pytest.fixture(scope="module")
def made_here() -> Numbers:
    """What `maquette evaluate` says of a run of the same settings on this machine."""

    def make(folder: Path) -> None:
        done = maquette(folder, "all", "BACKEND=local", *OWL, limit_s=LIMIT_S)
        assert done.returncode == 0, done.stdout + done.stderr

    return _evaluated(made_once("made-here", make))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("carry", "runtime", "kills"),
    [
        ("mount", "process", 5),
        pytest.param("mount", "container", 1, marks=pytest.mark.docker),
        ("store", "process", 2),
        pytest.param("store", "container", 2, marks=pytest.mark.docker),
    ],
)
def test_all_three_steps_through_random_kills(
    tmp_path: Path,
    made_here: Numbers,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    carry: str,
    runtime: str,
    kills: int,
    seed: int,
) -> None:
    """Client, service and step die at random events; the same command brings it to its end."""
    image = recon_image() if runtime == "container" else "any"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    if carry == "store":  # an agent has to know its store's address, which a built-in one changes
        request.getfixturevalue("person" if runtime == "process" else "person_of_containers")
    words = ["all", "BACKEND=ovh", f"IMAGE={image}", "RETRIES=6", f"CARRY={carry}"]
    words += ["SYNC_MINUTES=0.2", f"BUCKET_NAME=e2e-{carry}-{seed}", *OWL]
    with service_at(tmp_path, runtime) as service:
        run_through_kills(words, service, _chosen(random.Random(seed), kills))
        assert_nothing_twice(service)
        assert_no_keys_anywhere(tmp_path)
        _assert_as_good(_evaluated(tmp_path), made_here)
        _assert_mesh_as_made_here(tmp_path)


def _chosen(choose: random.Random, count: int) -> list[Kill]:
    kills = [
        Kill(choose.choice(VICTIMS), choose.choice(STEPS), choose.randrange(1, 40))
        for _ in range(count)
    ]
    return sorted(kills, key=lambda kill: (STEPS.index(kill.step), kill.number))


def _evaluated(folder: Path) -> Numbers:
    truth = ROOT / "samples" / "owl"
    words = ["MODEL=thing", "GPU=0", f"GROUND_TRUTH={truth}", "--json"]
    done = maquette(folder, "evaluate", *words, limit_s=LIMIT_S)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def _assert_as_good(theirs: Numbers, ours: Numbers) -> None:
    """Another order of threads or seed moved Chamfer by half and PSNR by 0.25 dB (six runs)."""
    told = f"there {theirs}, here {ours}"
    assert theirs["registered_ratio"] == ours["registered_ratio"] == 1.0, told
    ran = theirs["details"]["iteration"], theirs["details"]["mesh_iteration"]
    assert ran == (ITERATIONS, ITERATIONS), told
    assert 0.5 < theirs["chamfer_relative"] / ours["chamfer_relative"] < 2, told
    assert theirs["psnr_db"] == pytest.approx(ours["psnr_db"], abs=0.7), told


def _assert_mesh_as_made_here(folder: Path) -> None:
    """What was pulled is whole: this machine makes the same mesh of the pulled checkpoint."""
    file = folder / "scenes" / "thing" / "results" / "neuralangelo" / "thing.ply"
    theirs = trimesh.load(file)
    words = ["run", "extract", "BACKEND=local", *OWL]
    done = maquette(folder, *words, limit_s=LIMIT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    ours = trimesh.load(file)
    assert len(theirs.faces) > 100 and len(theirs.faces) == len(ours.faces)
    assert np.allclose(theirs.bounds, ours.bounds, rtol=1e-3)
    assert theirs.area == pytest.approx(ours.area, rel=1e-3)
