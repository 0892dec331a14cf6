"""The manifest of a scene for the web page, written by the data plane in its own process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

from maquette.errors import from_exit_code
from maquette.scene import outputs
from maquette.scene.atomic import write_text
from maquette.scene.events import parse_log_line
from maquette.scene.paths import OWN_FOLDER, Scene

FOLDER = f"{OWN_FOLDER}/page"
_LOCK = threading.Lock()
_FORM = "2"  # raised when the data plane writes other files for the same scene


def renewed(scene: Scene, pipelines: Sequence[str] = ()) -> dict[str, Any]:
    """The manifest, made anew where results or cameras have changed.

    Addresses in it are relative to the scene's folder.

    Args:
        pipelines: Whose results; all of the scene, the newest first, where none is named.

    Raises:
        NotFound: there is nothing to show yet.
        MaquetteError: the data plane's own words.
    """
    shown = list(pipelines) or outputs.pipelines_of(scene.root)
    path = scene.root / FOLDER / f"{'+'.join(shown) or 'prepare'}.json"
    stamp, state = path.with_suffix(".made_of"), _state(scene, shown)
    with _LOCK:  # a page asks for several at once, and each takes seconds
        try:
            if stamp.read_text(encoding="utf-8") == state:
                found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
                return found
        except (OSError, ValueError):
            pass
        _make(scene, shown)
        write_text(stamp, state)
        made: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return made


def _state(scene: Scene, pipelines: Sequence[str]) -> str:
    """What the manifest is made of, as text that changes with it."""
    files = {
        scene.root / item.path for name in pipelines for item in outputs.read(scene.of(name))
    } | {
        scene.transforms,
        scene.sparse / "points3D.bin",
        *(scene.of(name).evaluation for name in pipelines),
    }
    lines = [_FORM, *pipelines]
    for path in sorted(files):
        if path.is_file():
            facts = path.stat()
            lines.append(f"{scene.relative(path)} {facts.st_size} {facts.st_mtime_ns}")
    return "\n".join(lines) + "\n"


def smaller_copies(scene: Scene, requests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Copies of results that fit into limits, as `maquette.recon.smaller_copies` makes them."""
    event = _run(copies_command(scene, requests))
    made: list[dict[str, Any]] = event["copies"]
    return made


def copies_command(scene: Scene, requests: Sequence[dict[str, Any]]) -> list[str]:
    """The command line that makes them; its last event tells of them."""
    argv = [sys.executable, "-m", "maquette.recon.smaller_copies"]
    return [*argv, "--scene", str(scene.root), "--requests", json.dumps(list(requests))]


def _make(scene: Scene, pipelines: Sequence[str]) -> None:
    argv = [sys.executable, "-m", "maquette.recon.page_data"]
    _run([*argv, "--scene", str(scene.root), "--pipelines", ",".join(pipelines)])


def _run(argv: list[str]) -> dict[str, Any]:
    """Run a program of the data plane; returns its last event, {} for none."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    found = (parse_log_line(line) for line in reversed(done.stdout.splitlines()))
    last = next((event for event in found if event), {})
    if not done.returncode:
        return last
    if last.get("event") == "error":
        raise from_exit_code(last["code"], last["what"], detail=last["detail"], hint=last["hint"])
    raise RuntimeError(f"the page's files were not written:\n{done.stderr}")
