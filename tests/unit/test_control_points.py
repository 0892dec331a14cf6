"""Ground control points, check points and scale bars: exact truth, and a sentence for each slip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from flights import METRES_PER_UNIT, ORIGIN, Flight, fly
from maquette.errors import BadInput, ConfigError
from maquette.recon.places import control, control_points, reference_systems, scale_bars
from maquette.recon.places.control_points import ControlList, Pictures
from maquette.recon.places.finding import Finding
from maquette.recon.sfm.colmap import pycolmap
from maquette.scene import geodesy
from maquette.scene.geodesy import Utm

SIZE, FOCAL = (4000, 2250), 2400.0
PLACES = {
    "A": (-30.0, -20.0, 0.2), "B": (30.0, -22.0, -0.3), "C": (28.0, 21.0, 0.1),
    "D": (-31.0, 22.0, 0.4), "CHK1": (2.0, 3.0, 0.0),
}  # fmt: skip
UTM = Utm.of(*ORIGIN[:2])


@dataclass(frozen=True)
class Survey:
    """A flight as COLMAP's model with a lens that bends, and a list of points in its photos."""

    flight: Flight
    model: Any
    pictures: Pictures

    def lines(self, places: dict[str, tuple[float, float, float]], noise_px: float = 0.0) -> str:
        """`gcp_list.txt` of these places, east, north and up."""
        random = np.random.default_rng(0)
        lines = [f"EPSG:{UTM.epsg}"]
        for name, enu in places.items():
            x, y, z = UTM.project(geodesy.geodetic_from_enu(np.array(enu), ORIGIN))
            for picture, pixel in self.seen(enu):
                column, row = pixel + random.normal(size=2) * noise_px
                title = self.flight.cameras.titles[picture]
                lines.append(f"{x:.4f} {y:.4f} {z:.4f} {column:.3f} {row:.3f} {title} {name}")
        return "\n".join(lines)

    def seen(self, enu: tuple[float, float, float]) -> list[tuple[str, np.ndarray]]:
        """The pictures that show a place, and where."""
        found = []
        for image in self.model.images.values():
            pixel = image.project_point(self.flight.world(np.array(enu)))
            if pixel is not None and (pixel > 20).all() and (pixel < np.array(SIZE) - 20).all():
                found.append((image.name, pixel))
        return found[:6]

    def parse(self, text: str) -> ControlList:
        return control_points.parse(text, self.pictures, "gcp_list.txt")


@pytest.fixture(scope="module")
def survey() -> Survey:
    flight, model = fly(), pycolmap.Reconstruction()
    camera = pycolmap.Camera(
        model="SIMPLE_RADIAL", width=SIZE[0], height=SIZE[1], camera_id=1,
        params=[FOCAL, SIZE[0] / 2, SIZE[1] / 2, -0.05],
    )  # fmt: skip
    model.add_camera_with_trivial_rig(camera)
    for number, name in enumerate(flight.cameras.names, 1):
        pose = np.linalg.inv(flight.cameras.world_from_cam[number - 1])[:3]
        image = pycolmap.Image(name=name, camera_id=1, image_id=number)
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(pose))
    titles = flight.cameras.titles
    by_name = {title.lower(): name for name, title in titles.items()}
    return Survey(flight, model, Pictures(by_name, dict.fromkeys(titles, SIZE)))


def test_exact_marks_give_the_exact_place(survey: Survey) -> None:
    found = Finding()
    measured = control.by_points(survey.parse(survey.lines(PLACES)), survey.model, None, found)
    assert found.georeference is not None and found.source == "gcp"
    assert found.metres_per_unit == pytest.approx(METRES_PER_UNIT, rel=1e-5)
    errors = {one.point.name: float(np.linalg.norm(one.error_m)) for one in measured}
    assert errors.keys() == PLACES.keys() and max(errors.values()) < 2e-3
    assert all((one.left_out_m is None) == one.point.is_check for one in measured)
    assert found.numbers["check_points"] == 1 and found.numbers["gcp"] == 4
    assert found.georeference.utm.epsg == 32615


def test_check_points_tell_what_marks_of_a_pixel_cost(survey: Survey) -> None:
    """A pixel is 17 mm on the ground; the height of a point costs a few of them."""
    found = Finding()
    text = survey.lines(PLACES, noise_px=1.0)
    control.by_points(survey.parse(text), survey.model, ORIGIN, found)
    assert 1e-3 < found.numbers["check_rms_m"] < 0.15
    assert found.metres_per_unit == pytest.approx(METRES_PER_UNIT, rel=0.003)


