"""What the viewport draws: coloured points, the photo of the present frame, layers on and off."""

from __future__ import annotations

from typing import Any

import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader
from mathutils import Matrix

from maquette.scene.thinning import choose

from . import building, session

_POINT_SHADERS = ("POINT_FLAT_COLOR", "FLAT_COLOR", "3D_FLAT_COLOR")  # newest Blender first
_LINE_SHADERS = ("UNIFORM_COLOR", "3D_UNIFORM_COLOR")
_LINE_PX = 2.0
_COLORS = {
    session.SPHERE: (0.15, 0.55, 1.0, 1.0),
    session.BOX: (1.0, 0.4, 0.1, 1.0),
    session.CAMERAS: (0.25, 0.8, 0.35, 1.0),
}
_PALE = 0.25  # share of a point's own colour outside the region
_GREY = 0.42
_SENSOR = 36.0
_SOFTWARE = ("llvmpipe", "softpipe", "swiftshader", "software")
_SOFTWARE_DRAWS = 200_000  # points: a million take it two seconds a frame

_batches: list[tuple[Any, Any]] | None = None
_lines: dict[str, tuple[int, Any]] = {}  # by object: its mesh, and what is drawn of it


def forget_batches() -> None:
    """The region or the crop changed: divide the points anew at the next drawing."""
    global _batches
    _batches = None


def draw() -> None:
    """Draw points and lines into a 3D view, in colours that its own drawing does not have."""
    global _batches
    now, root, scene = session.current(), session.find(session.ROOT), bpy.context.scene
    if now is None or root is None:
        return
    if _batches is None:
        _batches = _divide(now, scene.maquette.show_cropped, scene.maquette.most_drawn)
    gpu.state.depth_test_set("LESS_EQUAL")
    gpu.state.point_size_set(scene.maquette.point_size)
    with gpu.matrix.push_pop():
        gpu.matrix.multiply_matrix(root.matrix_world)
        for shader, batch in _batches:
            batch.draw(shader)
    gpu.state.line_width_set(_LINE_PX)
    for name, color in _COLORS.items():
        made = session.find(name)
        if made is not None and not made.hide_get():
            _draw_lines(made, color)
    gpu.state.line_width_set(1.0)
    gpu.state.depth_test_set("NONE")


def _draw_lines(made: bpy.types.Object, color: tuple[float, ...]) -> None:
    shader = _shader(_LINE_SHADERS)
    if made.name not in _lines or _lines[made.name][0] != made.data.as_pointer():
        places = np.empty(3 * len(made.data.vertices), np.float32)
        ends = np.empty(2 * len(made.data.edges), np.int32)
        made.data.vertices.foreach_get("co", places)
        made.data.edges.foreach_get("vertices", ends)
        content = {"pos": places.reshape(-1, 3)}
        batch = batch_for_shader(shader, "LINES", content, indices=ends.reshape(-1, 2))
        _lines[made.name] = (made.data.as_pointer(), batch)
    shader.bind()
    shader.uniform_float("color", color)
    with gpu.matrix.push_pop():
        gpu.matrix.multiply_matrix(made.matrix_world)
        _lines[made.name][1].draw(shader)


def show_layers(settings: bpy.types.PropertyGroup) -> None:
    """Show or hide objects as the panel says."""
    for name, shown in (
        (session.PHOTO, settings.show_photo),
        (session.CAMERAS, settings.show_cameras),
        (session.SPHERE, settings.show_sphere),
        (session.BOX, settings.show_box),
        *((label, settings.show_box) for label in session.LABELS),
    ):
        made = session.find(name)
        if made is not None:
            made.hide_set(not shown)
    _hide_cropped(settings.show_cropped)
    forget_batches()
    redraw()


def spare(settings: bpy.types.PropertyGroup) -> None:
    """Draw fewer points where graphics are in software."""
    if bpy.app.background:
        return
    renderer = gpu.platform.renderer_get().lower()
    if any(word in renderer for word in _SOFTWARE):
        settings.most_drawn = min(settings.most_drawn, _SOFTWARE_DRAWS)


