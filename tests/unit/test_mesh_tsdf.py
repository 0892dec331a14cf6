"""A surface from depth maps: shapes in closed form, seen by known cameras."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from maquette.recon.mesh import integration
from maquette.recon.mesh.cleaning import face_components, is_watertight
from maquette.recon.mesh.depth_maps import DepthMaps
from maquette.recon.mesh.integration import DepthView, Truncation, Volume, integrate
from maquette.recon.mesh.triangles import face_cross
from maquette.recon.mesh.tsdf import TsdfOptions, extract_from_maps
from maquette.scene.region import Region
from maquette.scene.transforms import Frame, Intrinsics
from synthetic_scene import look_at

BOX = np.array([[-1.0, 1.0]] * 3)
LENS = Intrinsics(96, 96, 120.0, 120.0, 48.0, 48.0)
UNIT = Region.around([0, 0, 0], 1.0)
OPTIONS = TsdfOptions(resolution=64)
RADIUS = 0.5


def around(distance=3.0):
    """Cameras on the axes and the diagonals of a cube, all looking at its middle."""
    sides = [v for v in np.ndindex(3, 3, 3) if v != (1, 1, 1)]
    eyes = [distance * (np.array(v) - 1.0) / np.linalg.norm(np.array(v) - 1.0) for v in sides]
    poses = [look_at(eye + 1e-3, np.zeros(3)) for eye in eyes]
    return [Frame(f"{number}.png", pose, LENS) for number, pose in enumerate(poses)]


def rays(frame):
    """Ray directions [H, W, 3] with z = 1, camera frame."""
    lens = frame.intrinsics
    x, y = np.meshgrid(np.arange(lens.width) + 0.5, np.arange(lens.height) + 0.5)
    return np.stack([(x - lens.cx) / lens.fl_x, (y - lens.cy) / lens.fl_y, np.ones_like(x)], -1)


def ball_map(frame, radius=RADIUS):
    """Depth and normals of a ball about the origin."""
    pose, ray = frame.world_from_cam, rays(frame)
    center = -pose[:3, 3] @ pose[:3, :3]
    b, rr = ray @ center, (ray**2).sum(-1)
    root = b**2 - rr * (center @ center - radius**2)
    depth = np.where(root > 0, (b - np.sqrt(np.maximum(root, 0))) / rr, 0.0)
    normals = np.where(depth[..., None] > 0, (depth[..., None] * ray - center) / radius, 0.0)
    return depth.astype(np.float32), normals.astype(np.float32)


def maps(frames, read=ball_map, region=UNIT, **options):
    return DepthMaps.of(frames, lambda n: read(frames[n]), region, **options)


def test_a_ball_comes_out_closed_and_exact():
    mesh = extract_from_maps(maps(around()), BOX, OPTIONS)
    away = np.linalg.norm(mesh.vertices, axis=1)
    assert is_watertight(mesh)
    assert -1e-4 < away.mean() - RADIUS < 2e-3  # planes touch a ball from outside
    assert np.abs(away - RADIUS).max() < 0.25 * 2 / 64  # a quarter of a cell
    assert (np.einsum("ij,ij->i", face_cross(mesh), mesh.vertices[mesh.faces[:, 0]]) > 0).all()


def test_a_surface_ends_where_no_view_sees_it():
    mesh = extract_from_maps(maps(around()[:1]), BOX, replace(OPTIONS, least_support=0.1))
    eye = around()[0].world_from_cam[:3, 3]
    assert len(mesh.faces) > 500
    assert (face_components(mesh) == 0).mean() > 0.97  # but for crumbs at the rim
    assert (mesh.vertices @ eye / np.linalg.norm(eye)).min() > 0.0  # the half towards the camera


def test_blocks_are_seamless():
    whole = extract_from_maps(maps(around()), BOX, replace(OPTIONS, block_res=64))
    parts = extract_from_maps(maps(around()), BOX, replace(OPTIONS, block_res=22))
    assert is_watertight(parts)
    assert len(parts.vertices) == len(whole.vertices)
    assert cKDTree(whole.vertices).query(parts.vertices)[0].max() < 1e-5


def test_units_do_not_matter():
    region = Region.around([5.0, -2.0, 1.0], 40.0)
    frames = around()
    moved = [replace(f, world_from_cam=f.world_from_cam.copy()) for f in frames]
    for frame in moved:
        frame.world_from_cam[:3, 3] = region.world_from_unit(frame.world_from_cam[:3, 3])

    def read(number):
        depth, normals = ball_map(frames[number])
        return depth * 40.0, normals

    here = extract_from_maps(maps(frames), BOX, OPTIONS)
    there = extract_from_maps(DepthMaps.of(moved, read, region), BOX, OPTIONS)
    assert len(here.vertices) == len(there.vertices)
    np.testing.assert_allclose(here.vertices, there.vertices, atol=1e-4)


def test_a_thin_wall_keeps_its_two_sides():
    """Two parallel sides, two cells apart, each seen by cameras before it alone."""
    half, frames = 2 / 64, [f for f in around() if abs(f.world_from_cam[2, 3]) > 1.5]

    def wall(frame):
        pose, ray = frame.world_from_cam, rays(frame)
        side = np.sign(pose[2, 3])
        depth = (side * half - pose[2, 3]) / (ray @ pose[2, :3])
        hit = pose[:3, 3] + depth[..., None] * (ray @ pose[:3, :3].T)
        depth = np.where(np.abs(hit[..., :2]).max(-1) < 0.5, depth, 0)
        normals = np.broadcast_to(side * pose[2, :3], (*depth.shape, 3))
        return depth.astype(np.float32), normals.astype(np.float32)

    mesh = extract_from_maps(maps(frames, wall), BOX, OPTIONS)
    middle = np.abs(mesh.vertices[:, :2]).max(axis=1) < 0.4
    z = mesh.vertices[middle, 2]
    assert (z > 0).sum() > 500 and (z < 0).sum() > 500
    np.testing.assert_allclose(np.abs(z), half, atol=0.5 * 2 / 64)


def test_few_maps_are_held_at_a_time():
    frames, reads = around(), []

    def read(frame):
        reads.append(frame.file_path)
        return ball_map(frame)

    views = maps(frames, read, cache_bytes=1)
    for number in (0, 0, 1, 1, 0):
        views.view(number)
    assert reads == ["0.png", "1.png", "0.png"]


def test_maps_outside_the_region_give_nothing():
    mesh = extract_from_maps(maps(around(), lambda f: ball_map(f, 2.0)), BOX, OPTIONS)
    assert len(mesh.faces) == 0


@pytest.mark.parametrize("number", [0, 5, 12])
def test_the_kernel_computes_what_its_twin_does(number):
    frame = around()[number]
    random = np.random.default_rng(number)
    depth, normals = ball_map(frame)
    view = DepthView.of(frame, depth * random.uniform(0.98, 1.02, depth.shape), normals)
    places = random.integers(0, 65, (20_000, 3)).astype(np.int32)
    truncation = Truncation(0.09, 0.06, 0.2)
    results = []
    for run in (integrate, integration.integrate_reference):
        low, spacing = np.full(3, -1, np.float32), np.full(3, 2 / 64, np.float32)
        parts = np.zeros((3, len(places)), np.float32)
        volume = Volume(low, spacing, places, *parts)
        run(volume, view, truncation)
        run(volume, view, truncation)
        results.append(parts)
    assert (results[0][1] > 0).sum() > 1000
    differs = np.abs(results[0] - results[1]).max(axis=0) > 1e-5
    assert differs.mean() < 1e-3  # a voxel on the border of two pixels may be of either
