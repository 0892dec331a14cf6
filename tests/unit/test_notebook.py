"""`maquette.show`: the page in a cell of a notebook, and the example that tells of it."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest

import maquette
from maquette.errors import NotFound
from maquette.notebook import Page
from maquette.recon.mesh.ply import write_ply
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.scene import outputs, stage_records
from maquette.scene.stage_records import StageRecord
from maquette.viewer import web_build
from publishing_scene import write_page
from synthetic_scene import truth_mesh, write_posed_scene

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "notebooks" / "show.ipynb"
PIPELINE = "photogrammetry"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a scene, and a page that shows nothing in place of the built one."""
    scene = write_posed_scene(tmp_path / "scenes" / "owl", 6, 64, 48).of(PIPELINE)
    truth = truth_mesh(24)
    mesh = TriangleMesh(truth.vertices.astype("f4"), truth.faces.astype("i4"))
    name = f"results/{PIPELINE}/mesh.ply"
    write_ply(scene.root / name, mesh, ())
    record = StageRecord(
        "surface", "extract", "k", {}, {}, {}, "2026", 1.0, kinds={name: outputs.MESH}
    )
    stage_records.write(scene, PIPELINE, record)
    page = write_page(tmp_path / "page")
    monkeypatch.setattr(web_build, "build", lambda: page)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_example_runs(folder: Path) -> None:
    cells = json.loads(EXAMPLE.read_text())["cells"]
    names: dict[str, object] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), EXAMPLE.name, "exec"), names)
    page = names["page"]
    assert isinstance(page, Page)
    shown = re.fullmatch(r'<iframe srcdoc="([^"]+)" title="owl" .*</iframe>', page._repr_html_())
    assert shown
    assert html.unescape(shown[1]).encode() == page.content
    assert (folder / "owl.html").read_bytes() == page.content


def test_the_page_of_a_cell_stays_out_of_error_messages(folder: Path) -> None:
    assert len(repr(maquette.show("scenes/owl", PIPELINE))) < 200


def test_a_scene_that_is_not_there_is_told(folder: Path) -> None:
    with pytest.raises(NotFound, match="no scene at `scenes/gone`"):
        maquette.show("scenes/gone")
