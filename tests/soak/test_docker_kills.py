"""The steps in containers, killed at events, and an image that is built anew."""

from __future__ import annotations

import contextlib
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from command_line import ROOT
from container_person import Person, machine_is_lost
from maquette.containers import build_context, building
from maquette.containers.daemon import connected, find_daemon
from maquette.errors import NotFound
from maquette.scene import checkpoints
from recon_image import cpu_recipe
from s3_server import in_thread, pull
from synthetic_scene import write_posed_scene
from tiny_training import TINY
from waiting import wait_for

pytestmark = [pytest.mark.docker, pytest.mark.timeout(3000)]


def test_a_change_of_the_code_rebuilds_no_layer_below_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("images", "python"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    monkeypatch.setattr(build_context, "ROOT", tmp_path)
    monkeypatch.setattr(build_context, "IMAGES", tmp_path / "images")
    monkeypatch.setattr(build_context, "PACKAGE", tmp_path / "python" / "maquette")
    recipe = replace(cpu_recipe(), version=f"of-{random.randrange(1 << 32):08x}")
    try:
        before = layers_of_a_build(recipe)
        with open(tmp_path / "python/maquette/errors.py", "a") as file:
            file.write("CHANGED = True\n")
        after = layers_of_a_build(recipe)
        with connected(find_daemon()) as client:
            code = "from maquette import errors; print(errors.CHANGED)"
            said = client.containers.run(recipe.reference, ["python", "-c", code], remove=True)
        assert said == b"True\n"
        # On top lie the code, its kernels, and the folder that is made after them.
        assert len(before) == len(after) and before[:-3] == after[:-3] and before[-3] != after[-3]
    finally:
        with contextlib.suppress(NotFound), connected(find_daemon()) as client:
            client.images.remove(recipe.reference, force=True)


def layers_of_a_build(recipe: building.Recipe) -> list[str]:
    building.build(recipe, find_daemon(), print)
    with connected(find_daemon()) as client:
        layers: list[str] = client.images.get(recipe.reference).attrs["RootFS"]["Layers"]
        return layers


@pytest.mark.seeds(2)
def test_training_killed_at_random_goes_on_from_the_last_push(user: Person, seed: int) -> None:
    """Kill the container and lose its machine; at most the work since the last push is lost."""
    write_posed_scene(user.scene, count=14, width=96, height=72)
    words = ["SAVE_MINUTES=0.1", TINY]
    choose, pushed = random.Random(seed), 0
    for _ in range(2):
        started = user.run("run", "process", "WAIT=0", "ITERATIONS=100000", *words)
        assert started.returncode == 0, started.stderr
        wanted = pushed + choose.randrange(10, 50)
        wait_for(lambda w=wanted: named_iteration(user) >= w, 300, f"iteration {wanted}")
        with connected(find_daemon()) as client:
            for container in client.containers.list(filters={"volume": user.volume}):
                container.kill()
        document = user.document("process")
        assert (document["status"]["state"], document["status"]["exitCode"]) == ("FAILED", 137)
        machine_is_lost(user)
        assert pushed_iteration(user) >= pushed
        pushed = pushed_iteration(user)
    done = user.run("run", "process", f"ITERATIONS={pushed + 20}", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "continu" in done.stdout or "resum" in done.stdout
    assert newest(user.scene) == pushed + 20


def test_prepare_killed_in_a_stage_goes_on(user: Person, photos: Path) -> None:
    started = user.run("run", "prepare", "WAIT=0", f"INPUT={photos}")
    assert started.returncode == 0, started.stderr
    wait_for(lambda: user.bucket.head("stages/common/features.json"), 900, "the record of features")
    with connected(find_daemon()) as client:
        for container in client.containers.list(filters={"volume": user.volume}):
            container.kill()
    machine_is_lost(user)
    done = user.run("run", "prepare", f"INPUT={photos}")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if "features" in line]
    assert any("already" in line or "skip" in line for line in lines), done.stdout


def test_make_all_goes_on_when_the_machine_is_taken_away(user: Person, photos: Path) -> None:
    taken: list[str] = []

    def take_away(step: str, pushed: str) -> None:
        wait_for(lambda: user.bucket.head(pushed), 900, f"the push of {pushed}")
        with connected(find_daemon()) as client:
            here = {"volume": user.volume, "label": f"maquette-step={step}"}
            for container in client.containers.list(filters=here):
                container.kill("SIGTERM")
                taken.append(container.name)

    def take_each_away() -> None:
        take_away("prepare", "stages/common/frames.json")
        take_away("process", f"runs/neuralangelo/experiments/{checkpoints.POINTER}")

    taking = in_thread(take_each_away)
    words = ["ITERATIONS=800", "SAVE_MINUTES=0.02", "RESOLUTION=32", TINY]
    done = user.run("all", f"INPUT={photos}", *words, limit_s=2500)
    taking.join(10)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(taken) == 2
    for step in ("prepare", "process"):
        told = f"{step} failed (the machine was taken away; the work is saved); trying again"
        assert told in done.stdout
    assert newest(user.scene) == 800
    assert (user.scene / "results" / "neuralangelo" / "thing.ply").exists()


def named_iteration(user: Person) -> int:
    """What the pointer in the store says, by one small request."""
    answer = user.bucket.get_if_changed(f"runs/neuralangelo/experiments/{checkpoints.POINTER}", "")
    if answer.status != 200:
        return 0
    return checkpoints.iteration_of(answer.body.decode().strip()) or 0


def pushed_iteration(user: Person) -> int:
    """The iteration of the checkpoint that the pointer in the store names; it must be whole."""
    seen = user.base / "seen"
    try:
        pull(seen, user.bucket, only="checkpoints")
    except Exception:  # nothing is there yet, or it changes at this moment
        return 0
    return newest(seen)


def newest(scene: Path) -> int:
    run = scene / "runs" / "neuralangelo" / "experiments"
    name = checkpoints.read_pointer(run)
    if name is None:
        return 0
    assert checkpoints.is_complete(run / name), "the pointer names a checkpoint that is not there"
    return checkpoints.iteration_of(name) or 0
