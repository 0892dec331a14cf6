"""Commands that move a scene to and from a bucket. Not built yet: they say so."""

from __future__ import annotations

import typer

from maquette.errors import UsageError

_MISSING = "moving scenes to and from an S3 bucket is not built yet"
_HINT = "everything stays on this machine; copy the folder scenes/<MODEL>/ to move a scene"


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    group = typer.Typer(help="Move a scene to and from an S3 bucket (not built yet).")
    for name in ("push", "pull", "clear"):
        group.command(name)(_refuse)
    app.add_typer(group, name="data")


def _refuse() -> None:
    """Not built yet."""
    raise UsageError(_MISSING, hint=_HINT)
