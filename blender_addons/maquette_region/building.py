"""Make Blender's objects from an open workspace.

All of them are children of one empty that is turned so that the scene stands upright in
Blender; their own coordinates stay COLMAP's world.
"""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Matrix, Vector

from maquette.scene.colmap_model import SparseModel

from . import session

_BLENDER_FROM_COLMAP = np.diag([1.0, -1.0, -1.0, 1.0])  # camera axes: y up, looks along -z
_PYRAMID = np.array([[0, 1], [0, 2], [0, 3], [0, 4], [1, 2], [2, 3], [3, 4], [4, 1]])


def build(scene: bpy.types.Scene, now: session.Session) -> None:
    """Show points, cameras, sphere and box of a session; earlier ones of ours go."""
    clear()
    opened = now.opened
    collection = bpy.data.collections.new(session.COLLECTION)
    scene.collection.children.link(collection)
    root = bpy.data.objects.new(session.ROOT, None)
    root.matrix_world = _upright(opened.model)
    root.empty_display_size = 1e-6
    root[session.TOKEN] = now.token
    collection.objects.link(root)
    radius = opened.region.radius
    for made in (
        _points(opened.model),
        _cameras(opened.model, 0.12 * radius),
        _sphere(),
        _box(),
        *_labels(),
        _photo(),
        _eye(),
    ):
        made.parent = root
        collection.objects.link(made)
    scene.camera = session.find(session.EYE)
    scene.frame_start, scene.frame_end = 0, len(opened.model.names) - 1
    scene.frame_set(0)


def clear() -> None:
    """Remove every object of ours and its data."""
    collection = bpy.data.collections.get(session.COLLECTION)
    if collection is None:
        return
    for made in list(collection.objects):
        data = made.data
        bpy.data.objects.remove(made)
        if data is not None and data.users == 0:
            bpy.data.batch_remove([data])
    bpy.data.collections.remove(collection)


def world_from_eye(world_from_cam: np.ndarray) -> Matrix:
    """Where Blender's camera stands for a COLMAP pose [4, 4], in the root's coordinates."""
    return Matrix((world_from_cam @ _BLENDER_FROM_COLMAP).tolist())


def _upright(model: SparseModel) -> Matrix:
    top = Vector((-model.world_from_cam[:, :3, 1].mean(axis=0)).tolist())
    if top.length < 0.1:
        top = Vector((0.0, -1.0, 0.0))
    return top.rotation_difference(Vector((0.0, 0.0, 1.0))).to_matrix().to_4x4()


def _points(model: SparseModel) -> bpy.types.Object:
    mesh = bpy.data.meshes.new(session.POINTS)
    mesh.vertices.add(len(model.points))
    mesh.vertices.foreach_set("co", model.points.astype(np.float32).ravel())
    mesh.vertices.foreach_set("select", np.zeros(len(model.points), bool))
    colors = np.ones((len(model.points), 4), np.float32)
    colors[:, :3] = model.colors / 255.0
    layer = mesh.attributes.new("color", "BYTE_COLOR", "POINT")
    layer.data.foreach_set("color_srgb", colors.ravel())
    mesh.update()
    return bpy.data.objects.new(session.POINTS, mesh)


def _cameras(model: SparseModel, depth: float) -> bpy.types.Object:
    """All cameras as one mesh of edges: a thousand objects would stall the outliner."""
    corners = np.zeros((len(model.names), 5, 3))
    for number, lens in enumerate(model.lenses):
        flat = lens.pinhole()
        left, right = -flat.cx / flat.fl_x, (flat.width - flat.cx) / flat.fl_x
        top, bottom = -flat.cy / flat.fl_y, (flat.height - flat.cy) / flat.fl_y
        corners[number, 1:] = [
            [left, top, 1], [right, top, 1], [right, bottom, 1], [left, bottom, 1],
        ]  # fmt: skip
    rotation, centers = model.world_from_cam[:, :3, :3], model.centers
    world = np.einsum("nij,nkj->nki", rotation, depth * corners) + centers[:, None]
    edges = (_PYRAMID[None] + 5 * np.arange(len(corners))[:, None, None]).reshape(-1, 2)
    made = _wire(session.CAMERAS, world.reshape(-1, 3), edges)
    made.hide_select = True
    return made


def _sphere() -> bpy.types.Object:
    """A unit sphere of rings, one about each axis in several turns."""
    turn = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn), np.zeros(64)], axis=1)
    rings = [np.roll(ring, shift, axis=1) for shift in range(3)]
    for angle in (np.pi / 4, -np.pi / 4):
        c, s = np.cos(angle), np.sin(angle)
        rings.append(rings[1] @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]))
    loop = np.stack([np.arange(64), np.roll(np.arange(64), -1)], axis=1)
    edges = np.concatenate([loop + 64 * number for number in range(len(rings))])
    made = _wire(session.SPHERE, np.concatenate(rings), edges)
    made.lock_rotation = (True, True, True)
    return made


def _box() -> bpy.types.Object:
    corners = np.array([[n >> axis & 1 for axis in range(3)] for n in range(8)]) * 2.0 - 1.0
    pairs = [(n, n | 1 << axis) for n in range(8) for axis in range(3) if not n >> axis & 1]
    made = _wire(session.BOX, corners, np.array(pairs))
    made.lock_rotation = (True, True, True)
    return made


def _labels() -> list[bpy.types.Object]:
    """Empties at the box's six faces: Blender writes their names facing the screen."""
    made = []
    for name in session.LABELS:
        label = bpy.data.objects.new(name, None)
        label.show_name = True
        label.empty_display_type = "SPHERE"
        label.hide_select = True
        made.append(label)
    return made


def _photo() -> bpy.types.Object:
    """An image empty: the viewport shows it in every shading mode, without any material."""
    made = bpy.data.objects.new(session.PHOTO, None)
    made.empty_display_type = "IMAGE"
    made.empty_display_size = 1.0
    made.empty_image_offset = (-0.5, -0.5)
    made.use_empty_image_alpha = True
    made.hide_select = True
    return made


def _eye() -> bpy.types.Object:
    lens = bpy.data.cameras.new(session.EYE)
    lens.sensor_fit = "HORIZONTAL"
    lens.clip_start, lens.clip_end = 1e-3, 1e6
    made = bpy.data.objects.new(session.EYE, lens)
    made.hide_select = True
    return made


def _wire(name: str, vertices: np.ndarray, edges: np.ndarray) -> bpy.types.Object:
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(vertices))
    mesh.vertices.foreach_set("co", vertices.astype(np.float32).ravel())
    mesh.edges.add(len(edges))
    mesh.edges.foreach_set("vertices", edges.astype(np.int32).ravel())
    mesh.update(calc_edges_loose=True)
    return bpy.data.objects.new(name, mesh)
