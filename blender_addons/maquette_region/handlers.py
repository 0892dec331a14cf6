"""What Blender calls: drawing, a new frame, a change of an object, undo, another file."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import session, syncing, viewport

_drawing: Any = None


@persistent
def _on_frame(scene: bpy.types.Scene, _=None) -> None:
    viewport.show_photo(scene)


@persistent
def _on_change(scene: bpy.types.Scene, _=None) -> None:
    if not syncing.is_quiet():
        syncing.take_shapes(scene)


@persistent
def _on_undo(scene: bpy.types.Scene, _=None) -> None:
    """Numbers and shapes went back with Blender's undo; the session follows them."""
    syncing.go_back(scene)


@persistent
def _on_load(*_) -> None:
    session.end()
    viewport.forget_batches()


_HANDLERS = (
    (bpy.app.handlers.frame_change_post, _on_frame),
    (bpy.app.handlers.depsgraph_update_post, _on_change),
    (bpy.app.handlers.undo_post, _on_undo),
    (bpy.app.handlers.redo_post, _on_undo),
    (bpy.app.handlers.load_post, _on_load),
)


def register() -> None:
    """Let Blender call us."""
    global _drawing
    for calls, handler in _HANDLERS:
        calls.append(handler)
    if not bpy.app.background:
        view = bpy.types.SpaceView3D
        _drawing = view.draw_handler_add(viewport.draw, (), "WINDOW", "POST_VIEW")


def unregister() -> None:
    """Let Blender forget us."""
    global _drawing
    for calls, handler in _HANDLERS:
        calls.remove(handler)
    if _drawing is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_drawing, "WINDOW")
        _drawing = None
