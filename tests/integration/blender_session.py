"""Runs inside Blender (or with its Python module): every operator, then the facts as JSON.

`blender -b --python blender_session.py -- WORKSPACE ADDON_FOLDER RESULT.json`
"""

import json
import os
import shutil
import sys
import traceback
from pathlib import Path

WORKSPACE, ADDON, RESULT = map(Path, sys.argv[sys.argv.index("--") + 1 :])
sys.path.insert(0, str(ADDON))

import bpy  # noqa: E402
import numpy as np  # noqa: E402
from bpy_extras.object_utils import world_to_camera_view  # noqa: E402
from mathutils import Vector  # noqa: E402

import maquette_region  # noqa: E402


def run() -> dict:
    maquette_region.register()
    from maquette_region import session

    facts = {"version": list(bpy.app.version), "shared": sys.modules["maquette"].__file__}
    scene, ops = bpy.context.scene, bpy.ops.maquette
    settings = scene.maquette
    facts["greyed_out"] = [
        not getattr(ops, name).poll() for name in ("load", "export", "crop", "fit_cameras")
    ]
    settings.folder = str(WORKSPACE)
    ops.load()
    now = session.current()
    model, first = now.opened.model, now.region
    facts["loaded"] = [len(model.names), len(session.find(session.POINTS).data.vertices)]
    facts["first_color"] = list(
        session.find(session.POINTS).data.attributes["color"].data[0].color_srgb
    )
    facts["reprojection_px"] = [worst_reprojection(scene, session, index) for index in (0, 1)]
    facts["timeline"] = [scene.frame_start, scene.frame_end]
    facts["photo"] = Path(session.find(session.PHOTO).data.filepath).name
    sphere, box = session.find(session.SPHERE), session.find(session.BOX)
    sphere.location.x += 0.25
    bpy.context.view_layer.update()
    facts["dragged"] = [now.region.center[0] - first.center[0], now.region.box == first.box]
    box.scale.y *= 0.5
    bpy.context.view_layer.update()
    facts["scaled"] = np.ptp(now.region.box[1]) / np.ptp(first.box[1])
    settings.radius = 0.75
    facts["typed"] = [now.region.radius, sphere.scale[0], settings.box_min[0]]
    settings.box_min[0] = settings.box_max[0] + 1
    facts["never_crosses"] = settings.box_min[0] < settings.box_max[0]
    facts["show_and_hide"] = show_and_hide(settings, session)
    ops.fit_cameras()
    facts["cameras_fit"] = list(now.region.center)
    ops.automatic()
    settings.box_min, settings.box_max = (2.7, -2.3, 4.7), (3.3, -1.7, 5.3)
    ops.crop()
    facts["cropped"] = int(now.cropped.sum())
    ops.sphere_from_points()
    facts["kept_sphere"] = [*now.region.center, now.region.radius]
    ops.highlight_points()
    ops.fit_selected()
    ops.highlight_points()
    facts["selected_fit"] = now.region.radius
    ops.box_around_sphere()
    facts["box_width"] = float(np.ptp(now.region.box[0]))
    ops.reset()
    facts["reset"] = now.region == first
    ops.export()
    facts["exported_unchanged"] = json.loads((WORKSPACE / "transforms.json").read_text())
    facts["refused"] = refusals(ops, settings, session)
    maquette_region.unregister()
    facts["unregistered"] = not hasattr(bpy.types.Scene, "maquette")
    return facts


def worst_reprojection(scene, session, index: int) -> float:
    """Blender's camera against the pinhole: pixels between where both see the points."""
    scene.frame_set(index)
    bpy.context.view_layer.update()
    model = session.current().opened.model
    pose, lens = model.world_from_cam[index], model.lenses[index].pinhole()
    root, eye = session.find(session.ROOT), session.find(session.EYE)
    worst = 0.0
    for point in model.points[:40]:
        x, y, z = (point - pose[:3, 3]) @ pose[:3, :3]
        seen = world_to_camera_view(scene, eye, root.matrix_world @ Vector(point))
        worst = max(
            worst,
            abs(seen.x * lens.width - (lens.fl_x * x / z + lens.cx)),
            abs((1 - seen.y) * lens.height - (lens.fl_y * y / z + lens.cy)),
        )
    return worst


def show_and_hide(settings, session) -> list:
    shown = []
    for name, made in (
        ("show_box", session.BOX), ("show_sphere", session.SPHERE), ("show_photo", session.PHOTO),
        ("show_cameras", session.CAMERAS),
    ):  # fmt: skip
        setattr(settings, name, False)
        shown.append(session.find(made).hide_get())
        setattr(settings, name, True)
        shown.append(session.find(made).hide_get())
    return shown


def refusals(ops, settings, session) -> list:
    """What each bad situation says; nothing may be written by any of them."""
    said = []
    path = WORKSPACE / "transforms.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "sphere_radius": 9.0}))
    settings.radius = 0.5
    said.append(refusal(ops.export))
    said.append(str(json.loads(path.read_text())["sphere_radius"]))
    ops.export(over_others=True)
    said.append(str(json.loads(path.read_text())["sphere_radius"]))
    points = WORKSPACE / "sparse" / "0" / "points3D.bin"
    data = points.read_bytes()
    points.write_bytes(data[: len(data) // 2])
    said.append(refusal(ops.load))
    points.write_bytes(bytes(8))
    said.append(refusal(ops.load))
    points.write_bytes(data)
    shutil.move(WORKSPACE / "images", WORKSPACE / "elsewhere")
    said.append(refusal(ops.load))
    settings.folder = str(WORKSPACE / "nowhere")
    said.append(refusal(ops.load))
    return said


def refusal(operator) -> str:
    try:
        return f"no error: {operator()}"
    except RuntimeError as error:
        return str(error)


code = 0
try:
    RESULT.write_text(json.dumps(run()))
except BaseException:
    traceback.print_exc()
    code = 1
sys.stdout.flush()
os._exit(code)  # Blender's Python module may hang while the interpreter ends
