"""`maquette adjust` and `maquette view`: windows on a scene."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

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
    """Show mesh, cameras, photos, runs and previews in the browser."""
    import threading

    from maquette.scene.paths import Scene

    chosen: Settings = load_settings(settings)
    require_scene(chosen)
    serving = _serving()
    from maquette.viewer.view_page import ViewPage

    stopped = threading.Event()

    def build(server: Any) -> None:
        page = ViewPage(server, Scene(chosen.scene_dir, chosen.pipeline))
        threading.Thread(target=page.follow, args=(stopped,), daemon=True).start()

    try:
        serving.serve(build, chosen.listen)
    finally:
        stopped.set()


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