def apply_transparency(settings: bpy.types.PropertyGroup) -> None:
    """Bring every 3D view's x-ray to the panel's switch and slider."""
    for screen in bpy.data.screens:
        for area in screen.areas:
            if area.type == "VIEW_3D":
                shading = area.spaces.active.shading
                shading.show_xray = settings.transparent
                shading.xray_alpha = settings.opacity
    redraw()


def show_photo(scene: bpy.types.Scene) -> None:
    """Put camera and photo where the picture of the present frame was taken."""
    now, eye, photo = session.current(), session.find(session.EYE), session.find(session.PHOTO)
    if now is None or eye is None or photo is None:
        return
    model = now.opened.model
    index = min(max(scene.frame_current, 0), len(model.names) - 1)
    lens = model.lenses[index].pinhole()
    eye.matrix_basis = building.world_from_eye(model.world_from_cam[index])
    ratio = lens.fl_x / lens.fl_y  # of a pixel's height to its width
    scene.render.resolution_x, scene.render.resolution_y = lens.width, lens.height
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = max(1 / ratio, 1), max(ratio, 1)
    eye.data.sensor_width, eye.data.lens = _SENSOR, lens.fl_x / lens.width * _SENSOR
    eye.data.shift_x = -(lens.cx / lens.width - 0.5)
    eye.data.shift_y = (lens.cy - lens.height / 2) * ratio / lens.width
    settings = scene.maquette
    depth = settings.photo_depth * now.region.radius
    wide, high = lens.width / lens.fl_x * depth, lens.height / lens.fl_y * depth
    photo.matrix_basis = eye.matrix_basis @ Matrix.Translation(
        (
            (lens.width / 2 - lens.cx) / lens.fl_x * depth,
            -(lens.height / 2 - lens.cy) / lens.fl_y * depth,
            -depth,
        )
    )
    longest = max(lens.width, lens.height)  # an image empty is one unit along its longer side
    photo.scale = (wide * longest / lens.width, high * longest / lens.height, 1.0)
    photo.color[3] = settings.photo_opacity
    _load_photo(photo, now.opened.photo(model.names[index]))


def redraw() -> None:
    """Ask every 3D view to draw again."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()


def _divide(now: session.Session, show_cropped: bool, most: int) -> list[tuple[Any, Any]]:
    """Points inside in their colours, the others pale; cropped ones not at all."""
    model = now.opened.model
    kept = np.ones(len(model.points), bool)
    if now.cropped is not None and not show_cropped:
        kept = ~now.cropped
    drawn = np.flatnonzero(choose(kept & now.inside, kept & ~now.inside, most))
    if len(drawn) == 0:
        return []
    colors = np.ones((len(drawn), 4), np.float32)
    colors[:, :3] = model.colors[drawn] / 255.0
    outside = ~now.inside[drawn]
    colors[outside, :3] = _PALE * colors[outside, :3] + (1 - _PALE) * _GREY
    content = {"pos": model.points[drawn].astype(np.float32), "color": colors}
    shader = _shader(_POINT_SHADERS)
    return [(shader, batch_for_shader(shader, "POINTS", content))]


def _hide_cropped(shown: bool) -> None:
    now, points = session.current(), session.find(session.POINTS)
    if now is None or points is None:
        return
    hidden = np.zeros(len(points.data.vertices), bool)
    if now.cropped is not None and not shown:
        hidden = now.cropped
    points.data.vertices.foreach_set("hide", hidden)
    points.data.update()


def _shader(names: tuple[str, ...]) -> Any:
    for name in names:
        try:
            return gpu.shader.from_builtin(name)
        except ValueError:
            continue
    raise RuntimeError(f"this Blender has none of the shaders {', '.join(names)}")


def _load_photo(photo: bpy.types.Object, path: Any) -> None:
    """Show another picture and let go of the one before: a thousand do not fit into memory."""
    before = photo.data
    if before is not None and bpy.path.abspath(before.filepath) == str(path):
        return
    photo.data = bpy.data.images.load(str(path)) if path.is_file() else None
    if before is not None and before.users == 0:
        bpy.data.images.remove(before)
