"""What an upstream engine's job left is taken over when the command that follows it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from maquette.cli import whole
from maquette.cli.run import finish
from maquette.config.settings import Settings
from maquette.jobs.document import Document, change_state, new_document
from maquette.jobs.spec import JobSpec
from maquette.planning.building import build_job
from maquette.runners.base import Request
from maquette.runners.docker.runner import DockerRunner
from maquette.runners.tracking import ledger_of
from maquette.scene import outputs
from maquette.scene.atomic import write_json
from maquette.scene.paths import Scene
from meshroom_folder import write_meshroom
from texture_scene import write_scene


def ended(job: JobSpec, request: Request | None = None) -> Document:
    """The document of a job whose container has ended well."""
    write_json(job.scene / job.options_file, job.options)
    document = new_document(job, "docker", request or {}, 1)
    change_state(document, "DONE", "done", exit_code=0)
    return document


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Those of a scene in which Meshroom has just ended."""
    write_meshroom(write_scene(tmp_path / "scenes" / "thing", count=6))
    return Settings(
        pipeline="photogrammetry", engine="alicevision", model="thing", base_dir=tmp_path,
        decimate=0.5, pull=False,
    )  # fmt: skip


def kinds(settings: Settings) -> dict[str, str]:
    scene = Scene(settings.scene_dir, settings.pipeline)
    return {Path(one.path).name: one.kind for one in outputs.read(scene)}


def test_its_meshes_are_results_of_the_scene(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    job = build_job("extract", settings)
    finish(ended(job), ledger_of(job), settings, as_json=True)
    assert '"stage": "meshroom"' in capfd.readouterr().out
    assert kinds(settings)["textured.obj"] == outputs.MESH
    assert kinds(settings)["decimated.ply"] == outputs.REDUCED_MESH
    licences = json.loads((settings.scene_dir / "report.json").read_text())["licences"]
    assert "Mozilla" in licences["photogrammetry"]["extract"]


def test_make_all_takes_over_what_nobody_waited_for(settings: Settings) -> None:
    job = build_job("extract", settings)
    ledger_of(job).adopt(ended(job, DockerRunner().plan(job)))
    assert whole._already("extract", settings, ledger_of(job), after="")
    assert kinds(settings)["textured.obj"] == outputs.MESH
