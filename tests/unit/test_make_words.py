"""What a person gives to make arrives as it was typed; a checkout may lie anywhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import ROOT, environment
from maquette.config.loading import MAKE_OVERRIDES, load

SHOW = """
import json
from maquette.config.loading import load
settings = load()
print(json.dumps([settings.model, settings.input, str(settings.base_dir)]))
"""
PACKAGES = ":".join([str(ROOT / "python"), *sys.path])  # of this checkout first
TYPED = [
    "it's mine.mp4",
    'the "best" one.mp4',
    "cost$5 $$ $(HOME) $x ${y}.mp4",
    "back\\slash\\",
    "\\\\two \\' and \\ blank",
    "a tab\there",
    "#1 =x; `date` & 100% ~ * é.mp4",
    "$(shell touch expanded)",
]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with this Makefile, whose `maquette` tells the settings that it was given."""
    folder = tmp_path / 'it\'s my "checkout" here'
    for name in ("Makefile", ".ci/environment"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "python").mkdir()
    for name in ("pyproject.toml", "constraints.txt"):
        (folder / "python" / name).touch()
    commands = folder / ".venv/bin"
    commands.mkdir(parents=True)
    (commands / "python").symlink_to(sys.executable)
    (folder / "show.py").write_text(SHOW)
    (commands / "maquette").write_text('#!/bin/sh\nexec .venv/bin/python show.py "$@"\n')
    (commands / "maquette").chmod(0o755)
    (folder / ".venv/.made").write_text(f"{folder.resolve()}\n")
    (folder / ".venv/.ready").touch()
    return folder


@pytest.mark.parametrize("typed", TYPED)
def test_what_was_typed_arrives(checkout: Path, typed: str) -> None:
    done = subprocess.run(
        ["make", "prepare", "MODEL=shoe", f"INPUT={typed}", f"BASE_DIR=/data/{typed}"],
        cwd=checkout, env=environment(PYTHONPATH=PACKAGES), capture_output=True,
        text=True, check=False, timeout=270,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == ["shoe", typed, f"/data/{typed}"]
    assert not (checkout / "expanded").exists()


def test_other_ways_to_assign_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MAKE_OVERRIDES, "MODEL:=shoe INPUT=a\\ b:=c.mp4")
    settings = load()
    assert (settings.model, settings.input) == ("shoe", "a b:=c.mp4")


def make_in(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *words], cwd=folder, env=environment(PYTHONPATH=PACKAGES),
        capture_output=True, text=True, check=False, timeout=270,
    )  # fmt: skip


def test_a_moved_checkout_is_installed_anew_and_an_old_python_is_told_first(
    checkout: Path, tmp_path: Path
) -> None:
    old = tmp_path / "python3.10"
    old.write_text('#!/bin/sh\ncase "$2" in *exit*) exit 1;; *) echo 3.10.12 /usr;; esac\n')
    old.chmod(0o755)
    moved = checkout.rename(tmp_path / "moved")
    done = make_in(moved, "prepare", f"PYTHON={old}")
    assert done.returncode == 2 and "needs Python 3.11 or newer" in done.stderr
    assert "is 3.10.12" in done.stderr and "PYTHON=python3.1" in done.stderr
    assert "Traceback" not in done.stderr and (moved / ".venv/bin/maquette").exists()


def test_an_environment_is_right_where_it_was_made(checkout: Path, tmp_path: Path) -> None:
    def said() -> str:
        words = ("bash", ".ci/environment", "check", "python3", "")
        return subprocess.check_output(words, cwd=folder, text=True).strip()

    folder = checkout
    assert said() == ""
    folder = checkout.rename(tmp_path / "moved")
    assert said() == "stale"
    (folder / ".venv/.made").write_text(f"{folder.resolve()}\n")
    assert said() == ""
    (folder / ".venv/bin/python").unlink()
    assert said() == "stale"


def test_an_unknown_target_points_to_the_help(checkout: Path) -> None:
    done = make_in(checkout, "nosuch")
    assert done.returncode == 2 and "`make help` lists them" in done.stderr
