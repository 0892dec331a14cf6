"""What the buttons do. Each is thin: it asks `maquette.scene` and shows what comes back."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector

from maquette.errors import BadInput, MaquetteError, from_os_error
from maquette.scene import region_fits, region_search, stale_runs
from maquette.scene.region import Region
from maquette.scene.region_file import ChangedMeanwhile
from maquette.scene.workspace import open_workspace, scene_type_of

from . import building, session, syncing, viewport


class _Operator(bpy.types.Operator):
    """Says errors as sentences; greyed out while nothing is open."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        return session.current() is not None

    def execute(self, context):
        try:
            said = self.act(context)
        except MaquetteError as error:
            return self._refuse(error)
        except OSError as error:
            return self._refuse(from_os_error(error, "working with the scene"))
        if said:
            self.report({"INFO"}, said)
        viewport.redraw()
        return {"FINISHED"}

    def act(self, context) -> str:
        raise NotImplementedError

    def _refuse(self, error: MaquetteError):
        parts = (error.what, error.detail, error.hint)
        self.report({"ERROR"}, "\n".join(part for part in parts if part))
        return {"CANCELLED"}


class MAQUETTE_OT_load(_Operator):
    """Open the folder: points, cameras, photos, and the region if it is saved"""

    bl_idname = "maquette.load"
    bl_label = "Open the scene"

    @classmethod
    def poll(cls, context):
        return bool(context.scene.maquette.folder)

    def act(self, context) -> str:
        scene = context.scene
        if context.object is not None and context.object.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        opened = open_workspace(Path(bpy.path.abspath(scene.maquette.folder)))
        building.build(scene, session.begin(opened))
        syncing.show_region(scene)
        viewport.show_photo(scene)
        session.find(session.POINTS).hide_set(True)  # drawn in colour; shown to select in it
        viewport.spare(scene.maquette)
        viewport.show_layers(scene.maquette)
        _look_at_region(opened)
        points, cameras = len(opened.model.points), len(opened.model.names)
        return ". ".join([f"{points:,} points, {cameras} cameras", *opened.remarks])


class MAQUETTE_OT_reset(_Operator):
    """Read the scene's folder again: the saved region, or the automatic one"""

    bl_idname = "maquette.reset"
    bl_label = "Reset"

    def act(self, context) -> str:
        now = session.current()
        opened = open_workspace(now.opened.scene.root)
        now.opened = opened
        syncing.set_region(context.scene, opened.region)
        return ""


class MAQUETTE_OT_highlight_points(_Operator):
    """Select every point in edit mode, to take some away or box-select others; again: leave"""

    bl_idname = "maquette.highlight_points"
    bl_label = "Highlight the points"

    def act(self, context) -> str:
        points = session.find(session.POINTS)
        if points.mode == "EDIT":
            bpy.ops.object.mode_set(mode="OBJECT")
            points.hide_set(True)
            return ""
        if context.object is not None and context.object.mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        points.hide_set(False)
        for other in context.view_layer.objects:
            other.select_set(other == points)
        context.view_layer.objects.active = points
        vertices = points.data.vertices
        vertices.foreach_set("select", np.ones(len(vertices), bool))
        bpy.ops.object.mode_set(mode="EDIT")
        return ""


class MAQUETTE_OT_crop(_Operator):
    """Hide the points outside the box"""

    bl_idname = "maquette.crop"
    bl_label = "Crop the points"

    def act(self, context) -> str:
        now = session.current()
        box, points = np.asarray(now.region.box), now.opened.model.points
        cropped = ~((points >= box[:, 0]) & (points <= box[:, 1])).all(axis=1)
        syncing.set_cropped(context.scene, cropped)
        context.scene.maquette.show_cropped = False
        viewport.show_layers(context.scene.maquette)
        return f"{int(cropped.sum()):,} points are outside the box"


class MAQUETTE_OT_sphere_from_points(_Operator):
    """Put the sphere around the points that are kept; the box stays"""

    bl_idname = "maquette.sphere_from_points"
    bl_label = "Sphere around the kept points"

    def act(self, context) -> str:
        now = session.current()
        points = now.opened.model.points
        kept = points if now.cropped is None else points[~now.cropped]
        fitted = region_fits.around_points(kept)
        region = Region.around(fitted.center, fitted.radius, np.asarray(now.region.box))
        syncing.set_region(context.scene, region)
        return ""


