"""`report.html` of a scene, written when what it tells has changed.

No clock and no place of this machine enters it: the same scene gives the same page anywhere.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from maquette.resources import version
from maquette.scene import finished_work
from maquette.scene.atomic import write_text
from maquette.scene.events import Progress
from maquette.scene.paths import Scene

_VERSION = 1  # raised when the page would look otherwise for the same scene
_END = "</html>\n"


def write_page(scene: Scene, afresh: bool = False) -> Path:
    """Write `report.html`, unless the one that is there tells the same.

    Args:
        afresh: Write it in any case.
    """
    path = scene.report_page
    key = _content_key(scene)
    if afresh or not _stands(path, key):
        from maquette.recon.report_page.composing import compose  # slow to import: it draws

        write_text(path, compose(scene, key))
    return path


def write_after(scene: Scene, progress: Progress) -> None:
    """Write the page after work that is done, and that no failure here may undo."""
    try:
        write_page(scene)
    except ModuleNotFoundError:  # stages of another package may do without our libraries
        return
    except Exception as error:
        progress.warn(f"report.html was not written: {type(error).__name__}: {error}")


def _content_key(scene: Scene) -> str:
    """A hash of all that the page tells."""
    found = hashlib.sha256(f"{_VERSION} {version()} {scene.name}".encode())
    works = finished_work.gather(scene)
    shown = [work.scene.root / output.path for work in works for output in work.outputs]
    small = [
        *finished_work.record_files(scene), scene.transforms, scene.root / "images_raw.json",
        *scene.root.glob("results/*/*.json"),
        *scene.root.glob("results/*/*.png"), *scene.root.glob("runs/*/*/previews/*.png"),
    ]  # fmt: skip
    for path in small:
        found.update(f"{scene.relative(path)} {_digest(path)}\n".encode())
    photos = [path for folder in (scene.images, scene.images_raw) for path in folder.glob("*")]
    for path in sorted([*shown, *photos, scene.sparse / "points3D.bin"]):
        size_bytes = path.stat().st_size if path.is_file() else -1
        found.update(f"{scene.relative(path)} {size_bytes}\n".encode())
    found.update(repr(finished_work.read_licences(scene)).encode())
    return found.hexdigest()


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    except OSError:
        return "unreadable"


def _stands(path: Path, key: str) -> bool:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    return text.endswith(_END) and key in text[:500]
