"""`blender --python start.py -- SCENE`: Blender with the add-on loaded and the scene open."""

from __future__ import annotations

import sys
from pathlib import Path

import bpy

sys.path.append(str(Path(__file__).resolve().parent))
import maquette_region

maquette_region.register()


def _open(folder: str) -> None:
    bpy.context.preferences.view.show_splash = False
    bpy.app.timers.register(_restore_splash, first_interval=5.0)
    for made in list(bpy.data.objects):  # the start-up file's cube, lamp and camera
        bpy.data.objects.remove(made)
    bpy.context.scene.maquette.folder = folder
    bpy.ops.maquette.load()
    for screen in bpy.data.screens:
        for area in screen.areas:
            if area.type == "VIEW_3D":
                area.spaces.active.show_region_ui = True


def _restore_splash() -> None:
    bpy.context.preferences.view.show_splash = True


if "--" in sys.argv:
    _open(sys.argv[sys.argv.index("--") + 1])
