"""The files that say what the video shows: the owl's surface and every frame's camera."""

import json

import bpy
import numpy as np

from camera_path import world_from_cam
from owl_scene import add_mesh

FACE_BUDGET = 44_000  # 0.9 MB
BOX_MARGIN = 0.04
BOX_BOTTOM = 0.015  # above the ground, so that the ground takes no part in an evaluation


def decimated(owl, face_budget):
    """The owl with fewer triangles: ([V, 3] float32, [F, 3] int32)."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    material = bpy.data.materials.new("clay")
    thing = add_mesh("owl", owl.vertices, owl.faces, material)
    modifier = thing.modifiers.new("fewer", "DECIMATE")
    modifier.ratio = face_budget / len(owl.faces)
    mesh = thing.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
    mesh.calc_loop_triangles()
    vertices = np.empty(3 * len(mesh.vertices), np.float32)
    faces = np.empty(3 * len(mesh.loop_triangles), np.int32)
    mesh.vertices.foreach_get("co", vertices)
    mesh.loop_triangles.foreach_get("vertices", faces)
    return vertices.reshape(-1, 3), faces.reshape(-1, 3)


def write_ply(path, vertices, faces):
    """Write a binary little-endian PLY triangle mesh."""
    header = (
        "ply\nformat binary_little_endian 1.0\n"
        f"element vertex {len(vertices)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        f"element face {len(faces)}\n"
        "property list uchar int vertex_indices\nend_header\n"
    )
    rows = np.empty(len(faces), [("count", "u1"), ("indices", "<i4", 3)])
    rows["count"], rows["indices"] = 3, faces
    path.write_bytes(header.encode() + vertices.astype("<f4").tobytes() + rows.tobytes())


def evaluation_box(vertices):
    """A box round the owl whose bottom is just above the ground, [[low, high]] for x, y, z."""
    low, high = vertices.min(axis=0) - BOX_MARGIN, vertices.max(axis=0) + BOX_MARGIN
    low[2] = BOX_BOTTOM
    return [[round(float(a), 3), round(float(b), 3)] for a, b in zip(low, high, strict=True)]


def write_ground_truth(folder, owl, film):
    """Write ground_truth.ply and ground_truth.json into a folder."""
    vertices, faces = decimated(owl, FACE_BUDGET)
    write_ply(folder / "ground_truth.ply", vertices, faces)
    frames = [
        {"index": index, "world_from_cam": np.round(world_from_cam(index, film), 9).tolist()}
        for index in range(film.frame_count)
    ]
    document = {
        "schema_version": 1,
        "units": "owl heights; z up, ground at z = 0",
        "fps": film.fps,
        "width": film.width,
        "height": film.height,
        "fl_x": film.focal_px,
        "fl_y": film.focal_px,
        "cx": 0.5 * film.width,
        "cy": 0.5 * film.height,
        "camera_axes": "x right, y down, z forward; pixel centres at +0.5",
        "object_mesh": "ground_truth.ply",
        "evaluation_box": evaluation_box(vertices),
        "frames": frames,
    }
    lines = json.dumps({**document, "frames": None}, indent=2).split('"frames": null')
    rows = ",\n    ".join(json.dumps(frame) for frame in frames)
    text = f'{lines[0]}"frames": [\n    {rows}\n  ]{lines[1]}\n'
    (folder / "ground_truth.json").write_text(text)
