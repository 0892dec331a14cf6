"""A dense workspace of the synthetic scene with exact depths, as process leaves one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mvs.colmap_files import write_filtered, write_fused, write_maps
from maquette.recon.mvs.fusion import Points
from maquette.recon.mvs.patch_match import DepthMap
from maquette.recon.mvs.plan import Plan, write_plan
from maquette.scene import transforms
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame
from synthetic_scene import pixel_directions, scene_distance, write_posed_scene

VIEWS = 16
_STEPS = 64
_STEEPEST = 0.15  # cosine; matching knows nothing of steeper surfaces


def write_workspace(root: Path) -> None:
    """A prepared scene with filtered maps, normals and fused points of group `experiments`."""
    scene = write_posed_scene(root, VIEWS, 96, 72)
    frames = sorted(transforms.read(scene.transforms).frames, key=lambda frame: frame.file_path)
    folder = Scene(root, "photogrammetry").dense("experiments")
    names = [Path(frame.file_path).name for frame in frames]
    points, normals = [], []
    for name, frame in zip(names, frames, strict=True):
        found = exact_map(frame)
        write_maps(folder / "stereo", name, found)
        write_filtered(folder / "stereo", name, found.depth)
        pose, used = frame.world_from_cam, found.depth > 0
        ray = pixel_directions(frame).reshape(*used.shape, 3)[used]
        forward = ray @ pose[:3, 2]
        points.append(pose[:3, 3] + ray * (found.depth[used] / forward)[:, None])
        normals.append(found.normals[used] @ pose[:3, :3].T)
    places = np.concatenate(points).astype(np.float32)
    colors = np.clip(128 + 60 * places, 0, 255).astype(np.uint8)
    seen = np.zeros((len(places), 1), np.int32)
    write_fused(
        folder / "fused.ply",
        [Points(places, np.concatenate(normals).astype(np.float32), colors, seen)],
    )
    pairs = [[((view + 1) % VIEWS, 1.0)] for view in range(VIEWS)]
    write_plan(folder, Plan(96, (3, 2), tuple(names), ((0.5, 9.0),) * VIEWS, pairs))


def exact_map(frame: Frame) -> DepthMap:
    """True depths and normals of a view, where matching could find them."""
    lens, pose = frame.intrinsics, frame.world_from_cam
    rays = pixel_directions(frame).reshape(-1, 3)
    length = np.zeros(len(rays))
    for _ in range(_STEPS):
        length += scene_distance(pose[:3, 3] + length[:, None] * rays)
    places = pose[:3, 3] + length[:, None] * rays
    normals = _gradient(places)
    depth = length * (rays @ pose[:3, 2])
    hit = np.abs(scene_distance(places)) < 1e-3
    depth[~hit | (-(normals * rays).sum(1) < _STEEPEST)] = 0.0
    shape = lens.height, lens.width
    found = depth.reshape(shape).astype(np.float32)
    turned = (normals @ pose[:3, :3]).reshape(*shape, 3).astype(np.float32)
    return DepthMap(found, turned, np.zeros_like(found))


def _gradient(places: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = 1e-4 * np.eye(3)
    slope = [scene_distance(places + step) - scene_distance(places - step) for step in steps]
    found = np.stack(slope, axis=1)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True).clip(1e-12))
