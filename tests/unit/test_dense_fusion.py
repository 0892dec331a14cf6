"""Filtering and fusing depth maps, and COLMAP's files for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
import pytest
from numpy.typing import NDArray

from maquette.errors import BadInput
from maquette.recon.geometry.points import read_points
from maquette.recon.mvs.colmap_files import read_maps, write_fused, write_maps
from maquette.recon.mvs.fusion import Points, filter_map, fuse, is_speckle
from maquette.recon.mvs.patch_match import DepthMap
from maquette.scene.transforms import Frame
from stereo_scene import CENTER, RADIUS, WALL, stereo_views

PAIRS = [[other for other in range(5) if other != view] for view in range(5)]


@pytest.fixture(scope="module")
def exact() -> tuple[list[DepthMap], list[Frame]]:
    """Exact depths and normals of all views."""
    views, depths = stereo_views(64, 48)
    frames = [view.frame for view in views]
    return [exact_map(*pair) for pair in zip(frames, depths, strict=True)], frames


def exact_map(frame: Frame, depth: NDArray[np.float32]) -> DepthMap:
    lens, pose = frame.intrinsics, frame.world_from_cam
    x, y = np.meshgrid(np.arange(lens.width) + 0.5, np.arange(lens.height) + 0.5)
    rays = np.stack([(x - lens.cx) / lens.fl_x, (y - lens.cy) / lens.fl_y, np.ones_like(x)], -1)
    points = depth[..., None] * rays @ pose[:3, :3].T + pose[:3, 3]
    on_ball = np.abs(np.linalg.norm(points - CENTER, axis=-1) - RADIUS) < 1e-3
    normals = np.where(on_ball[..., None], (points - CENTER) / RADIUS, [0.0, 0.0, -1.0])
    return DepthMap(depth, np.float32(normals @ pose[:3, :3]), np.zeros_like(depth))


def fused(exact: tuple[list[DepthMap], list[Frame]]) -> list[Points]:
    maps, frames = exact
    image = np.full((48, 64, 3), 100, np.uint8)
    return list(fuse(frames, PAIRS, lambda view: maps[view], lambda view: image))


def off_surface(points: NDArray[np.floating]) -> NDArray[np.floating]:
    ball = np.abs(np.linalg.norm(points - CENTER, axis=1) - RADIUS)
    return np.minimum(ball, np.abs(points[:, 2] - WALL))


def test_fused_points_lie_on_the_surface_once_with_normals_and_colours(
    exact: tuple[list[DepthMap], list[Frame]],
) -> None:
    parts = fused(exact)
    points = np.concatenate([part.points for part in parts])
    assert np.quantile(off_surface(points), 0.99) < 0.01
    seen = sum(int((found.depth > 0).sum()) for found in exact[0])
    assert 0.15 * seen < len(points) < 0.5 * seen
    assert np.allclose(np.linalg.norm(parts[0].normals, axis=1), 1, atol=1e-5)
    assert (parts[0].colors == 100).all()
    views = np.concatenate([part.views for part in parts])
    assert ((views >= 0).sum(1) >= 3).all()


def test_the_filter_removes_what_no_other_view_confirms(
    exact: tuple[list[DepthMap], list[Frame]],
) -> None:
    maps, frames = exact
    sources = list(zip(maps[1:], frames[1:], strict=True))
    wrong = DepthMap(maps[0].depth.copy(), maps[0].normals, maps[0].costs)
    wrong.depth[20:28, 28:36] *= 1.05
    kept = filter_map(wrong, frames[0], sources)
    assert not kept.depth[20:28, 28:36].any()
    assert (kept.depth > 0).mean() > 0.7


def test_small_regions_are_speckles() -> None:
    depth = np.ones((30, 30), np.float32)
    depth[5:10, 5:10] = 2.0  # 25 pixels at another depth
    depth[20, 20] = 0.0
    speckle = is_speckle(depth, 100, 0.02)
    assert speckle[5:10, 5:10].all() and speckle[20, 20] and speckle.sum() == 26


def test_maps_come_back_from_files_that_colmap_reads(
    exact: tuple[list[DepthMap], list[Frame]], tmp_path: Path
) -> None:
    found = exact[0][0]
    write_maps(tmp_path, "0.png", found)
    again = read_maps(tmp_path, "0.png")
    assert np.array_equal(again.depth, found.depth)
    assert np.array_equal(again.normals, found.normals)
    path = tmp_path / "depth_maps" / "0.png.geometric.bin"
    theirs = pycolmap.DepthMap.from_array(found.depth, 1.0, 6.0)
    theirs.write(tmp_path / "theirs.bin")
    assert path.read_bytes() == (tmp_path / "theirs.bin").read_bytes()
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(BadInput, match="no map of COLMAP"):
        read_maps(tmp_path, "0.png")


def test_fused_points_are_written_as_they_come(
    exact: tuple[list[DepthMap], list[Frame]], tmp_path: Path
) -> None:
    parts = fused(exact)
    count = write_fused(tmp_path / "fused.ply", iter(parts))
    cloud = read_points(tmp_path / "fused.ply")
    assert np.allclose(cloud.points, np.concatenate([part.points for part in parts]))
    assert cloud.normals is not None
    seen = np.frombuffer((tmp_path / "fused.ply.vis").read_bytes(), "<u4")
    assert int(seen[:2].view("<u8")[0]) == count == len(cloud.points)
    assert seen[2] == (parts[0].views[0] >= 0).sum()
    assert list(seen[3 : 3 + seen[2]]) == [view for view in parts[0].views[0] if view >= 0]
