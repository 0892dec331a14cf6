"""An analytic scene with known cameras and surface: a ball in a ring on a textured ground.

Frames: "world" is right-handed with z up; the object is the union of a ball and a ring around
it (a torus), standing on a disc inside a far textured sphere. Cameras follow COLMAP: x right,
y down, z forward, pixel centres at +0.5. Everything is closed form or sphere traced in numpy.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import map_coordinates
from skimage.measure import marching_cubes

from maquette.scene import transforms
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.transforms import Frame, Intrinsics, Transforms

Floats = NDArray[np.float64]
Texture = Callable[[Floats, float], Floats]
Seen = Callable[[Frame, Floats], NDArray[np.bool_]]

CENTER = np.array([0.4, -0.3, 0.5])  # of the object, world
BALL_RADIUS, RING_RADIUS, RING_THICKNESS = 0.52, 0.62, 0.17
RING_HEIGHT = -0.12
GROUND_Z = CENTER[2] - BALL_RADIUS + 0.02
GROUND_RADIUS, BACKDROP_RADIUS = 3.2, 7.0
CAMERA_DISTANCE = 2.5
_LATTICE = 64


def signed_distance(points: Floats) -> Floats:
    """Distance to the object's surface, negative inside; points [..., 3] world -> [...]."""
    local = points - CENTER
    ball = np.linalg.norm(local, axis=-1) - BALL_RADIUS
    across = np.linalg.norm(local[..., :2], axis=-1) - RING_RADIUS
    ring = np.hypot(across, local[..., 2] - RING_HEIGHT) - RING_THICKNESS
    return np.minimum(ball, ring)


def scene_distance(points: Floats) -> Floats:
    """Distance to the nearest of object and ground plane; points [..., 3] world -> [...]."""
    return np.minimum(signed_distance(points), points[..., 2] - GROUND_Z)


def truth_mesh(cells: int = 96) -> trimesh.Trimesh:
    """The object's surface alone as triangles, world units, normals outwards."""
    half = RING_RADIUS + RING_THICKNESS + 0.05
    axis = np.linspace(-half, half, cells)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1) + CENTER
    step = axis[1] - axis[0]
    values = signed_distance(grid)
    vertices, faces, _, _ = marching_cubes(values, 0.0, spacing=(step, step, step))
    return trimesh.Trimesh(vertices - half + CENTER, faces, process=False)


def region() -> Region:
    """The sphere of interest by the `object` rule: radius = distance of the cameras."""
    half = RING_RADIUS + RING_THICKNESS + 0.1
    box = np.stack([CENTER - half, CENTER + half], axis=1)
    return Region.around(CENTER, CAMERA_DISTANCE, box)


def orbit(count: int, width: int, height: int) -> list[Frame]:
    """Cameras on two rings around the object, looking at it."""
    focal = 0.5 * width / np.tan(np.deg2rad(24.0))
    camera = Intrinsics(width, height, focal, focal, width / 2, height / 2)
    frames = []
    for index in range(count):
        turn = 2 * np.pi * index / count
        lift = np.deg2rad(24.0 + 16.0 * np.sin(3 * turn))
        away = np.array([np.cos(turn) * np.cos(lift), np.sin(turn) * np.cos(lift), np.sin(lift)])
        pose = look_at(CENTER + CAMERA_DISTANCE * away, CENTER)
        frames.append(Frame(f"images/{index:04}.png", pose, camera))
    return frames


