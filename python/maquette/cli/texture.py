"""`maquette texture`: give any mesh of a scene the photographs' colours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from maquette.cli.arguments import AsJson, SettingWords, load_settings
from maquette.errors import ExitCode, Interrupted, NotFound, from_exit_code, shown_path

if TYPE_CHECKING:
    from maquette.config.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    app.command("texture")(texture)


def texture(settings: SettingWords = None, as_json: AsJson = False) -> None:
    """Give a mesh the photos' colours: MESH=edited.ply, or the pipeline's newest mesh."""
    from maquette.pipelines.texture import TextureOptions
    from maquette.ui import text
    from maquette.ui.tables import print_rows

    chosen = load_settings(settings, TextureOptions)
    numbers = _run(chosen, _command(chosen), as_json)
    if as_json:
        return
    files = numbers.pop("files")
    rows = [(key.replace("_", " "), text.number(value)) for key, value in numbers.items()]
    print_rows(("texture", "value"), rows)
    for name in files:
        print(f"{Path(name).name:<22} {shown_path(chosen.scene_dir / name)}")


def _command(settings: Settings) -> list[str]:
    """The command line of the data plane.

    Raises:
        NotFound: there is no such scene, or no such mesh.
    """
    from dataclasses import asdict

    from maquette.pipelines.texture import TextureOptions

    if not settings.scene_dir.is_dir():
        raise NotFound(
            f"there is no scene `{settings.model}`",
            hint=f"`make prepare MODEL={settings.model} INPUT=…` makes it",
        )
    argv = [sys.executable, "-m", "maquette.recon.texture", "--scene", str(settings.scene_dir)]
    argv += ["--pipeline", settings.pipeline]
    argv += ["--options", json.dumps(asdict(settings.of(TextureOptions)))]
    if settings.mesh:
        path = Path(settings.mesh).expanduser().resolve()
        if not path.is_file():
            raise NotFound(f"no mesh: `{settings.mesh}` (MESH)", hint="MESH=path/to/edited.ply")
        argv += ["--mesh", str(path)]
    return argv


def _run(settings: Settings, argv: list[str], as_json: bool) -> dict[str, Any]:
    """Run it, showing its progress; it stops when this process ends, in whatever way.

    Raises:
        MaquetteError: it failed; carries its own words and exit code.
    """
    from maquette.agent.step_process import LIFELINE
    from maquette.scene.events import parse_log_line
    from maquette.ui.printers import choose_printer

    read_end, write_end = os.pipe()
    environment = {**os.environ, LIFELINE: str(read_end)}
    printer, last = choose_printer(as_json), dict[str, Any]()
    try:
        with subprocess.Popen(argv, env=environment, pass_fds=[read_end], text=True,
                              stdout=subprocess.PIPE) as process:  # fmt: skip
            for line in process.stdout or ():
                printer.line(line.rstrip("\n"))
                last = parse_log_line(line) or last
    except KeyboardInterrupt:
        raise Interrupted(
            "texturing was stopped, and its files are as they were",
            hint="run the same command again",
        ) from None
    finally:
        printer.close()
        os.close(read_end)
        os.close(write_end)
    return _result(process.returncode, last)


def _result(code: int, last: dict[str, Any]) -> dict[str, Any]:
    if code == 0:
        numbers: dict[str, Any] = last["numbers"]
        return numbers
    if last.get("event") == "error":
        raise from_exit_code(last["code"], last["what"], detail=last["detail"], hint=last["hint"])
    if code < 0:
        raise Interrupted(f"texturing was ended by signal {-code}")
    raise from_exit_code(ExitCode.JOB_FAILED, f"texturing ended with {code}")
