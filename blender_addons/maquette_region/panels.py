"""The panels in the 3D view's sidebar, tab "maquette"."""

from __future__ import annotations

import bpy

from . import session


class _Panel(bpy.types.Panel):
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "maquette"

    @classmethod
    def poll(cls, context):
        return session.current() is not None


class MAQUETTE_PT_scene(_Panel):
    """Open a folder, see what is in it."""

    bl_label = "Scene"

    @classmethod
    def poll(cls, context):
        return True

    def draw(self, context) -> None:
        settings, layout, now = context.scene.maquette, self.layout, session.current()
        layout.prop(settings, "folder", text="")
        layout.operator("maquette.load", icon="FILE_FOLDER")
        if now is None:
            layout.label(text="a folder with images/ and sparse/", icon="INFO")
            return
        model = now.opened.model
        inside = int(now.inside.sum())
        layout.label(text=f"{len(model.names)} cameras")
        layout.label(text=f"{inside:,} of {len(model.points):,} points inside")
        for remark in now.opened.remarks:
            layout.label(text=remark, icon="ERROR")


class MAQUETTE_PT_region(_Panel):
    """Sphere and box, by numbers and by fits."""

    bl_label = "Region (world units)"

    def draw(self, context) -> None:
        settings, layout = context.scene.maquette, self.layout
        layout.column().prop(settings, "center")
        layout.prop(settings, "radius")
        row = layout.row()
        row.column().prop(settings, "box_min")
        row.column().prop(settings, "box_max")
        layout.operator("maquette.automatic", icon="AUTO")
        layout.operator("maquette.fit_selected", icon="VERTEXSEL")
        layout.operator("maquette.fit_cameras", icon="CAMERA_DATA")
        layout.operator("maquette.box_around_sphere", icon="MESH_CUBE")
        layout.operator("maquette.sphere_from_points", icon="MESH_UVSPHERE")


class MAQUETTE_PT_points(_Panel):
    """What is shown."""

    bl_label = "Show"

    def draw(self, context) -> None:
        settings, layout = context.scene.maquette, self.layout
        grid = layout.grid_flow(columns=2, align=True)
        for name in ("show_sphere", "show_box", "show_cameras", "show_photo"):
            grid.prop(settings, name, toggle=True)
        layout.prop(settings, "point_size")
        layout.prop(settings, "most_drawn")
        row = layout.row()
        row.prop(settings, "transparent")
        part = row.row()
        part.enabled = settings.transparent
        part.prop(settings, "opacity", text="")
        layout.operator("maquette.highlight_points", icon="STICKY_UVS_LOC")
        row = layout.row()
        row.operator("maquette.crop", icon="MOD_BOOLEAN")
        part = row.row()
        part.enabled = session.current().cropped is not None
        part.prop(settings, "show_cropped", toggle=True, text="Show cropped")


class MAQUETTE_PT_photo(_Panel):
    """The photo of the present frame."""

    bl_label = "Photo"

    def draw(self, context) -> None:
        settings, layout, scene = context.scene.maquette, self.layout, context.scene
        names = session.current().opened.model.names
        index = min(max(scene.frame_current, 0), len(names) - 1)
        layout.prop(scene, "frame_current", text="Camera")
        layout.label(text=names[index])
        layout.prop(settings, "photo_depth")
        layout.prop(settings, "photo_opacity")
        layout.operator("maquette.look_through", icon="CAMERA_DATA")


class MAQUETTE_PT_save(_Panel):
    """Write the region, or go back."""

    bl_label = "Save"

    def draw(self, context) -> None:
        now, layout = session.current(), self.layout
        saved = now.opened.saved
        same = saved is not None and saved.digest == now.region.digest
        layout.label(text="saved" if same else "not saved", icon="CHECKMARK" if same else "ERROR")
        row = layout.row(align=True)
        row.operator("maquette.export", icon="FILE_TICK").over_others = False
        row.operator("maquette.export", text="Save over it").over_others = True
        layout.operator("maquette.reset", icon="LOOP_BACK")


CLASSES = (
    MAQUETTE_PT_scene,
    MAQUETTE_PT_region,
    MAQUETTE_PT_points,
    MAQUETTE_PT_photo,
    MAQUETTE_PT_save,
)
