"""The steps in containers, with a real engine, and data through a store in a third container."""

from __future__ import annotations

import contextlib
import io
import json
import random
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trimesh
from test_survival import TINY

from backends import missing_engine
from command_line import ROOT
from container_person import Person, machine_is_lost
from maquette.containers import building, checking, context
from maquette.containers.engines import Engine, connected, find_engine
from maquette.errors import JobFailed, NotFound
from maquette.scene import checkpoints
from recon_image import cpu_recipe
from s3_server import KEYS, in_thread, pull
from synthetic_scene import write_photos, write_posed_scene
from waiting import wait_for

pytestmark = [
    pytest.mark.skipif(bool(missing_engine()), reason=missing_engine() or "-"),
    pytest.mark.slow,
    pytest.mark.timeout(3000),
]


def test_the_image_is_as_it_must_be(image: str) -> None:
    said = list(checking.check(image, find_engine(), gpus=0))
    for line in ("user: 42420:42420", "contents: nothing of the build is left", "libraries: load",
                 "versions: as images/gpus.yaml says of cpu"):  # fmt: skip
        assert line in said
    machine = next(line for line in said if line.startswith("machine: "))
    assert "torch 2.13.0+cpu, warp-lang 1.17.0, warp CUDA 12.9, python 3." in machine
    kernels = [line for line in said if line.startswith("kernel ")]
    assert len(kernels) > 10 and all(line.startswith("kernel agrees") for line in kernels)


KERNELS = "/opt/maquette/maquette/recon/surface/kernels/checks.py"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("LABEL maquette.variant=cuda12", r"torch CUDA is ``, not `12\.6`"),
        (
            f'RUN sed -i \'s/"hash grid", features, 1e-5/"hash grid", features, -1.0/\' {KERNELS}',
            r"kernels differ from their twins: hash grid, preview, 1 points",
        ),
        (f"RUN sed -i 's/^    return Case($/    raise SystemExit(7)/' {KERNELS}", "fails in"),
        ("RUN mkdir /wheels", "of its build is left: /wheels"),
    ],
)
def test_an_image_with_a_fault_is_told(image: str, line: str, told: str) -> None:
    """Another torch than its label says; a kernel that differs, or breaks off; a leftover."""
    with changed_image(image, line) as wrong, pytest.raises(JobFailed, match=told):
        list(checking.check(wrong, find_engine(), gpus=0))


def test_kernels_are_compiled_in_the_image_and_anybody_may_add_to_them(image: str) -> None:
    code = (
        "from warp._src import build; build.build_cpu = None  # it is not needed\n"
        "from maquette.recon import kernel_cache as cache\n"
        "raise SystemExit(cache.main(['--capabilities', '7.0']))"
    )
    for settings in ({"user": "1234"}, {"read_only": True, "tmpfs": {"/tmp": ""}}):
        with connected(find_engine()) as client:
            said = client.containers.run(image, ["python", "-c", code], remove=True, **settings)
        assert re.fullmatch(rb"(\d+) modules of kernels, (\d+) of \2 files for GPUs\n", said)


@contextlib.contextmanager
def changed_image(image: str, line: str) -> Iterator[str]:
    """The image with one more line in its Dockerfile."""
    name = f"maquette-test:{random.randrange(1 << 32):08x}"
    text = f"FROM {image}\nUSER root\n{line}\nUSER 42420:42420\n"
    with connected(find_engine()) as client:
        client.images.build(fileobj=io.BytesIO(text.encode()), tag=name, rm=True)
        try:
            yield name
        finally:
            client.images.remove(name, force=True)


def test_a_second_build_changes_nothing(image: str) -> None:
    with connected(find_engine()) as client:
        before = client.images.get(image).id
    assert building.build(cpu_recipe(), find_engine(), print) == before


