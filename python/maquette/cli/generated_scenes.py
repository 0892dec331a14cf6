"""`maquette scenes`: make scenes up, with exact depth maps, for networks to learn from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from maquette.cli.arguments import AsJson, SettingWords, load_settings
from maquette.errors import UsageError, shown_path

if TYPE_CHECKING:
    from maquette.config.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    app.command("scenes")(scenes)


def scenes(settings: SettingWords = None, as_json: AsJson = False) -> None:
    """Write COUNT made-up scenes with exact depth maps to the folder OUT, to train networks on."""
    from maquette.cli.data_plane import run_program

    chosen = load_settings(settings)
    numbers = run_program(_command(chosen), "making scenes up", as_json)["numbers"]
    if not as_json:
        print(
            f"{numbers['written']} new of {numbers['scenes']}: {shown_path(Path(numbers['out']))}"
        )


def _command(settings: Settings) -> list[str]:
    """The command line of the data plane.

    Raises:
        UsageError: it is not said where to.
    """
    if not settings.out:
        raise UsageError("where to? (OUT)", hint="make scenes COUNT=100 OUT=folder")
    argv = [sys.executable, "-m", "maquette.recon.mvsnet.generated"]
    argv += ["--out", str(Path(settings.out).expanduser().resolve())]
    argv += ["--count", str(settings.count), "--gpus", str(settings.gpu)]
    seed = settings.options.get("seed", 0) if "SEED" in settings.sources else 0
    return [*argv, "--seed", str(seed)]
