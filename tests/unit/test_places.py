"""Georeference, scale and up of flights whose truth is known, and a sentence for what is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from flights import METRES_PER_UNIT, ORIGIN, Flight, fly
from maquette.errors import BadInput, ConfigError
from maquette.recon.places import finding, gravity, ground
from maquette.recon.places.finding import Finding
from maquette.recon.places.positions import Position
from maquette.recon.places.vendor_data import VendorData
from maquette.scene import geodesy, georeference
from maquette.scene.georeference import Georeference, Place


def found_by_gps(flight: Flight, told: dict[str, Position], scale: float | None = None) -> Finding:
    found = Finding()
    finding.by_gps(flight.cameras, told, scale, found)
    finding.settle_up(flight.cameras, told, None, found)
    return found


def true_up(flight: Flight) -> np.ndarray:
    up = flight.world_from_enu[:3, 2]
    return np.asarray(up / np.linalg.norm(up))


def tilt_deg(flight: Flight, up: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(up @ true_up(flight), -1, 1))))


def test_exact_positions_give_the_exact_place() -> None:
    flight = fly()
    found = found_by_gps(flight, flight.positions())
    georeferenced = found.georeference
    assert georeferenced is not None and found.why_not == ""
    assert georeferenced.metres_per_unit == pytest.approx(METRES_PER_UNIT, rel=1e-6)
    assert tilt_deg(flight, georeferenced.up) < 1e-4
    places = np.array([[0.0, 0.0, 0.0], [30.0, -20.0, 5.0]])
    expected = geodesy.Utm.of(*ORIGIN[:2]).project(geodesy.geodetic_from_enu(places, ORIGIN))
    assert georeferenced.projected(flight.world(places)) == pytest.approx(expected, abs=1e-3)
    assert found.numbers["height_over_ground_m"] == pytest.approx(40.0, abs=0.6)
    assert found.numbers["nadir_angle_deg"] < 0.1


def test_noise_and_outliers_cost_little() -> None:
    """Half a metre of scatter and one photo in six that is a street away."""
    for seed in range(3):
        flight = fly(8, 10)
        random = np.random.default_rng(seed)
        enu = flight.enu + random.normal(size=flight.enu.shape) * 0.5
        wrong = random.permutation(len(enu))[: len(enu) // 6]
        enu[wrong] += random.normal(size=(len(wrong), 3)) * 60
        found = found_by_gps(flight, flight.told(enu))
        assert found.georeference is not None
        assert found.georeference.metres_per_unit == pytest.approx(METRES_PER_UNIT, rel=0.003)
        assert tilt_deg(flight, found.georeference.up) < 0.3
        assert 0.3 < found.numbers["gps_rms_m"] < 1.5
        assert any("is off does not count" in remark for remark in found.remarks)


def test_a_scale_bar_counts_before_the_gps_s_scale() -> None:
    flight = fly()
    found = found_by_gps(flight, flight.positions(noise_m=1.0), scale=METRES_PER_UNIT)
    assert found.metres_per_unit == pytest.approx(METRES_PER_UNIT, rel=1e-9)
    assert found.numbers["gps_scale_over_bar"] == pytest.approx(1.0, abs=0.02)


def test_positions_by_chance_never_count() -> None:
    flight = fly(2, 4)
    for seed in range(4):
        random = np.random.default_rng(seed)
        enu = random.normal(size=flight.enu.shape) * 20 + [0, 0, 40]
        assert found_by_gps(flight, flight.told(enu)).georeference is None


def _moved(told: dict[str, Position], names: int, **changes: object) -> dict[str, Position]:
    first = sorted(told)[:names]
    return told | {name: replace(told[name], **changes) for name in first}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda told: {}, "none of 48 photos has a usable GPS position"),
        (lambda told: dict(list(told.items())[:3]), "3 of 48 photos have a usable GPS position"),
        (lambda told: _moved(told, 48, latitude=46.0, longitude=7.0), "only 1 different place"),
        (lambda told: _moved(told, 10, level="ellipsoid"), "altitudes are mixed"),
        (lambda told: _moved(told, 48, datum="TOKYO"), "none of 48 photos has a usable"),
        (lambda told: _moved(told, 48, altitude=None), "none of 48 photos has a usable"),
    ],
)  # fmt: skip
def test_what_can_not_be_used_is_said(change: object, sentence: str) -> None:
    flight = fly()
    found = found_by_gps(flight, change(flight.positions()))  # type: ignore[operator]
    assert found.georeference is None and sentence in found.why_not


def test_a_single_line_is_no_place() -> None:
    flight = fly(1, 12)
    assert "along one line" in found_by_gps(flight, flight.positions(0.3)).why_not


def test_coarse_positions_do_not_count() -> None:
    flight = fly(3, 3)
    found = found_by_gps(flight, flight.positions(noise_m=15.0))
    assert found.georeference is None and "too much to tell" in found.why_not


def test_swapped_coordinates_are_named() -> None:
    """A flight with heights is mirrored and does not fit; a level one would stand on its head."""
    flight = fly()
    tall = flight.enu.copy()
    tall[:, 2] += np.random.default_rng(6).uniform(-15, 15, len(tall))
    world = flight.cameras.world_from_cam.copy()
    world[:, :3, 3] = flight.world(tall)
    cameras = replace(flight.cameras, world_from_cam=world)
    swapped = {
        name: replace(one, latitude=one.longitude, longitude=one.latitude)
        for name, one in flight.told(tall).items()
    }
    found = found_by_gps(replace(flight, cameras=cameras), swapped)
    assert any("may be swapped" in remark for remark in found.remarks) or "swapped" in found.why_not
    mirrored = found_by_gps(replace(flight, cameras=cameras), flight.told(tall * [-1.0, 1.0, 1.0]))
    assert "swapped, or one has the wrong sign" in mirrored.why_not
    level = found_by_gps(flight, flight.told(flight.enu * [-1.0, 1.0, 0.0] + [0, 0, 40.0]))
    assert any("come out below what they look at" in remark for remark in level.remarks)


def test_two_flights_that_differ_are_named() -> None:
    flight = fly()
    enu = flight.enu + np.random.default_rng(1).normal(size=flight.enu.shape) * 0.3
    enu[1::2] += [0.0, 0.0, 3.0]
    start = datetime(2026, 5, 1, 9)
    told = {
        name: replace(one, time=start + timedelta(hours=2 * (row % 2), seconds=5 * row))
        for row, (name, one) in enumerate(flight.told(enu).items())
    }
    found = found_by_gps(flight, told)
    assert any("2 flights whose GPS differs" in remark for remark in found.remarks)
    same = {name: replace(one, time=start) for name, one in told.items()}
    assert not any("flights" in remark for remark in found_by_gps(flight, same).remarks)


def test_a_height_that_the_drone_does_not_tell_is_named() -> None:
    flight = fly()
    for relative, sentence in (
        (39.8, ""),
        (80.0, "above the take-off"),
        (-5.0, "below the ground"),
    ):
        told = {
            name: replace(one, vendor=VendorData(relative_altitude=relative))
            for name, one in flight.positions(0.2).items()
        }
        remarks = [text for text in found_by_gps(flight, told).remarks if "drone tells" in text]
        assert (sentence in remarks[0]) if sentence else not remarks


@pytest.mark.parametrize("pitch", [-90.0, -45.0, 0.0])
def test_the_angles_of_the_gimbal_tell_up(pitch: float) -> None:
    flight = fly(pitch_deg=pitch)
    vendors = [VendorData(pitch=pitch, roll=0.0)] * len(flight.enu)
    up = gravity.from_gimbal(flight.cameras.world_from_cam, vendors)
    assert up is not None and tilt_deg(flight, up) < 1e-3
    random = np.random.default_rng(0)
    nonsense = [VendorData(pitch=p) for p in random.uniform(-180, 180, len(flight.enu))]
    assert gravity.from_gimbal(flight.cameras.world_from_cam, nonsense) is None


def test_the_ground_tells_up_where_cameras_look_down() -> None:
    flight = fly()
    found = Finding()
    finding.settle_up(flight.cameras, {}, None, found)
    assert found.up.witness == "ground" and found.up.direction is not None
    assert tilt_deg(flight, found.up.direction) < 0.2
    level = Finding()
    finding.settle_up(fly(pitch_deg=0.0).cameras, {}, None, level)
    assert level.up.direction is None and level.up.witness == "cameras"


def test_the_ground_is_the_plane_below() -> None:
    flight = fly()
    house = flight.world(np.random.default_rng(2).uniform([-10, -10, 0], [10, 10, 8], (400, 3)))
    points = np.concatenate([flight.cameras.points, house])
    below = ground.find(points, flight.cameras.centers, true_up(flight))
    assert below is not None and tilt_deg(flight, below.up) < 0.5
    assert below.height * METRES_PER_UNIT == pytest.approx(40.0, abs=0.8)
    scattered = np.random.default_rng(3).normal(size=(500, 3)) * 30
    assert ground.find(scattered, flight.cameras.centers, true_up(flight)) is None


def test_up_is_what_a_person_says() -> None:
    assert gravity.parse("auto") is None
    assert gravity.parse("-y") == pytest.approx([0, -1, 0])
    assert gravity.parse("0, 0, 2") == pytest.approx([0, 0, 1])
    for text in ("w", "1,2", "0,0,0", "nan,0,1"):
        with pytest.raises(ConfigError, match="no direction"):
            gravity.parse(text)
    flight, found = fly(), Finding()
    finding.settle_up(flight.cameras, {}, np.array([0.0, 0.0, 1.0]), found)
    assert found.up.witness == "UP" and found.up.direction == pytest.approx([0, 0, 1])


def test_the_document_goes_there_and_back(tmp_path: Path) -> None:
    flight = fly()
    found = found_by_gps(flight, flight.positions())
    assert found.georeference is not None
    document = {"georeference": found.georeference.as_document(), "up": list(found.georeference.up)}
    (path := tmp_path / "georeference.json").write_text(json.dumps(document))
    place = georeference.read(path)
    assert place.georeference is not None and place.up is not None
    points = flight.cameras.points
    assert (
        np.abs(place.georeference.projected(points) - found.georeference.projected(points)).max()
        < 1e-6
    )
    assert georeference.read(tmp_path / "none.json") == Place()
    for text in ("{", "[]", '{"georeference": {"epsg": 1}}', '{"up": [1, 2]}'):
        path.write_text(text)
        with pytest.raises(BadInput, match="lacks or garbles"):
            georeference.read(path)


def test_gltf_stands_upright_in_metres_with_north_behind() -> None:
    flight = fly()
    matrix = np.eye(4)
    matrix[:3, :3] = np.linalg.inv(flight.world_from_enu[:3, :3])
    matrix[:3, 3] = -matrix[:3, :3] @ flight.world_from_enu[:3, 3]
    known = Georeference(geodesy.Utm.of(*ORIGIN[:2]), ORIGIN, matrix)
    place = Place(known.up, known.metres_per_unit, known)
    gltf = georeference.gltf_from_world(known.up, place)
    for enu, expected in (([5, 0, 0], [5, 0, 0]), ([0, 5, 0], [0, 0, -5]), ([0, 0, 5], [0, 5, 0])):
        world = flight.world(np.array(enu, float))
        assert gltf[:3, :3] @ world + gltf[:3, 3] == pytest.approx(expected, abs=1e-9)
    scaled = georeference.gltf_from_world(np.array([0.0, -1.0, 0.0]), Place(metres_per_unit=2.0))
    assert scaled[:3, :3] @ [0.0, -1.0, 0.0] == pytest.approx([0, 2, 0])
