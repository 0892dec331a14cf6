"""Runs inside Blender with a window, after start.py: changes the region, then undoes and redoes.

`blender --python start.py --python blender_undo.py -- WORKSPACE RESULT.json`; Blender keeps no
undo steps without a window.
"""

import json
import sys
import traceback
from pathlib import Path

import bpy

RESULT = Path(sys.argv[-1])
STEPS = []


def note(name: str) -> None:
    """Write down region and crop as the session, the panel and the shapes have them."""
    from maquette_region import session

    now, settings, sphere = (
        session.current(), bpy.context.scene.maquette, session.find(session.SPHERE)
    )  # fmt: skip
    STEPS.append(
        {
            "step": name,
            "is_open": now is not None,
            "is_saved": now is not None and now.region == now.opened.saved,
            "center": now and list(now.region.center),
            "radius": now and now.region.radius,
            "typed": settings.radius,
            "shape": sphere and [sphere.scale[0], *sphere.location],
            "cropped": now and now.cropped is not None and int(now.cropped.sum()),
            "hidden": now and sum(p.hide for p in session.find(session.POINTS).data.vertices),
        }
    )


def change() -> None:
    from maquette_region import session

    view, ops = bpy.context.scene.maquette, bpy.ops.maquette
    ops.fit_cameras("EXEC_DEFAULT", True)
    note("fit")
    view.radius = 0.5
    bpy.ops.ed.undo_push(message="typed")
    note("typed")
    sphere = session.find(session.SPHERE)
    for other in bpy.context.view_layer.objects:
        other.select_set(other == sphere)
    bpy.context.view_layer.objects.active = sphere
    bpy.ops.ed.undo_push(message="selected")
    bpy.ops.transform.translate("EXEC_DEFAULT", True, value=(0.25, 0, 0))
    bpy.context.view_layer.update()
    note("dragged")
    view.box_min = (2.8, -2.2, 4.8)
    bpy.ops.ed.undo_push(message="box")
    ops.crop("EXEC_DEFAULT", True)
    note("cropped")


def go_back() -> None:
    for name in ("undo crop", "undo box", "undo drag", "undo select", "undo typed", "undo fit"):
        bpy.ops.ed.undo()
        note(name)
    for name in ("redo fit", "redo typed", "redo select", "redo drag", "redo box", "redo crop"):
        bpy.ops.ed.redo()
        note(name)
    for _ in range(7):
        bpy.ops.ed.undo()
    note("undo open")
    bpy.ops.ed.redo()
    note("redo open")


def run() -> None:
    try:
        window = bpy.context.window_manager.windows[0]
        area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
        region = next(region for region in area.regions if region.type == "WINDOW")
        with bpy.context.temp_override(window=window, area=area, region=region):
            bpy.ops.ed.undo_push(message="opened")
            note("open")
            change()
            go_back()
        RESULT.write_text(json.dumps(STEPS))
    except BaseException:
        traceback.print_exc()
    bpy.ops.wm.quit_blender()


bpy.app.timers.register(run, first_interval=0.5)
