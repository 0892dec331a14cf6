"""Blender as the window to adjust in: find it, start it with the add-on, pack the add-on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from maquette.errors import ConfigError, JobFailed
from maquette.resources import PACKAGE, ROOT
from maquette.scene import region_file, stale_runs
from maquette.scene.atomic import replacing
from maquette.scene.workspace import Workspace
from maquette.viewer.picture import redraw

ADDON = ROOT / "blender_addons" / "maquette_region"
START = ROOT / "blender_addons" / "start.py"
ZIP = Path("dist") / "maquette_region.zip"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of every file in the zip, so that equal content is an equal zip


def find(program: str = "") -> str | None:
    """The Blender program: the named one, else the one on the PATH."""
    return shutil.which(program or "blender")


def is_wanted(view: str, program: str) -> bool:
    """Whether to adjust in Blender: asked for, or `auto` with Blender and a screen there.

    Raises:
        ConfigError: Blender is asked for, but not found.
    """
    if view == "blender" and find(program) is None:
        raise ConfigError(
            f"there is no Blender: `{program or 'blender'}`",
            hint="install it, name it with BLENDER=/path/to/blender, or use VIEW=browser",
        )
    return view == "blender" or (view == "auto" and find(program) is not None and has_screen())


def adjust(opened: Workspace, program: str) -> None:
    """Open the scene in Blender and wait until it is closed; then say what must run again.

    Raises:
        JobFailed: Blender ended with an error.
    """
    found = find(program) or "blender"
    argv = [found, "--python", str(START), "--", str(opened.scene.root)]
    done = subprocess.run(argv, check=False, env=environment())
    if done.returncode != 0:
        raise JobFailed(
            f"Blender ended with {done.returncode}", hint="VIEW=browser needs no Blender"
        )
    now = region_file.current(opened.scene.transforms)
    if now is None or (opened.saved and now.digest == opened.saved.digest):
        print("the region is as it was")
        return
    print(f"saved: {region_file.describe(now)}")
    for sentence in (redraw(opened.scene), *stale_runs.rerun_advice(opened.scene, now)):
        if sentence:
            print(sentence)


def environment() -> dict[str, str]:
    """What Blender starts with: the system's Python before that of pyenv, conda or a venv.

    A Blender that uses the system's Python looks for it on the PATH, and for its numpy beside it.
    """
    return {**os.environ, "PATH": os.pathsep.join([os.defpath, os.environ.get("PATH", "")])}


def build_addon(target: Path = ZIP) -> Path:
    """Pack the add-on, with the scene contract that it shares, into an installable zip."""
    files = {path.relative_to(ADDON): path for path in _sources(ADDON)}
    shared = [PACKAGE / name for name in ("__init__.py", "counting.py", "errors.py")]
    shared += [*_sources(PACKAGE / "scene"), *_sources(PACKAGE / "pipelines")]
    files |= {Path("shared/maquette") / path.relative_to(PACKAGE): path for path in shared}
    files[Path("LICENSE")] = ROOT / "LICENSE"
    with replacing(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for place, path in sorted(files.items()):
            entry = zipfile.ZipInfo(f"{ADDON.name}/{place.as_posix()}", _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return target


def _sources(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix in (".py", ".toml")]


def has_screen() -> bool:
    """Whether a window can open here."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