def look_at(eye: Floats, target: Floats) -> Floats:
    """world_from_cam [4, 4] of a camera at `eye` whose +z meets `target`, world z upwards."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(forward, right), forward, eye], axis=1)
    return pose


def render_views(
    count: int, width: int, height: int, seed: int = 0
) -> tuple[NDArray[np.uint8], list[Frame]]:
    """Ray trace the scene: images [N, H, W, 3] sRGB and their frames."""
    frames = orbit(count, width, height)
    texture = noise_texture(seed)
    return np.stack([_render(frame, texture) for frame in frames]), frames


def noise_texture(seed: int) -> Texture:
    """A solid texture: points [N, 3] and a blob size to colours [N, 3] in 0..1."""
    noise = np.random.default_rng(seed).random((3, _LATTICE, _LATTICE, _LATTICE)).astype(np.float32)
    return lambda points, size: _texture(noise, points, size)


def write_posed_scene(
    root: Path, count: int = 24, width: int = 160, height: int = 120, seed: int = 0
) -> Scene:
    """Write images/ and transforms.json with the true cameras: what `prepare` would leave."""
    images, frames = render_views(count, width, height, seed)
    scene = Scene(root, "neuralangelo")
    scene.images.mkdir(parents=True, exist_ok=True)
    for image, frame in zip(images, frames, strict=True):
        Image.fromarray(image).save(root / frame.file_path, compress_level=1)
    transforms.write(scene.transforms, Transforms(tuple(frames), region()))
    return scene


def write_photos(
    folder: Path, count: int = 24, width: int = 320, height: int = 240, seed: int = 0
) -> list[Frame]:
    """Write photos without poses (0000.png …) plus the truth beside them in `truth.json`."""
    images, frames = render_views(count, width, height, seed)
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index:04}.png", compress_level=1)
    truth = {f"{i:04}.png": frame.world_from_cam.tolist() for i, frame in enumerate(frames)}
    (folder.parent / f"{folder.name}_truth.json").write_text(json.dumps(truth))
    return frames


def pixel_directions(frame: Frame) -> Floats:
    """Unit directions [H·W, 3] of a frame's pixels, world."""
    camera = frame.intrinsics
    x, y = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    local = np.stack(
        [(x - camera.cx) / camera.fl_x, (y - camera.cy) / camera.fl_y, np.ones_like(x)]
    )
    directions = local.reshape(3, -1).T @ frame.world_from_cam[:3, :3].T
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _render(frame: Frame, texture: Texture) -> NDArray[np.uint8]:
    camera = frame.intrinsics
    colors = _shade(frame.world_from_cam[:3, 3], pixel_directions(frame), texture)
    return (
        (np.clip(colors, 0, 1) * 255 + 0.5).astype(np.uint8).reshape(camera.height, camera.width, 3)
    )


def _shade(eye: Floats, directions: Floats, texture: Texture) -> Floats:
    depth = _trace(eye, directions)  # [R], inf where the object is missed
    down = np.where(directions[:, 2] < -1e-6, (GROUND_Z - eye[2]) / directions[:, 2], np.inf)
    ground = eye + np.where(np.isfinite(down), down, 0)[:, None] * directions
    down[np.linalg.norm((ground - CENTER)[:, :2], axis=1) > GROUND_RADIUS] = np.inf
    offset = eye - CENTER
    along = directions @ offset
    far = -along + np.sqrt(along**2 - offset @ offset + BACKDROP_RADIUS**2)
    colors = np.empty_like(directions)
    hit = np.isinf(np.minimum(depth, down))
    colors[hit] = 0.25 + 0.5 * texture(eye + far[hit, None] * directions[hit], 1.2)
    hit = np.isfinite(down) & (down <= depth)
    colors[hit] = texture(ground[hit], 0.16) * _shadow(ground[hit])[:, None]
    hit = depth < down
    colors[hit] = object_color(eye + depth[hit, None] * directions[hit], texture)
    return colors


def object_color(points: Floats, texture: Texture) -> Floats:
    """Lit colours of points of the object's surface [N, 3] world, sRGB [N, 3]."""
    step = 1e-4 * np.eye(3)
    normals = np.stack(
        [signed_distance(points + h) - signed_distance(points - h) for h in step], -1
    )
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    light = np.array([0.36, -0.48, 0.8])
    shade = 0.62 + 0.38 * np.clip(normals @ light, 0, 1)
    tint = np.where(points[:, 2:] - CENTER[2] > 0.1, [1.0, 0.75, 0.55], [0.6, 0.85, 1.0])
    return tint * (0.15 + 0.85 * texture(points, 0.1)) * shade[:, None]


def _shadow(ground: Floats) -> Floats:
    away = np.linalg.norm((ground - CENTER)[:, :2], axis=1)
    return 1.0 - 0.45 * np.exp(-((away / 0.7) ** 4))


def _trace(eye: Floats, directions: Floats, steps: int = 64) -> Floats:
    """Sphere trace the object; [R] distance along each ray, inf for a miss."""
    depth = np.full(len(directions), np.inf)
    reach = np.linalg.norm(eye - CENTER)
    closest = np.sqrt(np.maximum(reach**2 - (directions @ (CENTER - eye)) ** 2, 0))
    active = np.nonzero(closest < RING_RADIUS + RING_THICKNESS)[0]
    walked = np.full(len(active), reach - RING_RADIUS - RING_THICKNESS)
    for _ in range(steps):
        distance = signed_distance(eye + walked[:, None] * directions[active])
        walked = walked + distance
        arrived = distance < 1e-4
        depth[active[arrived]] = walked[arrived]
        keep = ~arrived & (walked < reach + 1.0)
        active, walked = active[keep], walked[keep]
    return depth


