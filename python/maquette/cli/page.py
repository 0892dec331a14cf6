"""`maquette page`: builds the web page of a checkout."""

from __future__ import annotations

import typer

from maquette.errors import shown_path


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    app.command("page")(page)


def page() -> None:
    """Build the web page that shows results; fetches what it is made of, once."""
    from maquette.viewer import web_build

    print(shown_path(web_build.build()))