def test_a_change_of_the_code_rebuilds_no_layer_below_it(
    image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("images", "python"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    monkeypatch.setattr(context, "ROOT", tmp_path)
    monkeypatch.setattr(context, "IMAGES", tmp_path / "images")
    recipe = replace(cpu_recipe(), version=f"of-{random.randrange(1 << 32):08x}")
    try:
        before = layers_of_a_build(recipe)
        with open(tmp_path / "python/maquette/errors.py", "a") as file:
            file.write("CHANGED = True\n")
        after = layers_of_a_build(recipe)
        with connected(find_engine()) as client:
            code = "from maquette import errors; print(errors.CHANGED)"
            said = client.containers.run(recipe.reference, ["python", "-c", code], remove=True)
        assert said == b"True\n"
        # On top lie the code, its kernels, and the folder that is made after them.
        assert len(before) == len(after) and before[:-3] == after[:-3] and before[-3] != after[-3]
    finally:
        with contextlib.suppress(NotFound), connected(find_engine()) as client:
            client.images.remove(recipe.reference, force=True)


def layers_of_a_build(recipe: building.Recipe) -> list[str]:
    building.build(recipe, find_engine(), print)
    with connected(find_engine()) as client:
        layers: list[str] = client.images.get(recipe.reference).attrs["RootFS"]["Layers"]
        return layers


def test_no_layer_holds_pips_settings_or_certificates(image: str) -> None:
    with connected(find_engine()) as client:
        history = json.dumps(client.images.get(image).history())
        listing = client.containers.run(
            image, ["sh", "-c", "ls / /extra_ca /wheels /build 2>&1; env"], remove=True
        ).decode()
    assert "INDEX_URL" not in history + listing
    assert "extra.crt" not in listing and ".whl" not in listing


def test_the_samples_three_steps_run_in_containers(user: Person) -> None:
    sample = ROOT / "samples" / "owl.mp4"
    small = ["FRAMES=24", "MATCHER=exhaustive", "ITERATIONS=60", "RESOLUTION=64", "BLOCK_RES=64"]
    for step in ("prepare", "process", "extract"):
        source = [f"INPUT={sample}"] if step == "prepare" else []
        done = user.run("run", step, *source, *small, TINY)
        assert done.returncode == 0, done.stdout + done.stderr
        document = user.document(step)
        assert document["status"]["state"] == "DONE"
        assert document["maquette"]["request"]["user"] == "42420:42420"
        assert KEYS.secret_key not in json.dumps(document) + done.stdout + done.stderr
        with connected(Engine(**document["maquette"]["handle"]["engine"])) as client:
            container = client.containers.get(document["maquette"]["handle"]["container"])
            assert KEYS.secret_key not in json.dumps(container.attrs)
    mesh = trimesh.load(user.scene / "mesh" / "thing.ply")
    assert len(mesh.faces) > 500
    assert (user.scene / "mesh" / "thing_views.png").exists()
    logs = list((user.base / "logs").rglob("*.log"))
    assert len(logs) == 3 and all(KEYS.secret_key not in log.read_text() for log in logs)


def test_a_mounted_scene_belongs_to_the_person(user: Person) -> None:
    write_posed_scene(user.scene, count=14, width=96, height=72)
    done = user.run("run", "process", "CARRY=mount", "ITERATIONS=20", TINY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert checkpoints.newest(user.scene / "runs" / "experiments")
    owners = {path.stat().st_uid for path in user.scene.rglob("*")}
    assert owners == {user.scene.stat().st_uid}


def test_training_killed_at_random_goes_on_from_the_last_push(user: Person) -> None:
    """Kill the container and lose its machine; at most the work since the last push is lost."""
    write_posed_scene(user.scene, count=14, width=96, height=72)
    words = ["SAVE_MINUTES=0.1", TINY]
    choose, pushed = random.Random(1), 0
    for _ in range(2):
        started = user.run("run", "process", "WAIT=0", "ITERATIONS=100000", *words)
        assert started.returncode == 0, started.stderr
        wanted = pushed + choose.randrange(10, 50)
        wait_for(lambda w=wanted: named_iteration(user) >= w, 300, f"iteration {wanted}")
        with connected(find_engine()) as client:
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


def test_prepare_killed_in_a_stage_goes_on(user: Person) -> None:
    photos = user.base / "photos"
    photos.mkdir()
    write_photos(photos, 20, 320, 240)
    started = user.run("run", "prepare", "WAIT=0", f"INPUT={photos}")
    assert started.returncode == 0, started.stderr
    wait_for(lambda: user.bucket.head("stages/features.json"), 900, "the record of features")
    with connected(find_engine()) as client:
        for container in client.containers.list(filters={"volume": user.volume}):
            container.kill()
    machine_is_lost(user)
    done = user.run("run", "prepare", f"INPUT={photos}")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if "features" in line]
    assert any("already" in line or "skip" in line for line in lines), done.stdout


def test_make_all_goes_on_when_the_machine_is_taken_away(user: Person) -> None:
    photos = user.base / "photos"
    photos.mkdir()
    write_photos(photos, 40, 320, 240)
    taken: list[str] = []

    def take_away(step: str, pushed: str) -> None:
        wait_for(lambda: user.bucket.head(pushed), 900, f"the push of {pushed}")
        with connected(find_engine()) as client:
            here = {"volume": user.volume, "label": f"maquette-step={step}"}
            for container in client.containers.list(filters=here):
                container.kill("SIGTERM")
                taken.append(container.name)

    def take_each_away() -> None:
        take_away("prepare", "stages/frames.json")
        take_away("process", f"runs/experiments/{checkpoints.POINTER}")

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
    assert (user.scene / "mesh" / "thing.ply").exists()


def named_iteration(user: Person) -> int:
    """What the pointer in the store says, by one small request."""
    answer = user.bucket.get_if_changed(f"runs/experiments/{checkpoints.POINTER}", "")
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
    run = scene / "runs" / "experiments"
    name = checkpoints.read_pointer(run)
    if name is None:
        return 0
    assert checkpoints.is_complete(run / name), "the pointer names a checkpoint that is not there"
    return checkpoints.iteration_of(name) or 0