def _texture(noise: NDArray[np.float32], points: Floats, size: float) -> Floats:
    """Multi-scale colour noise [N, 3] in 0..1 with blobs of about `size` world units."""
    total = np.zeros((len(points), 3))
    for octave, weight in ((0, 0.5), (1, 0.3), (2, 0.2)):
        at = points.T * (2**octave / size) + 17.3 * octave  # [3, N]
        for channel in range(3):
            mixed = noise[(channel + octave) % 3]
            total[:, channel] += weight * map_coordinates(mixed, at, order=1, mode="grid-wrap")
    return np.clip(0.5 + 1.5 * (total - 0.5), 0, 1)


def write_landmarks(scene: Scene, count: int = 1500, noise: float = 0.01, seed: int = 0) -> None:
    """Write sparse/0 as structure from motion would leave it: seen points, world noise [units].

    Points lie on object and ground, and are listed with the cameras that truly see them.
    """
    points = _surface_points(count, np.random.default_rng(seed))

    def seen(frame: Frame, asked: Floats) -> NDArray[np.bool_]:
        eye = frame.world_from_cam[:3, 3]
        reach = np.linalg.norm(asked - eye, axis=1)
        return _trace(eye, (asked - eye) / reach[:, None]) > reach - 0.03

    write_model(scene, points, seen, noise, seed)


def write_model(scene: Scene, points: Floats, seen: Seen, noise: float, seed: int = 0) -> None:
    """Write sparse/0 with the given surface points, `noise` world units off.

    Args:
        seen: Whether a camera's line of sight to each of the points is free.
    """
    import pycolmap

    frames = transforms.read(scene.transforms).frames
    pixels, visible = zip(*(_project(frame, points, seen) for frame in frames), strict=True)
    model = pycolmap.Reconstruction()
    lens = frames[0].intrinsics
    parameters = [lens.fl_x, lens.fl_y, lens.cx, lens.cy]
    model.add_camera_with_trivial_rig(
        pycolmap.Camera(
            camera_id=1, model="PINHOLE", width=lens.width, height=lens.height, params=parameters
        )
    )
    for number, frame in enumerate(frames):
        pose = pycolmap.Rigid3d(np.linalg.inv(frame.world_from_cam)[:3])
        image = pycolmap.Image(Path(frame.file_path).name, pixels[number], 1, number + 1)
        model.add_image_with_trivial_frame(image, pose)
    shift = np.random.default_rng(seed + 1).normal(0, noise, points.shape)
    for index in np.nonzero(np.sum(visible, axis=0) >= 3)[0]:
        seers = [number for number in range(len(frames)) if visible[number][index]]
        track = pycolmap.Track([pycolmap.TrackElement(number + 1, index) for number in seers])
        added = model.add_point3D(points[index] + shift[index], track)
        model.points3D[added].error = 0.5
    scene.sparse.mkdir(parents=True, exist_ok=True)
    model.write(scene.sparse)


def _surface_points(count: int, random: np.random.Generator) -> Floats:
    """Random points on object (two of three) and ground, [count, 3] world."""
    mesh = truth_mesh(48)
    on_object = mesh.vertices[random.integers(len(mesh.vertices), size=count * 2 // 3)]
    rest = count - len(on_object)
    radius, turn = 2.0 * np.sqrt(random.random(rest)), 2 * np.pi * random.random(rest)
    ground = np.stack([radius * np.cos(turn), radius * np.sin(turn), np.zeros(rest)], axis=1)
    ground += [CENTER[0], CENTER[1], GROUND_Z]
    return np.concatenate([on_object[on_object[:, 2] > GROUND_Z], ground])


def _project(frame: Frame, points: Floats, seen: Seen) -> tuple[Floats, NDArray[np.bool_]]:
    """Pixels [P, 2] of world points and whether the camera sees them."""
    eye, lens = frame.world_from_cam[:3, 3], frame.intrinsics
    local = (points - eye) @ frame.world_from_cam[:3, :3]
    pixels = local[:, :2] / local[:, 2:] * [lens.fl_x, lens.fl_y] + [lens.cx, lens.cy]
    inside = (pixels > 0).all(1) & (pixels < [lens.width, lens.height]).all(1)
    return pixels, seen(frame, points) & inside & (local[:, 2] > 0)
