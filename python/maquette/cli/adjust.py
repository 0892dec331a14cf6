"""`maquette adjust` and `maquette view`: windows on a scene."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import typer

from maquette.cli.arguments import SettingWords, load_settings
from maquette.cli.workspaces import open_scene, require_scene
from maquette.errors import missing_part

if TYPE_CHECKING:
    from maquette.config.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Register this group's commands."""
    app.command("adjust")(adjust)
    app.command("view")(view)
    app.command("blender-addon")(blender_addon)


def adjust(settings: SettingWords = None) -> None:
    """Set the region by hand, in Blender or in the browser (VIEW=auto, blender or browser)."""
    from maquette.viewer import blender

    chosen = load_settings(settings)
    opened = open_scene(chosen)
    if blender.is_wanted(chosen.view, chosen.blender):
        blender.adjust(opened, chosen.blender)
        return
    serving = _serving()
    from maquette.viewer.adjust_page import AdjustPage

    serving.serve(lambda server: AdjustPage(server, opened), chosen.listen)


def view(settings: SettingWords = None) -> None:
    """Show all scenes of this machine in the browser; MODEL=name begins with one."""
    chosen: Settings = load_settings(settings)
    opening = ""
    if "MODEL" in chosen.sources:
        require_scene(chosen)
        opening = chosen.model
    try:
        from maquette.viewer import web_build
        from maquette.viewer.gallery import serving
    except ModuleNotFoundError as error:
        raise missing_part("view", "the browser page", error) from error
    scenes = chosen.scene_dir.parent
    serving.serve(scenes, web_build.build(), chosen.listen, opening, is_opened=chosen.open)


def blender_addon() -> None:
    """Make the installable zip of the Blender add-on in dist/."""
    from maquette.viewer import blender

    print(blender.build_addon())


def _serving() -> ModuleType:
    try:
        from maquette.viewer import serving
    except ModuleNotFoundError as error:
        raise missing_part("view", "the browser page", error) from error
    return serving
