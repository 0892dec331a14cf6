"""Maps from splats and photos: heights, colours, frames and files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maquette.recon.aerial import elevation, map_files
from maquette.recon.aerial.grids import Grid
from maquette.recon.aerial.ground_mesh import ground_mesh
from maquette.recon.aerial.map_frame import map_frame
from maquette.recon.aerial.photos_on_ground import Photos
from maquette.recon.aerial.seen_from_above import seen_from_above
from maquette.recon.mesh.triangles import face_cross
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.kernels.checks import camera_before, from_above, random_gaussians
from maquette.recon.splats.median_depth import (
    median_depth,
    median_gaussians,
    median_gaussians_reference,
)
from maquette.scene.georeference import Place
from terrain_splats import Floats, frame, looking_down, place, sheet

CPU = torch.device("cpu")
GRID = Grid(-5.0, 4.0, 0.1, 100, 80)
GREY = np.array([0.5, 0.5, 0.5])


def hill(x: Floats, y: Floats) -> Floats:
    return 0.2 * x + 0.8 * np.sin(y / 2)


def striped(x: Floats, y: Floats) -> Floats:
    red = 0.5 + 0.3 * np.sin(x)
    return np.stack([red, np.full_like(x, 0.4), 0.5 + 0.3 * np.cos(y)], axis=1)


def grey(x: Floats, y: Floats) -> Floats:
    return np.tile(GREY, (len(x), 1))


@pytest.mark.parametrize("is_parallel", [False, True])
def test_the_median_gaussian_is_the_twins(is_parallel: bool) -> None:
    splats = random_gaussians(300, 0, CPU)
    splats.opacity_logits += 2.0
    camera = camera_before(97, 64, CPU)
    camera = from_above(camera) if is_parallel else camera
    found = median_gaussians(splats, camera)
    twin = median_gaussians_reference(splats, camera)
    assert (found >= 0).float().mean() > 0.2
    assert (found != twin).float().mean() < 0.01  # a half is a matter of rounding somewhere


def test_the_median_depth_is_on_the_surface_and_not_between_two() -> None:
    """Mist before a wall moves a mean, but no median."""
    wall = sheet(lambda x, y: 0 * x, grey)
    mist = sheet(lambda x, y: 0 * x + 5, grey)
    mist.opacity_logits[:] = -3.0
    camera = GRID.camera(frame(), 10.0, CPU)
    depth = median_depth(Gaussians.joined([wall, mist]), camera)
    heights = 10 - depth * frame().scales[2]
    assert float(heights.abs().max()) < 0.02


def test_heights_and_colours_seen_from_above_are_those_of_the_surface() -> None:
    found = seen_from_above(sheet(hill, striped, step_m=0.125), frame(), GRID)
    x, y = (values.ravel() for values in np.meshgrid(*GRID.centers()))
    error = np.abs(found.heights.ravel() - hill(x, y))
    assert error.mean() < 0.02 and error.max() < 0.12  # level pieces on a slope
    assert np.abs(found.colors.reshape(-1, 3) - striped(x, y)).mean() < 0.02


def test_beside_the_splats_there_is_nothing() -> None:
    beside = Grid(20.0, 4.0, 0.1, 40, 40)
    found = seen_from_above(sheet(hill, grey), frame(), beside)
    assert np.isnan(found.heights).all() and np.isnan(found.colors).all()


def test_a_sky_of_splats_hides_nothing() -> None:
    splats = Gaussians.joined([
        sheet(hill, grey), sheet(lambda x, y: 0 * x + 60, grey),
    ])  # fmt: skip
    found = seen_from_above(splats, frame(), GRID, ceiling=20.0)
    assert np.nanmax(found.heights) < 3


def test_a_large_map_is_drawn_in_blocks_that_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    splats = sheet(hill, striped)
    whole = seen_from_above(splats, frame(), GRID)
    monkeypatch.setattr("maquette.recon.aerial.grids._BLOCK_PX", 33)
    parts = seen_from_above(splats, frame(), GRID)
    assert len(list(GRID.blocks())) == 12
    assert np.allclose(whole.heights, parts.heights, atol=2e-3, equal_nan=True)
    assert np.allclose(whole.colors, parts.colors, atol=2e-3, equal_nan=True)


def test_the_frame_of_a_georeferenced_world_is_its_zone_of_utm() -> None:
    known = place().georeference
    assert known is not None
    points = np.random.default_rng(0).normal(size=(50, 3)) * 20  # 100 m
    found = frame().mapped(points) + frame().offset
    assert np.abs(found - known.projected(points)).max() < 0.01
    assert np.abs(frame().world(frame().mapped(points)) - points).max() < 1e-9
    assert frame().epsg == 32615 and frame().unit == "m"


def test_a_world_without_a_place_is_set_upright_in_its_own_units() -> None:
    up = np.array([0.0, -1.0, 0.0])
    found = map_frame(Place(), up)
    assert np.allclose(found.mapped(2 * up), [0, 0, 2])
    assert found.epsg is None and found.unit == "units"
    assert map_frame(Place(metres_per_unit=3.0), up).mapped(up)[2] == pytest.approx(3.0)


def test_edges_of_pixels_are_whole_multiples_of_their_size() -> None:
    offset = np.array([569_104.37, 5_188_000.91, 0.0])
    found = Grid.around(np.array([-3.3, -2.1]), np.array([4.4, 1.7]), 0.25, 4096, offset)
    assert (found.west + offset[0]) / 0.25 == pytest.approx(round((found.west + offset[0]) / 0.25))
    assert found.west <= -3.3 and found.west + found.columns * 0.25 >= 4.4
    assert found.north >= 1.7 and found.north - found.rows * 0.25 <= -2.1
    small = Grid.around(np.array([-3.3, -2.1]), np.array([4.4, 1.7]), 0.001, 100, offset)
    assert max(small.columns, small.rows) <= 101


def _photos(splats: Gaussians, shades: list[int], *cameras: tuple[float, float, float]) -> Photos:
    frames = [looking_down(f"{n}.jpg", *camera) for n, camera in enumerate(cameras)]
    pictures = [np.full((72, 96, 3), shade, np.uint8) for shade in shades]
    return Photos.over(splats, frames, lambda number: pictures[number], frame().axes[2])


def _on_ground(photos: Photos, x: float, y: float, z: float = 0.0) -> tuple[float, int]:
    points = torch.from_numpy(frame().world(np.array([[[x, y, z]]])))
    found = photos.on(points, torch.ones(1, 1, dtype=torch.bool))
    return float(found.colors[0, 0, 0]), int(found.views[0, 0])


def test_the_photo_that_looks_most_steeply_colours_a_place() -> None:
    photos = _photos(sheet(lambda x, y: 0 * x, grey), [51, 204], (-3, 0, 8), (3, 0, 8))
    assert _on_ground(photos, -2.5, 0) == (pytest.approx(0.2, abs=0.01), 2)
    assert _on_ground(photos, 2.5, 0) == (pytest.approx(0.8, abs=0.01), 2)
    assert 0.3 < _on_ground(photos, 0, 0)[0] < 0.7  # they meet softly


def test_what_stands_before_a_place_hides_it() -> None:
    """A roof: from above one sees nothing below it, from the west its western part."""
    ground = sheet(lambda x, y: 0 * x, grey)
    roof = sheet(lambda x, y: 0 * x + 3, grey, half_m=1.0)
    photos = _photos(Gaussians.joined([ground, roof]), [51, 204], (0, 0, 8), (-4, 0, 8))
    assert _on_ground(photos, -0.6, 0) == (pytest.approx(0.8, abs=0.01), 2)
    assert np.isnan(_on_ground(photos, 0.9, 0)[0])
    assert _on_ground(photos, 0.0, 0, z=3.0) == (pytest.approx(0.2, abs=0.01), 2)
    assert _on_ground(photos, 30.0, 0)[1] == 0


def test_small_gaps_are_filled_and_large_ones_stay() -> None:
    heights = np.full((90, 200), 2.0, np.float32)
    heights[10:14, 10:14] = np.nan
    heights[20:55, 20:55] = np.nan
    heights[20:38, 70:88] = np.nan
    heights[:, 160:] = np.nan
    heights[3, 3] = 50.0
    found = elevation.tidied(heights)
    assert np.isfinite(found[10:14, 10:14]).all() and np.isnan(found[37, 37])
    assert np.isfinite(found[20:38, 70:88]).all(), "heights enclose it"
    assert np.isfinite(found[:, 166]).all() and np.isnan(found[:, 170:]).all()
    assert np.nanmax(found) == 2.0


def test_narrow_pits_are_filled_and_houses_and_streets_stay() -> None:
    heights = np.zeros((120, 120), np.float32)
    heights[20:60, 20:60] = 5.0
    heights[20:60, 80:118] = 5.0  # a street of 20 pixels between two houses
    heights[90:94, 90:95] = -6.0
    heights[30:33, 30:33] = -6.0
    found = elevation.without_pits(heights, 0.2)
    assert found[91, 92] == 0.0 and found[31, 31] == 5.0
    assert found[40, 70] == 0.0 and found[70, 70] == 0.0 and found[25, 25] == 5.0


def test_contours_of_a_cone_are_rings_of_their_height() -> None:
    x, y = np.meshgrid(*GRID.centers())
    heights = (3 - np.hypot(x, y)).astype(np.float32)
    lines = elevation.contours(heights, GRID, 1.0, offset=100.0)
    inner = [line for line in lines if line.height == 102.0]
    assert len(inner) == 1
    assert np.abs(np.hypot(*inner[0].line.T) - 1.0).max() < 0.12
    assert np.allclose(inner[0].line[0], inner[0].line[-1])
    assert 0.2 <= elevation.interval_for(heights) <= 1.0


def test_geotiffs_lie_where_the_map_says(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio", reason="the part geo is not installed")
    heights = np.full((GRID.rows, GRID.columns), 2.5, np.float32)
    heights[0, 0] = np.nan
    (path,) = map_files.write_heights(tmp_path / "a_dsm", heights, GRID, frame())
    colors = np.full((GRID.rows, GRID.columns, 3), 0.5, np.float32)
    colors[0, 0] = np.nan
    (ortho,) = map_files.write_colors(tmp_path / "a_ortho", colors, GRID, frame())
    with rasterio.open(path) as file:
        assert file.crs.to_epsg() == 32615
        east, north = file.xy(10, 20)
        values = file.read(1, masked=True)
    x, y = GRID.centers()
    assert (east, north) == pytest.approx((x[20] + frame().offset[0], y[10] + frame().offset[1]))
    assert values.mask[0, 0] and values[5, 5] == pytest.approx(2.5 + 198.6, abs=1e-3)
    with rasterio.open(ortho) as file:
        assert file.read(4)[0, 0] == 0 and file.read(1)[5, 5] == 128


def test_without_the_part_geo_a_world_file_tells_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_files, "has_geotiff", lambda: False)
    heights = np.full((GRID.rows, GRID.columns), 2.5, np.float32)
    picture, world = map_files.write_heights(tmp_path / "a_dsm", heights, GRID, frame())
    assert np.asarray(Image.open(picture))[3, 3] == pytest.approx(201.1, abs=1e-3)
    numbers = [float(line) for line in world.read_text().split()]
    x, y = GRID.centers()
    assert numbers[:4] == [0.1, 0, 0, -0.1]
    assert numbers[4:] == pytest.approx([x[0] + frame().offset[0], y[0] + frame().offset[1]])
    ortho, _ = map_files.write_colors(
        tmp_path / "a_ortho", np.full((*heights.shape, 3), 0.5), GRID, frame()
    )
    assert Image.open(ortho).mode == "RGBA"


def test_contours_are_written_in_longitude_and_latitude(tmp_path: Path) -> None:
    known = place().georeference
    assert known is not None
    line = elevation.Contour(200.0, np.array([[0.0, 0.0], [10.0, 0.0]]))
    path = map_files.write_contours(tmp_path / "c.geojson", [line], frame(), 1.0)
    (feature,) = json.loads(path.read_text())["features"]
    (longitude, latitude), (east, _) = feature["geometry"]["coordinates"]
    assert (latitude, longitude) == pytest.approx(tuple(known.origin[:2]), abs=2e-5)
    assert east > longitude and feature["properties"] == {"height": 200.0}


def test_the_mesh_to_walk_on_faces_up_and_lies_on_the_heights() -> None:
    x, y = np.meshgrid(*GRID.centers())
    heights = hill(x, y).astype(np.float32)
    heights[:30, :30] = np.nan
    mesh = ground_mesh(heights, GRID, frame())
    assert ((face_cross(mesh) @ frame().axes[2]) > 0).all()
    places = frame().mapped(mesh.vertices)
    assert np.abs(places[:, 2] - hill(places[:, 0], places[:, 1])).max() < 1e-4
    assert not ((places[:, 0] < -2.2) & (places[:, 1] > 1.2)).any()
