"""The scene that a command is about, opened to see and set its region."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maquette.errors import NotFound, shown_path

if TYPE_CHECKING:
    from maquette.config.settings import Settings
    from maquette.scene.workspace import Workspace


def open_scene(settings: Settings) -> Workspace:
    """Open the scene of MODEL.

    Raises:
        NotFound: there is none.
        BadInput: its parts are missing, damaged or do not belong together.
    """
    from maquette.scene.workspace import open_workspace

    require_scene(settings)
    return open_workspace(settings.scene_dir)


def require_scene(settings: Settings) -> None:
    """Make sure that MODEL has a folder.

    Raises:
        NotFound: it has none.
    """
    if not settings.scene_dir.is_dir():
        raise NotFound(
            f"there is no scene `{settings.model}`: `{shown_path(settings.scene_dir)}`",
            hint=f"`make prepare MODEL={settings.model} INPUT=…` makes it",
        )
