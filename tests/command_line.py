"""Call the program as a person does: its own process, its own folder."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

from maquette.config.loading import MAKE_OVERRIDES
from maquette.config.settings import setting_names

ROOT = Path(__file__).resolve().parents[1]


def environment(**extra: str) -> dict[str, str]:
    """The present environment without any setting of ours in it."""
    hidden = {*setting_names(), MAKE_OVERRIDES, "MAKEFLAGS", "MAKELEVEL"}
    kept = {key: value for key, value in os.environ.items() if key not in hidden}
    return {**kept, "COLUMNS": "140", **extra}


def maquette(
    folder: Path, *words: str, limit_s: float = 270, **options: object
) -> subprocess.CompletedProcess[str]:
    """Run `maquette …` with scenes and logs below `folder`."""
    return subprocess.run(
        [sys.executable, "-m", "maquette.cli.main", *words],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=limit_s,
        **options,
    )


def maquette_here(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The same in this process: where starting one is not the point, a tenth of the time."""
    from maquette.cli.main import main

    out, err, code = StringIO(), StringIO(), 0
    with (
        chdir(folder), patch.dict(os.environ, environment(), clear=True),
        patch.object(sys, "argv", ["maquette", *words]), redirect_stdout(out), redirect_stderr(err),
    ):  # fmt: skip
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def make(folder: Path, *words: str, limit_s: float = 270) -> subprocess.CompletedProcess[str]:
    """Run `make …` in the project with scenes and logs below `folder`."""
    return subprocess.run(
        ["make", *words, f"BASE_DIR={folder}"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=limit_s,
    )
