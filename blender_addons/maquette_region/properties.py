"""What the panels show and a person changes."""

from __future__ import annotations

import bpy
from bpy.props import (
    BoolProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from . import syncing, viewport


def _sphere_typed(settings, context) -> None:
    syncing.take_numbers(settings)


def _box_typed(settings, context) -> None:
    low, high = settings.box_min, settings.box_max
    if syncing.is_quiet():
        return
    if any(low[axis] >= high[axis] for axis in range(3)):
        syncing.show_region(context.scene)  # a minimum never crosses its maximum
    else:
        syncing.take_numbers(settings)


def _layer_switched(settings, context) -> None:
    viewport.show_layers(settings)


def _view_changed(settings, context) -> None:
    viewport.apply_transparency(settings)


def _photo_moved(settings, context) -> None:
    viewport.show_photo(context.scene)


class MaquetteSettings(bpy.types.PropertyGroup):
    """One per Blender scene."""

    folder: StringProperty(
        name="Folder",
        description="A scene folder or COLMAP workspace, with images/ and sparse/",
        subtype="DIR_PATH",
    )
    state: IntProperty(description="Which state of the session", options={"HIDDEN"})
    center: FloatVectorProperty(
        name="Centre", description="Of the sphere, world units", precision=4, update=_sphere_typed
    )
    radius: FloatProperty(
        name="Radius", description="Of the sphere, world units", default=1.0, min=1e-6,
        soft_max=100.0, precision=4, update=_sphere_typed,
    )  # fmt: skip
    box_min: FloatVectorProperty(
        name="Min", description="Lower corner of the box", precision=4, update=_box_typed
    )
    box_max: FloatVectorProperty(
        name="Max", description="Upper corner of the box", default=(1, 1, 1), precision=4,
        update=_box_typed,
    )  # fmt: skip
    transparent: BoolProperty(name="Transparent", description="X-ray", update=_view_changed)
    opacity: FloatProperty(
        name="Opacity", default=0.1, min=0.0, max=1.0, subtype="FACTOR", update=_view_changed
    )
    point_size: FloatProperty(
        name="Point size", default=3.0, min=1.0, max=20.0, subtype="PIXEL", update=_view_changed
    )
    most_drawn: IntProperty(
        name="Points drawn", description="At most; counts, crops and fits always use all",
        default=100_000_000, min=1000, step=10_000, update=_layer_switched,
    )  # fmt: skip
    photo_depth: FloatProperty(
        name="Photo depth", description="How far in front of its camera the photo stands, radii",
        default=0.4, min=0.01, max=15.0, update=_photo_moved,
    )  # fmt: skip
    photo_opacity: FloatProperty(
        name="Photo opacity", default=0.8, min=0.05, max=1.0, subtype="FACTOR", update=_photo_moved
    )
    show_photo: BoolProperty(name="Photo", default=True, update=_layer_switched)
    show_cameras: BoolProperty(name="Cameras", default=True, update=_layer_switched)
    show_box: BoolProperty(name="Box", default=True, update=_layer_switched)
    show_sphere: BoolProperty(name="Sphere", default=True, update=_layer_switched)
    show_cropped: BoolProperty(
        name="Cropped points", description="Show the points that were cropped", default=False,
        update=_layer_switched,
    )  # fmt: skip


def register() -> None:
    """Add the settings to every scene."""
    bpy.utils.register_class(MaquetteSettings)
    bpy.types.Scene.maquette = PointerProperty(type=MaquetteSettings)


def unregister() -> None:
    """Take them away."""
    del bpy.types.Scene.maquette
    bpy.utils.unregister_class(MaquetteSettings)
