"""Places on the Earth: exact there and back, and as COLMAP's own formulas give them."""

from __future__ import annotations

import numpy as np
import pytest

from maquette.recon.sfm.colmap import pycolmap
from maquette.scene import geodesy
from maquette.scene.geodesy import Utm

PLACES = np.array([
    [46.8426, -91.9944, 198.6], [-33.9249, 18.4241, 12.0], [0.0, 0.0, 0.0], [78.2, 15.6, 400.0],
    [-89.9, 120.0, 2800.0], [43.6, 1.44, -30.0], [35.0, 138.7, 8848.0],
])  # fmt: skip


def test_earth_centred_coordinates_go_there_and_back() -> None:
    ecef = geodesy.ecef_from_geodetic(PLACES)
    back = geodesy.geodetic_from_ecef(ecef)
    assert np.abs(back[:, :2] - PLACES[:, :2]).max() < 1e-12 * 180
    assert np.abs(back[:, 2] - PLACES[:, 2]).max() < 1e-8
    theirs = pycolmap.GPSTransform().ellipsoid_to_ecef(PLACES)
    assert np.abs(ecef - theirs).max() < 2e-4  # theirs is GRS 80's ellipsoid


def test_east_north_and_up_are_what_they_say() -> None:
    for origin in PLACES:
        enu = geodesy.enu_from_geodetic(np.add(origin, [0.0, 0.0, 10.0]), origin)
        assert enu == pytest.approx([0.0, 0.0, 10.0], abs=1e-8)
    origin = PLACES[0]
    north = geodesy.enu_from_geodetic(np.add(origin, [1e-05, 0.0, 0.0]), origin)
    east = geodesy.enu_from_geodetic(np.add(origin, [0.0, 1e-05, 0.0]), origin)
    assert north[1] == pytest.approx(1.1115, rel=1e-3) and abs(north[0]) < 1e-6
    assert east[0] == pytest.approx(0.7629, rel=1e-3) and abs(east[1]) < 1e-6
    points = np.random.default_rng(0).normal(size=(50, 3)) * 500
    back = geodesy.enu_from_geodetic(geodesy.geodetic_from_enu(points, origin), origin)
    assert np.abs(back - points).max() < 1e-7


@pytest.mark.parametrize("place", [place for place in PLACES if abs(place[0]) < 84])
def test_utm_goes_there_and_back_and_agrees_with_colmap(place: np.ndarray) -> None:
    utm = Utm.of(*place[:2])
    projected = utm.project(place)
    back = utm.unproject(projected)
    assert np.abs(back - place).max() < 1e-10
    if 0 < abs(place[0]) < 60:  # COLMAP knows no exceptions
        (theirs,), zone = pycolmap.GPSTransform().ellipsoid_to_utm(place[None])
        assert zone == utm.zone
        assert projected == pytest.approx(theirs, abs=2e-4)


def test_zones_have_their_numbers() -> None:
    brighton = Utm.of(46.8426, -91.9944)
    assert (brighton.epsg, brighton.name) == (32615, "WGS 84 / UTM zone 15N")
    assert Utm.of(-33.9, 18.4).epsg == 32734
    assert Utm.of(60.4, 5.3).zone == 32 and Utm.of(78.2, 15.6).zone == 33
    assert Utm.of(10.0, 180.0).zone == 1 and Utm.of(10.0, -180.0).zone == 1
    assert Utm.of_epsg(32734) == Utm(34, is_north=False)
    assert Utm.of_epsg(32661) is None and Utm.of_epsg(4326) is None
