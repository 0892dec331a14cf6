"""A scene for the web page whose every place and colour is known, and servers that hand it out.

Axes of the scene: `RIGHT`, `UP`, `BACK`, a right-handed base that is none of the world's. On a
level floor stand a wall and a slope; balls of one colour each float above it, as splats and as a
mesh.
"""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
import trimesh
from PIL import Image

from maquette.recon.mesh.gltf import write_glb
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.splats.files.ply import write_ply
from maquette.recon.splats.files.sog import write_sog
from maquette.recon.splats.files.splat import write_splat
from maquette.recon.splats.gaussians import SH_C0, Gaussians

UP = np.array([0.2, -0.9, 0.4]) / np.linalg.norm([0.2, -0.9, 0.4])
RIGHT = np.cross(UP, [0.3, 0.1, 1.0])
RIGHT /= np.linalg.norm(RIGHT)
BACK = np.cross(RIGHT, UP)
# Along right, up, back: name → place and colour. Nothing is symmetric.
BALLS = {
    "red": ((1.2, 1.0, 0.0), (220, 40, 40)),
    "green": ((-0.6, 2.0, 0.0), (40, 190, 60)),
    "blue": ((-1.0, 0.6, 0.8), (50, 70, 220)),
}
RADIUS = 0.3
FLOOR = (120, 110, 100)
EYE = 0.5
SLOPE_BEGINS, SLOPE = 2.0, 0.4  # along right: how much it rises
WALL_AT = -2.0  # along back


def place(right: float, up: float, back: float) -> np.ndarray:
    """A point in the scene's frame."""
    return right * RIGHT + up * UP + back * BACK


def gaussians() -> Gaussians:
    """One large opaque Gaussian a ball."""
    means = np.array([place(*where) for where, _ in BALLS.values()])
    colors = np.array([color for _, color in BALLS.values()]) / 255
    count = len(BALLS)
    return Gaussians(
        means=torch.tensor(means, dtype=torch.float32),
        log_scales=torch.full((count, 3), float(np.log(RADIUS / 2))),
        quaternions=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(count, 1),
        opacity_logits=torch.full((count,), 8.0),
        sh=torch.tensor((colors - 0.5) / SH_C0, dtype=torch.float32)[:, None, :],
    )


def balls() -> TriangleMesh:
    """The same balls as triangles with vertex colours."""
    parts = []
    for where, color in BALLS.values():
        ball = trimesh.creation.icosphere(subdivisions=2, radius=RADIUS)
        ball.apply_translation(place(*where))
        ball.visual.vertex_colors = np.tile([*color, 255], (len(ball.vertices), 1))
        parts.append(ball)
    return _triangles(trimesh.util.concatenate(parts))


def ground() -> TriangleMesh:
    """A floor at height 0, a slope to the right and a wall in front."""
    far, end = 6.0, SLOPE_BEGINS + 3
    top = 3 * SLOPE
    corners = [
        place(*at)
        for at in (
            (-far, 0, -far), (SLOPE_BEGINS, 0, -far), (SLOPE_BEGINS, 0, far), (-far, 0, far),
            (end, top, -far), (end, top, far),
            (-far, 2, WALL_AT), (SLOPE_BEGINS, 2, WALL_AT), (-far, 0, WALL_AT),
            (SLOPE_BEGINS, 0, WALL_AT),
        )
    ]  # fmt: skip
    faces = [(0, 2, 1), (0, 3, 2), (1, 2, 5), (1, 5, 4), (6, 8, 9), (6, 9, 7)]
    colors = np.tile(np.array(FLOOR) / 255, (len(corners), 1))
    return TriangleMesh(np.array(corners, np.float32), np.array(faces, np.int32), colors=colors)


def _triangles(mesh: trimesh.Trimesh) -> TriangleMesh:
    colors = np.asarray(mesh.visual.vertex_colors)[:, :3] / 255
    vertices, faces = np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.int32)
    return TriangleMesh(vertices, faces, colors=colors)