class MAQUETTE_OT_fit_selected(_Operator):
    """Fit sphere and box around the selected points (edit mode of the points' object)"""

    bl_idname = "maquette.fit_selected"
    bl_label = "Fit to selected points"

    def act(self, context) -> str:
        now, points = session.current(), session.find(session.POINTS)
        if points.mode == "EDIT":
            points.update_from_editmode()
        selected = np.zeros(len(points.data.vertices), bool)
        points.data.vertices.foreach_get("select", selected)
        if not selected.any():
            raise BadInput("no point is selected", hint="select some in edit mode, or Highlight")
        chosen = now.opened.model.points[selected]
        syncing.set_region(context.scene, region_fits.around_points(chosen))
        return f"fitted to {len(chosen):,} points"


class MAQUETTE_OT_fit_cameras(_Operator):
    """Put the sphere around what the cameras look at, through the cameras"""

    bl_idname = "maquette.fit_cameras"
    bl_label = "Fit to cameras"

    def act(self, context) -> str:
        model = session.current().opened.model
        region = region_fits.around_cameras(model.centers, model.axes)
        syncing.set_region(context.scene, region)
        return ""


class MAQUETTE_OT_automatic(_Operator):
    """Let what the cameras have in view together decide"""

    bl_idname = "maquette.automatic"
    bl_label = "Automatic"

    def act(self, context) -> str:
        opened = session.current().opened
        found = region_search.find(scene_type_of(opened.scene), opened.model)
        syncing.set_region(context.scene, found.region)
        return found.remark


class MAQUETTE_OT_box_around_sphere(_Operator):
    """Make the box the one that holds the sphere"""

    bl_idname = "maquette.box_around_sphere"
    bl_label = "Box around the sphere"

    def act(self, context) -> str:
        region = session.current().region
        syncing.set_region(context.scene, Region.around(region.center, region.radius))
        return ""


class MAQUETTE_OT_look_through(_Operator):
    """See the scene as the camera of the present frame does, or leave it"""

    bl_idname = "maquette.look_through"
    bl_label = "Look through the camera"
    bl_options = {"REGISTER"}

    def act(self, context) -> str:
        context.scene.camera = session.find(session.EYE)
        bpy.ops.view3d.view_camera()
        return ""


class MAQUETTE_OT_export(_Operator):
    """Write the region into transforms.json; other keys stay, the old file is kept beside it"""

    bl_idname = "maquette.export"
    bl_label = "Save the region"
    bl_options = {"REGISTER"}

    over_others: bpy.props.BoolProperty(
        name="Over others", description="Also when another program changed the file meanwhile"
    )

    def act(self, context) -> str:
        now = session.current()
        region = now.region
        if self.over_others:
            now.opened = open_workspace(now.opened.scene.root)
        try:
            now.opened.save(region)
        except ChangedMeanwhile as error:
            error.hint = "Reset loads it; Save over it is the button beside Save"
            raise
        now.opened = now.opened.with_saved(region)
        again = stale_runs.rerun_advice(now.opened.scene, region)
        _show_dialog(context, [f"saved in {now.opened.scene.transforms}", *again])
        return ". ".join([f"saved in {now.opened.scene.transforms}", *again])


CLASSES = (
    MAQUETTE_OT_load,
    MAQUETTE_OT_reset,
    MAQUETTE_OT_highlight_points,
    MAQUETTE_OT_crop,
    MAQUETTE_OT_sphere_from_points,
    MAQUETTE_OT_fit_selected,
    MAQUETTE_OT_fit_cameras,
    MAQUETTE_OT_automatic,
    MAQUETTE_OT_box_around_sphere,
    MAQUETTE_OT_look_through,
    MAQUETTE_OT_export,
)


def _look_at_region(opened) -> None:
    """Turn every 3D view to the region and let it reach far enough."""
    root = session.find(session.ROOT)
    for screen in bpy.data.screens:
        for area in screen.areas:
            if area.type == "VIEW_3D":
                space = area.spaces.active
                space.clip_start, space.clip_end = 1e-3, 1e5
                space.overlay.show_relationship_lines = space.overlay.show_floor = False
                space.region_3d.view_perspective = "PERSP"
                space.region_3d.view_location = root.matrix_world @ Vector(opened.region.center)
                space.region_3d.view_distance = 3.6 * opened.region.radius


def _show_dialog(context, lines) -> None:
    if bpy.app.background:
        return

    def draw(menu, _) -> None:
        for line in lines:
            menu.layout.label(text=line)

    context.window_manager.popup_menu(draw, title="maquette", icon="CHECKMARK")
