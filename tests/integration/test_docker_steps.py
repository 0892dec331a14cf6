"""The steps in containers, with a real daemon, and data through a store in a third container."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trimesh

from container_person import Person
from maquette.containers import building
from maquette.containers.daemon import Daemon, connected, find_daemon
from maquette.scene import checkpoints
from recon_image import cpu_recipe
from s3_server import KEYS
from synthetic_scene import write_posed_scene
from tiny_training import TINY

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


@pytest.mark.usefixtures("image")
def test_a_second_build_changes_nothing() -> None:
    first, second = (building.build(cpu_recipe(), find_daemon(), print) for _ in range(2))
    assert first == second


def test_no_layer_holds_pips_settings_or_certificates(image: str) -> None:
    with connected(find_daemon()) as client:
        history = json.dumps(client.images.get(image).history())
        listing = client.containers.run(
            image, ["sh", "-c", "ls / /extra_ca /wheels /build 2>&1; env"], remove=True
        ).decode()
    assert "INDEX_URL" not in history + listing
    assert "extra.crt" not in listing and ".whl" not in listing


def test_the_three_steps_run_in_containers(user: Person, photos: Path) -> None:
    small = ["MATCHER=exhaustive", "ITERATIONS=20", "RESOLUTION=64", "BLOCK_RES=64", "DENSE=off"]
    for step in ("prepare", "process", "extract"):
        source = [f"INPUT={photos}"] if step == "prepare" else []
        done = user.run("run", step, *source, *small, TINY)
        assert done.returncode == 0, done.stdout + done.stderr
        document = user.document(step)
        assert document["status"]["state"] == "DONE"
        assert document["maquette"]["request"]["user"] == "42420:42420"
        assert KEYS.secret_key not in json.dumps(document) + done.stdout + done.stderr
        with connected(Daemon(**document["maquette"]["handle"]["daemon"])) as client:
            container = client.containers.get(document["maquette"]["handle"]["container"])
            assert KEYS.secret_key not in json.dumps(container.attrs)
    mesh = trimesh.load(user.scene / "results" / "neuralangelo" / "thing.ply")
    assert len(mesh.faces) > 100
    assert (user.scene / "results" / "neuralangelo" / "thing_views.png").exists()
    logs = list((user.base / "logs").rglob("*.log"))
    assert len(logs) == 3 and all(KEYS.secret_key not in log.read_text() for log in logs)


def test_a_mounted_scene_belongs_to_the_person(user: Person) -> None:
    write_posed_scene(user.scene, count=14, width=96, height=72)
    done = user.run("run", "process", "CARRY=mount", "ITERATIONS=20", TINY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert checkpoints.newest(user.scene / "runs" / "neuralangelo" / "experiments")
    owners = {path.stat().st_uid for path in user.scene.rglob("*")}
    assert owners == {user.scene.stat().st_uid}
