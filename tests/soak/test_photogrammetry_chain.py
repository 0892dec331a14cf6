"""`maquette all PIPELINE=photogrammetry` away from this machine, through a kill of its process."""

from __future__ import annotations

from pathlib import Path

import pytest

from container_person import Person
from maquette.recon.geometry.points import read_points
from maquette.scene.paths import Scene
from ovh_chain import Kill, assert_nothing_twice, run_through_kills, service_at
from recon_image import recon_image
from turns import linked_copy

SMALL = ("PRESET=preview", "DENSE_SIZE=112", "SOURCE_VIEWS=3", "SWEEPS=3 1", "GPU=0")


def points_of(root: Path) -> int:
    scene = Scene(root, "photogrammetry")
    return len(read_points(scene.dense("experiments") / "fused.ply").points)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "runtime", ["process", pytest.param("container", marks=pytest.mark.docker)]
)
def test_all_steps_at_the_emulator(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, runtime: str
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    image = recon_image() if runtime == "container" else "any"
    words = ["all", "BACKEND=ovh", "PIPELINE=photogrammetry", "MODEL=thing", f"INPUT={photos}"]
    words += [f"IMAGE={image}", "CARRY=mount", "BUCKET_NAME=dense", "MATCHER=exhaustive"]
    words += ["RETRIES=3", *SMALL]
    with service_at(tmp_path, runtime, second_s=0.05) as service:
        run_through_kills(words, service, [Kill("step", "process", 12)])
        assert_nothing_twice(service)
    assert points_of(tmp_path / "scenes" / "thing") > 2_000


@pytest.mark.docker
@pytest.mark.timeout(600)
def test_process_in_a_container(user: Person, prepared: Path) -> None:
    linked_copy(prepared / "scenes", user.base / "scenes")
    done = user.run("run", "process", "PIPELINE=photogrammetry", *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert points_of(user.scene) > 2_000
