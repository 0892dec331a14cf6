"""Runs inside Blender (or with its Python module): every operator, then the facts as JSON.

`blender -b --python blender_session.py -- WORKSPACE ADDON RESULT.json`; ADDON is the folder that
holds the add-on, or the zip, which is then installed as a person would install it.
"""

import importlib
import json
import os
import shutil
import sys
import traceback
from pathlib import Path

WORKSPACE, ADDON, RESULT = map(Path, sys.argv[sys.argv.index("--") + 1 :])

import bpy  # noqa: E402
import numpy as np  # noqa: E402
from bpy_extras.object_utils import world_to_camera_view  # noqa: E402
from mathutils import Vector  # noqa: E402


def switch_on() -> str:
    """Make Blender know the add-on; the name of its module."""
    if ADDON.suffix != ".zip":
        sys.path.insert(0, str(ADDON))
        importlib.import_module("maquette_region").register()
        return "maquette_region"
    if hasattr(bpy.ops, "extensions") and bpy.app.version >= (4, 2):
        bpy.ops.extensions.package_install_files(
            filepath=str(ADDON), repo="user_default", enable_on_install=True
        )
        return "bl_ext.user_default.maquette_region"
    bpy.ops.preferences.addon_install(filepath=str(ADDON))
    bpy.ops.preferences.addon_enable(module="maquette_region")
    return "maquette_region"


def switch_off(module: str) -> None:
    if ADDON.suffix == ".zip":
        bpy.ops.preferences.addon_disable(module=module)
    else:
        sys.modules[module].unregister()


def speak(language: str) -> str:
    """Set the language of the interface and of new objects' names; its word for a cube."""
    view = bpy.context.preferences.view
    view.language = language
    view.use_translate_new_dataname = view.use_translate_interface = True
    return bpy.app.translations.pgettext_iface("Cube")


def run() -> dict:
    language = os.environ.get("MAQUETTE_LANGUAGE", "")
    word = speak(language) if language else ""
    module = switch_on()
    session = importlib.import_module(f"{module}.session")
    facts = {
        "enabled": bpy.context.preferences.addons.get(module) is not None,
        "version": list(bpy.app.version),
        "word": word,
        "shared": sys.modules["maquette"].__file__,
    }
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
    facts["transparency"] = transparency(settings)
    facts["photo_off_px"] = [photo_off(scene, session, depth) for depth in (0.01, 0.4, 3.0, 15.0)]
    ops.fit_cameras()
    facts["cameras_fit"] = list(now.region.center)
    ops.automatic()
    settings.box_min, settings.box_max = (2.7, -2.3, 4.7), (3.3, -1.7, 5.3)
    ops.crop()
    facts["cropped"] = int(now.cropped.sum())
    facts["hidden"] = [hidden(session)]
    for settings.show_cropped in (True, False):
        facts["hidden"].append(hidden(session))
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
    switch_off(module)
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


def transparency(settings) -> list:
    """X-ray of every 3D view, before, while it is switched on, and after."""
    seen = []
    for settings.transparent, settings.opacity in ((False, 0.1), (True, 0.3), (False, 0.3)):
        views = [area.spaces.active.shading for screen in bpy.data.screens
                 for area in screen.areas if area.type == "VIEW_3D"]  # fmt: skip
        seen.append(sorted({(view.show_xray, round(view.xray_alpha, 6)) for view in views}))
    return seen


def photo_off(scene, session, depth: float) -> float:
    """How far the corners of the photo, slid to this depth, are from the picture's, in pixels."""
    scene.maquette.photo_depth = depth
    bpy.context.view_layer.update()
    photo, eye = session.find(session.PHOTO), session.find(session.EYE)
    lens = session.current().opened.model.lenses[scene.frame_current].pinhole()
    longest = max(lens.width, lens.height)
    worst = 0.0
    for right in (0, 1):
        for up in (0, 1):
            corner = Vector(
                ((right - 0.5) * lens.width / longest, (up - 0.5) * lens.height / longest, 0)
            )
            seen = world_to_camera_view(scene, eye, photo.matrix_world @ corner)
            assert abs(seen.z / session.current().region.radius / depth - 1) < 1e-4
            worst = max(worst, abs(seen.x - right) * lens.width, abs(seen.y - up) * lens.height)
    return worst


def hidden(session) -> int:
    return sum(vertex.hide for vertex in session.find(session.POINTS).data.vertices)


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
