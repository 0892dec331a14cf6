"""The example notebook, run by a real kernel of Jupyter."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from maquette.viewer import web_page
from ring_scene import write_ring

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "notebooks" / "show.ipynb"
pytestmark = pytest.mark.skipif(
    not web_page.is_built(), reason="the page is not built: make page"
)  # fmt: skip


def test_the_example_runs_in_a_kernel_and_its_frame_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbclient = pytest.importorskip("nbclient", reason="pip install nbclient ipykernel")
    pytest.importorskip("ipykernel", reason="pip install nbclient ipykernel")
    import nbformat

    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    write_ring(tmp_path / "scenes" / "owl")
    notebook = nbformat.read(EXAMPLE, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=240, resources=resources).execute()
    shown, written, told = (cell.outputs for cell in notebook.cells if cell.cell_type == "code")
    frame = re.match(r'<iframe srcdoc="([^"]+)"', shown[0].data["text/html"])
    assert frame
    assert html.unescape(frame[1]).encode() == (tmp_path / "owl.html").read_bytes()
    assert "owl.html" in written[0].data["text/plain"]
    assert told[0].text.startswith("6 cameras; the region:")
    assert len(shown[0].data["text/plain"]) < 200
