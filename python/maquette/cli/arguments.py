"""Arguments that many commands share."""

from __future__ import annotations

from typing import Annotated

import typer

SettingWords = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME=value]...", help="settings; `maquette settings` lists them"),
]
Step = Annotated[str, typer.Argument(help="prepare, process or extract")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON, for programs")]