def manifest() -> dict[str, object]:
    """What the page is to know of it."""
    low, high = place(-3, -1, -3), place(3, 3, 3)
    view = {"position": list(place(0, 1.2, 7)), "look_at": list(place(0, 1.2, 0))}
    back = [list(row) for row in np.column_stack([RIGHT, -UP, -BACK])]
    camera = {
        "name": "photo 1", "position": list(place(2, 1.5, 1)), "rotation": back, "width": 40,
        "height": 30, "fl_x": 40, "fl_y": 40, "cx": 20, "cy": 15, "thumbnail": "photo.png",
    }  # fmt: skip
    return {
        "schema_version": 1, "title": "Three balls", "up": list(UP),
        "formats": {"sog": "balls.sog", "ply": "balls.ply", "splat": "balls.splat"},
        "best_format": "sog", "splats": len(BALLS),
        "meshes": [{"name": "mesh", "url": "balls.glb"}],
        "points": [{"name": "cloud", "url": "cloud.ply"}],
        "collision_url": "ground.glb", "ground_height": 0.0, "viewer_modes": ["walk"],
        "scene_bounds": {"min": list(np.minimum(low, high)), "max": list(np.maximum(low, high))},
        "start_view": {**view, "fov_degrees": 40},
        "walk_camera_defaults": {
            "position": list(place(0, EYE, 3)), "look_at": list(place(0, EYE, 0)),
        },
        "unit": "m", "units_per_scene_unit": 2.0, "cameras": [camera], "license": "CC0",
        "annotations": [{"title": "Red", "text": "a ball", "position": list(place(0, 0.2, 2))}],
        "background": "#101820",
    }  # fmt: skip


def write(folder: Path) -> None:
    """Write the scene and manifests of it: one each for splats in one format, mesh, points."""
    for name, write_file in (("sog", write_sog), ("ply", write_ply), ("splat", write_splat)):
        write_file(folder / f"balls.{name}", gaussians())
    write_glb(folder / "balls.glb", balls(), UP, "balls")
    write_glb(folder / "ground.glb", ground(), UP, "ground")
    _write_cloud(folder / "cloud.ply")
    Image.new("RGB", (40, 30), (200, 150, 20)).save(folder / "photo.png")
    whole = manifest()
    (folder / "manifest.json").write_text(json.dumps(whole))
    for name in ("sog", "ply", "splat"):
        alone = {**whole, "best_format": name, "meshes": [], "points": []}
        (folder / f"{name}.json").write_text(json.dumps(alone))
    for name in ("meshes", "points"):
        alone = {key: value for key, value in whole.items() if key not in ("formats", "points")}
        (folder / f"{name}.json").write_text(
            json.dumps({**alone, "meshes": [], name: whole[name]}),
        )


def _write_cloud(path: Path) -> None:
    """The balls' corners as points, one column of another kind between."""
    mesh = trimesh.creation.icosphere(subdivisions=5, radius=RADIUS)
    kind = [("x", "<f8"), ("y", "<f8"), ("z", "<f8"), ("nx", "<f4"), *((n, "u1") for n in "rgb")]
    rows = np.zeros(len(BALLS) * len(mesh.vertices), kind)
    for number, (where, color) in enumerate(BALLS.values()):
        part = rows[number * len(mesh.vertices) : (number + 1) * len(mesh.vertices)]
        for axis, name in enumerate("xyz"):
            part[name] = (mesh.vertices + place(*where))[:, axis]
            part["rgb"[axis]] = color[axis]
    head = "ply\nformat binary_little_endian 1.0\n" + f"element vertex {len(rows)}\n"
    head += "".join(f"property double {name}\n" for name in "xyz") + "property float nx\n"
    head += "".join(f"property uchar {name}\n" for name in ("red", "green", "blue"))
    path.write_bytes(head.encode() + b"end_header\n" + rows.tobytes())


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder; `broken/…` breaks off half way, `refused/…` is 403; `held/…` waits."""

    release = threading.Event()

    def log_message(self, *words: object) -> None:
        pass

    def do_GET(self) -> None:
        kind, _, rest = self.path.removeprefix("/scene/").partition("/")
        if kind == "refused":
            self.send_error(403)
        elif kind in ("broken", "held"):
            self.send_half(Path(self.directory) / "scene" / rest, kind == "held")
        else:
            super().do_GET()

    def send_half(self, path: Path, goes_on: bool) -> None:
        content = path.read_bytes()
        half = len(content) // 2
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:half])
        self.wfile.flush()
        if goes_on:
            self.release.wait(270)
            self.wfile.write(content[half:])


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, threading.Event]]:
    """Serve a folder on a free port; gives its address, and what ends the waiting of `held/`."""

    class Handler(_Handler):
        release = threading.Event()

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))
    )
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", Handler.release
    finally:
        Handler.release.set()
        server.shutdown()
        server.server_close()