def test_scale_bars_by_names_and_by_pixels(survey: Survey) -> None:
    given = survey.parse(survey.lines(PLACES))
    length = float(np.linalg.norm(np.subtract(PLACES["A"], PLACES["C"])))
    ends = [dict(survey.seen(PLACES[name])) for name in "BC"]
    shared = sorted(ends[0].keys() & ends[1].keys())
    other = float(np.linalg.norm(np.subtract(PLACES["B"], PLACES["C"])))
    named = f"{length} A C"
    if len(shared) >= 2:
        words = [
            f"{survey.flight.cameras.titles[name]} "
            + " ".join(f"{end[name][0]:.3f},{end[name][1]:.3f}" for end in ends)
            for name in shared
        ]
        named += f"; {other} {' '.join(words)}"
    bars = scale_bars.parse(named, survey.pictures)
    found = Finding()
    scale = control.scale_of(control.lengths(bars, given, survey.model), found)
    assert scale == pytest.approx(METRES_PER_UNIT, rel=1e-4)
    assert found.numbers["scale_bars"] == len(bars)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("2 A", "two photos or more"),
        ("x A B", "is no length"),
        ("-1 A B", "is none"),
        ("2 A A", "both ends are"),
        ("2 DJI_0000.JPG 1,1 2,2", "two photos or more"),
        ("2 DJI_0000.JPG 1,1 2,2 nobody.jpg 1,1 2,2", "no photo is called `nobody.jpg`"),
        ("2 DJI_0000.JPG 1,1 9999,2 DJI_0001.JPG 1,1 2,2", "lies outside of `DJI_0000.JPG`"),
        ("2 DJI_0000.JPG 1;1 2,2", "is no pixel|two photos or more"),
    ],
)
def test_bars_that_can_not_be_read_are_named(survey: Survey, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        scale_bars.parse(text, survey.pictures)
    assert scale_bars.parse("", survey.pictures) == []


def test_a_bar_between_points_that_nobody_listed(survey: Survey) -> None:
    bars = scale_bars.parse("2 A NOBODY", survey.pictures)
    given = survey.parse(survey.lines(PLACES))
    with pytest.raises(ConfigError, match="`NOBODY` is none of the control points"):
        control.lengths(bars, given, survey.model)


def test_too_few_points_points_in_a_line_and_points_elsewhere(survey: Survey) -> None:
    def fit(text: str) -> None:
        control.by_points(survey.parse(text), survey.model, ORIGIN, Finding())

    with pytest.raises(BadInput, match="2 ground control points can be used"):
        fit(survey.lines({name: PLACES[name] for name in ("A", "B", "CHK1")}))
    line = {f"L{n}": (-25.0 + 15 * n, 0.0, 0.0) for n in range(4)}
    with pytest.raises(BadInput, match="lie in one line"):
        fit(survey.lines(line))
    with pytest.raises(BadInput, match="km from where the photos' GPS is") as caught:
        fit(survey.lines(PLACES).replace("EPSG:32615", "WGS84 UTM 17N"))
    assert "zone and hemisphere" in caught.value.hint


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("1 2 3 10 10", "5 words, at least 6"),
        ("1 2 z 10 10 DJI_0000.JPG", "must be numbers"),
        ("1 2 3 10 10 DJI_0099.JPG P", "no photo is called `DJI_0099.JPG`, nearest: `dji_0"),
        ("1 2 3 4001 10 DJI_0000.JPG P", "pixel .4001, 10. lies outside .* 4000 × 2250"),
        ("1 2 3 -1 10 DJI_0000.JPG P", "lies outside"),
        ("1 2 nan 10 10 DJI_0000.JPG P", "has no place"),
        ("1 2 3 10 10 DJI_0000.JPG P\n1 2 3 11 10 DJI_0000.JPG P", "marked twice"),
        ("1 2 3 10 10 DJI_0000.JPG P\n1 2 4 10 10 DJI_0001.JPG P", "has another place"),
    ],
)
def test_lines_that_can_not_be_used_are_named(survey: Survey, line: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=f"line [23]: .*{sentence}"):
        survey.parse(f"EPSG:4326\n{line}")


def test_a_line_that_stands_twice_counts_once(survey: Survey) -> None:
    line = "1 2 3 10 10 dji_0000.jpg P"
    given = survey.parse(f"# a comment\n+proj=longlat +datum=WGS84\n{line}\n{line}\n")
    assert len(given.points[0].marks) == 1 and "stand there twice" in given.remarks[0]
    assert given.points[0].place == pytest.approx([2, 1, 3])
    with pytest.raises(BadInput, match="is empty"):
        survey.parse("# nothing\n")


@pytest.mark.parametrize(
    ("line", "epsg"),
    [
        ("EPSG:32615", 32615), ("epsg: 32734", 32734), ("WGS84 UTM 15N", 32615),
        ("WGS 84 / UTM zone 34S", 32734), ("EPSG:25832", 32632), ("EPSG:26915", 32615),
        ("+proj=utm +zone=15 +datum=WGS84 +units=m +no_defs", 32615),
        ("+proj=utm +zone=34 +south", 32734), ("EPSG:4326", None), ("+proj=longlat", None),
    ],
)  # fmt: skip
def test_reference_systems_by_their_names(line: str, epsg: int | None) -> None:
    utm = reference_systems.parse(line).utm
    assert (utm.epsg if utm else None) == epsg


@pytest.mark.parametrize("line", ["EPSG:2056", "576705 5188170 200 1 2 a.jpg", "UTM 61N", ""])
def test_reference_systems_that_are_not_known(line: str) -> None:
    with pytest.raises(BadInput, match="names no reference system known here"):
        reference_systems.parse(line)
