"""What photos tell of their place, whoever wrote it."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from geotagging import XMP, write_photo
from maquette.recon.places import positions, vendor_data

GPS = ExifTags.GPS
FLIGHT = "MAQUETTE_TEST_FLIGHT"


def test_degrees_height_time_and_a_drones_own_facts(tmp_path: Path) -> None:
    path = write_photo(
        tmp_path / "a.jpg", (46.842607, -91.994559, 198.309), time="2016:06:23 16:31:59",
        xmp=XMP.format(relative="+39.80", pitch="-89.90", roll="+0.00", yaw="+12.50"),
    )  # fmt: skip
    found = positions.read(path)
    assert found is not None
    assert found.latitude == pytest.approx(46.842607, abs=1e-9)
    assert found.longitude == pytest.approx(-91.994559, abs=1e-9)
    assert found.altitude == pytest.approx(198.309, abs=1e-3) and found.level == "sea"
    assert found.time == datetime(2016, 6, 23, 16, 31, 59)
    vendor = found.vendor
    assert (vendor.relative_altitude, vendor.pitch, vendor.roll, vendor.yaw) == (
        39.8,
        -89.9,
        0,
        12.5,
    )
    assert found.is_possible and found.is_on_wgs84
    assert found.as_document()["relative_altitude_m"] == 39.8


@pytest.mark.parametrize(
    ("tags", "altitude", "level"),
    [
        ({GPS.GPSAltitudeRef: b"\x00"}, 30.0, "sea"),
        ({GPS.GPSAltitudeRef: b"\x01"}, -30.0, "sea"),
        ({GPS.GPSAltitudeRef: b"\x02"}, 30.0, "ellipsoid"),
        ({GPS.GPSAltitudeRef: b"\x03"}, -30.0, "ellipsoid"),
        ({GPS.GPSAltitudeRef: b"\x09"}, 30.0, ""),
    ],
)
def test_altitudes_count_from_where_they_say(
    tmp_path: Path, tags: dict[int, Any], altitude: float, level: str
) -> None:
    found = positions.read(write_photo(tmp_path / "a.jpg", (1.0, 2.0, 30.0), tags=tags))
    assert found is not None and (found.altitude, found.level) == (altitude, level)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({GPS.GPSLatitude: (46.5,)}, 46.5),
        ({GPS.GPSLatitude: (46, IFDRational(303, 10))}, 46.505),
        ({GPS.GPSLatitude: 46.5}, 46.5),
        ({GPS.GPSLatitudeRef: b"S\0"}, -46.5),
        ({GPS.GPSLatitude: (IFDRational(0, 0), 0, 0)}, None),
        ({GPS.GPSLatitude: ("x", 0, 0)}, None),
    ],
)
def test_other_ways_to_write_degrees(tags: dict[int, Any], expected: float | None) -> None:
    gps = {
        GPS.GPSLatitude: (46, 30, 0), GPS.GPSLatitudeRef: "N",
        GPS.GPSLongitude: (7, 0, 0), GPS.GPSLongitudeRef: "E",
    }  # fmt: skip
    found = positions._position({**gps, **tags}, vendor_data.VendorData(), None)
    assert (found and found.latitude) == (pytest.approx(expected) if expected else None)


def test_what_is_no_position(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.jpg")
    assert positions.read(tmp_path / "plain.jpg") is None
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe1\x00")
    assert positions.read(tmp_path / "broken.jpg") is None
    nowhere = positions.read(write_photo(tmp_path / "zero.jpg", (0.0, 0.0, 0.0)))
    assert nowhere is not None and not nowhere.is_possible
    swapped = positions.read(write_photo(tmp_path / "swapped.jpg", (-118.2, 34.0, 80.0)))
    assert swapped is not None and not swapped.is_possible
    tokyo = write_photo(tmp_path / "t.jpg", (35.0, 139.0, 5.0), tags={GPS.GPSMapDatum: "TOKYO"})
    assert (found := positions.read(tokyo)) is not None and not found.is_on_wgs84


def test_a_turned_picture_has_no_angles_of_the_gimbal(tmp_path: Path) -> None:
    xmp = XMP.format(relative="+39.80", pitch="-89.90", roll="0", yaw="0")
    found = positions.read(write_photo(tmp_path / "a.jpg", (1.0, 2.0, 3.0), xmp=xmp, turn=6))
    assert found is not None and found.vendor.pitch is None
    assert found.vendor.relative_altitude == 39.8


@pytest.mark.parametrize(
    ("xmp", "pitch"),
    [
        ('<x drone-dji:GimbalPitchDegree="-45.0"/>', -45.0),
        ("<drone-dji:GimbalPitchDegree>-45.0</drone-dji:GimbalPitchDegree>", -45.0),
        ("<x drone-parrot:CameraPitchDegree='-30.5'/>", -30.5),
        ("<Camera:Pitch>3.5</Camera:Pitch>", -86.5),
        ("<x drone-dji:GimbalPitchDegree='n/a'/>", None),
        ("", None),
    ],
)
def test_each_maker_has_words_of_its_own(xmp: str, pitch: float | None) -> None:
    assert vendor_data.read(xmp.encode()).pitch == pitch


def test_a_drones_position_has_more_digits() -> None:
    xmp = "drone-dji:GpsLatitude='46.8426071' drone-dji:GpsLongtitude='-91.9945591'"
    vendor = vendor_data.read(xmp)
    assert (vendor.latitude, vendor.longitude) == (46.8426071, -91.9945591)


@pytest.mark.skipif(
    not os.environ.get(FLIGHT), reason=f"no photos of a real drone: {FLIGHT}=folder of them"
)
def test_a_real_drones_photos_tell_their_place_and_height() -> None:
    """OpenDroneMap's "Brighton Beach"; copies that were made smaller have lost their XMP."""
    found = [positions.read(path) for path in sorted(Path(os.environ[FLIGHT]).glob("DJI_*.JPG"))]
    assert len(found) > 3
    for position in found:
        assert position is not None and position.is_possible and position.is_on_wgs84
        assert position.latitude == pytest.approx(46.8426, abs=2e-3)
        assert position.longitude == pytest.approx(-91.9944, abs=2e-3)
        assert position.altitude == pytest.approx(198.5, abs=0.5) and position.level == "sea"
        assert position.time is not None and position.time.year == 2016
        assert position.vendor.relative_altitude in (None, pytest.approx(39.8, abs=0.5))
