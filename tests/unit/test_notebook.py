"""`maquette.show`: the page in a cell of a notebook, and the example that tells of it."""

from __future__ import annotations

import html
import json
import re
import shlex
from pathlib import Path

import pytest

import maquette
from maquette.config.loading import load
from maquette.errors import NotFound
from maquette.notebook import Page
from maquette.viewer import web_build
from publishing_scene import write_page
from ring_scene import PIPELINE, write_ring

NOTEBOOKS = Path(__file__).resolve().parents[2] / "docs" / "notebooks"
EXAMPLE = NOTEBOOKS / "show.ipynb"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a scene, and a page that shows nothing in place of the built one."""
    write_ring(tmp_path / "scenes" / "owl")
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


def test_the_cell_for_colab_says_what_our_command_understands(folder: Path) -> None:
    [cell] = json.loads((NOTEBOOKS / "colab.ipynb").read_text())["cells"]
    lines = [line for line in cell["source"] if re.match("[A-Z]+ = ", line)]
    names: dict[str, str] = {}
    exec("".join(lines), names)
    assert "make all $WORDS" in cell["source"][-1]
    settings = load(shlex.split(names["WORDS"]))
    assert (settings.model, settings.host_limit_hours) == ("room", 12)
    assert "".join(cell["source"]) in (NOTEBOOKS.parent / "colab.md").read_text()
