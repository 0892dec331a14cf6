"""The wheel, installed in an environment of its own, far from the checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path
from shutil import copy2, copytree, ignore_patterns

from command_line import ROOT, environment

_SOURCES = ("python", "jobs", "images", "blender_addons", "LICENSE")
_MADE = ignore_patterns("__pycache__", "*.egg-info", "build")
_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
_OFFLINE = ("--quiet", "--no-deps", "--no-index")


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and an empty folder to work in."""

    programs: Path
    folder: Path

    def maquette(self, *words: str, limit_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run the installed `maquette …` in the folder."""
        return self._run(str(self.programs / "maquette"), *words, limit_s=limit_s)

    def python(self, code: str) -> str:
        """What a line of Python prints there."""
        done = self._run(str(self.programs / "python"), "-c", code, limit_s=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _run(self, *argv: str, limit_s: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv, cwd=self.folder, env=_environment(), capture_output=True, text=True,
            check=False, timeout=limit_s,
        )  # fmt: skip


def copied_sources(folder: Path) -> Path:
    """The sources as a checkout has them, where a build may leave what it makes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _SOURCES:
        source = ROOT / name
        if source.is_dir():
            copytree(source, folder / name, ignore=_MADE)
        else:
            copy2(source, folder / name)
    return folder / "python"


def build_wheel(sources: Path, target: Path) -> Path:
    """Build a wheel of a folder with a pyproject.toml, with this environment's setuptools."""
    argv = [*_PIP, "wheel", *_OFFLINE, "--no-build-isolation", "--wheel-dir", str(target)]
    _must_run([*argv, str(sources)])
    (wheel,) = target.glob("*.whl")
    return wheel


def unpacked_sdist(sources: Path, target: Path) -> Path:
    """Pack the sources as for a package index; returns them unpacked elsewhere."""
    code = f"from setuptools import build_meta; build_meta.build_sdist({str(target)!r})"
    target.mkdir()
    _must_run([sys.executable, "-c", code], cwd=sources)
    (archive,) = target.glob("*.tar.gz")
    shutil.unpack_archive(archive, target)
    return target / archive.name.removesuffix(".tar.gz")


def install(wheel: Path, folder: Path) -> Installed:
    """Install a wheel; what it depends on is lent by the environment that runs the tests."""
    venv.create(folder / "venv", with_pip=False)
    programs = folder / "venv" / "bin"
    _must_run([*_PIP, "--python", str(programs / "python"), "install", *_OFFLINE, str(wheel)])
    (packages,) = (folder / "venv" / "lib").glob("*/site-packages")
    lent = sysconfig.get_paths()["purelib"]
    (packages / "lent.pth").write_text(f"{lent}\n")  # our editable install's own .pth is not read
    empty = folder / "an empty folder"
    empty.mkdir()
    return Installed(programs, empty)


def _must_run(argv: list[str], cwd: Path | None = None) -> None:
    done = subprocess.run(
        argv, cwd=cwd, env=_environment(), capture_output=True, text=True, check=False, timeout=270
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _environment() -> dict[str, str]:
    found = environment()
    found.pop("PYTHONPATH", None)
    return found
