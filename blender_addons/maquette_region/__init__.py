"""See the cameras and points of a COLMAP workspace and set its region of interest.

Works as legacy add-on (Blender 3.3 and later) and as extension (4.2 and later). Everything
that needs no Blender lies in `maquette.scene`, which the installable zip carries along.
"""

from __future__ import annotations

bl_info = {
    "name": "maquette region",
    "description": "See COLMAP cameras and points, set the region of interest",
    "author": "The maquette authors",
    "version": (0, 1, 0),
    "blender": (3, 3, 0),
    "location": "3D View > Sidebar > maquette",
    "category": "3D View",
}

from . import shared_code  # noqa: E402  # Blender reads bl_info before anything else

shared_code.find()

import bpy  # noqa: E402

from . import handlers, operators, panels, properties  # noqa: E402  # they need shared code

_CLASSES = (*operators.CLASSES, *panels.CLASSES)


def register() -> None:
    """Called by Blender when the add-on is switched on."""
    properties.register()
    for kind in _CLASSES:
        bpy.utils.register_class(kind)
    handlers.register()


def unregister() -> None:
    """Called by Blender when the add-on is switched off."""
    handlers.unregister()
    for kind in reversed(_CLASSES):
        bpy.utils.unregister_class(kind)
    properties.unregister()
