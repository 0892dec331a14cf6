"""What an upstream engine's job left is taken over when the command that follows it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from maquette.cli.run import finish
from maquette.config.settings import Settings
from maquette.errors import NotFound
from maquette.jobs.document import Document, change_state, new_document
from maquette.jobs.spec import JobSpec
from maquette.planning.building import build_job
from maquette.runners.tracking import ledger_of
from maquette.scene import outputs
from maquette.scene.atomic import write_json
from maquette.scene.paths import Scene
from meshroom_folder import write_meshroom
from texture_scene import write_scene


def ended(job: JobSpec) -> Document:
    """The document of a job whose container has ended well."""
    write_json(job.scene / job.options_file, job.options)
    document = new_document(job, "docker", {}, 1)
    change_state(document, "DONE", "done", exit_code=0)
    return document


def test_its_meshes_are_results_of_the_scene(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scene = write_scene(tmp_path / "scenes" / "thing", count=6)
    settings = Settings(
        pipeline="photogrammetry", engine="alicevision", model="thing", base_dir=tmp_path,
        decimate=0.5, pull=False,
    )  # fmt: skip
    job = build_job("extract", settings)
    with pytest.raises(NotFound, match="Meshroom left no"):
        finish(ended(job), ledger_of(job), settings, as_json=True)
    write_meshroom(scene)
    finish(ended(job), ledger_of(job), settings, as_json=True)
    assert '"stage": "meshroom"' in capfd.readouterr().out
    found = {Path(one.path).name: one.kind for one in outputs.read(Scene(scene.root, job.pipeline))}
    assert found["textured.obj"] == outputs.MESH
    assert found["decimated.ply"] == outputs.REDUCED_MESH
    licences = json.loads(scene.report.read_text())["licences"]
    assert "Mozilla" in licences["photogrammetry"]["extract"]
