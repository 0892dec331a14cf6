"""`maquette texture`: give any mesh of a scene the photographs' colours."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from maquette.cli.arguments import AsJson, SettingWords, load_settings
from maquette.errors import NotFound, shown_path

if TYPE_CHECKING:
    from maquette.config.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    app.command("texture")(texture)


def texture(settings: SettingWords = None, as_json: AsJson = False) -> None:
    """Give a mesh the photos' colours: MESH=edited.ply, or the pipeline's newest mesh."""
    from maquette.cli.data_plane import run_program
    from maquette.pipelines.texture import TextureOptions
    from maquette.ui import text
    from maquette.ui.tables import print_rows

    chosen = load_settings(settings, TextureOptions)
    numbers = run_program(_command(chosen), "texturing", as_json)["numbers"]
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
