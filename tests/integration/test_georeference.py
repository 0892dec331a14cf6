"""`make prepare` of photos with GPS: where the scene lies, and what each setting about it changes.

The scene is prepared once. Cases run the stage alone again, as prepare does by itself.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from command_line import maquette
from geotagging import write_photo
from maquette.errors import BadInput
from maquette.pipelines.pipeline import COMMON
from maquette.pipelines.prepare import PrepareOptions
from maquette.recon.stages.common import georeference
from maquette.recon.step import run_step
from maquette.scene import colmap_model, geodesy, originals, stage_records
from maquette.scene.events import Progress
from maquette.scene.geodesy import Utm
from maquette.scene.paths import Scene
from maquette.stages.running import run_stages
from synthetic_scene import CENTER, GROUND_Z, orbit, render_views, signed_distance
from turns import linked_copy, made_once

PHOTOS = (20, 320, 240)  # count, width, height
TRUTH = {f"IMG_{number:04}.jpg": frame for number, frame in enumerate(orbit(*PHOTOS))}
ORIGIN = np.array([48.8584, 2.2945, 35.0])  # latitude, longitude, height
METRES_PER_UNIT = 4.0  # a ring of 20 m round something 6 m wide
UTM = Utm.of(*ORIGIN[:2])
BOUND_M = 0.12  # twice the largest miss that was measured, 0.054 m by control points
OFF_M = np.array([3.0, 0.0, 0.0])  # control points lie so far from where GPS says
# Points of the ground, from the object's middle, that many photos show.
MARKS = {
    "A": (0.15, 1.05),
    "B": (-0.1, -0.7),
    "C": (0.85, -0.4),
    "D": (0.45, 0.45),
}


def enu_of(world: np.ndarray) -> np.ndarray:
    """Points of the truth's world [..., 3] as metres east, north and up of ORIGIN."""
    return np.asarray(world) * METRES_PER_UNIT


def camera_enu() -> dict[str, np.ndarray]:
    """Where each photo was taken."""
    return {name: enu_of(frame.world_from_cam[:3, 3]) for name, frame in TRUTH.items()}


def tag(folder: Path, places: dict[str, np.ndarray]) -> None:
    """Give photos of a folder other positions; files that others link to stay as they are."""
    for name, enu in places.items():
        with Image.open(folder / name) as photo:
            picture = photo.copy()
        (folder / name).unlink()
        latitude, longitude, height = map(float, geodesy.geodetic_from_enu(enu, ORIGIN))
        write_photo(folder / name, (latitude, longitude, height), picture=picture)


@pytest.fixture(scope="session")
def placed() -> Path:
    """A base folder in which `thing` is prepared from photos with GPS."""

    def prepare(base: Path) -> None:
        folder = base / "photos"
        folder.mkdir()
        for name, picture in zip(TRUTH, render_views(*PHOTOS)[0], strict=True):
            Image.fromarray(picture).save(folder / name, quality=95)
        tag(folder, camera_enu())
        words = ("MODEL=thing", "INPUT=photos", "MATCHER=exhaustive", "UNTIL=georeference")
        done = maquette(base, "run", "prepare", *words)
        assert done.returncode == 0, done.stderr

    return made_once("prepared with GPS", prepare)


@pytest.fixture
def base(placed: Path, tmp_path: Path) -> Path:
    return linked_copy(placed, tmp_path / "base")


@pytest.fixture
def again(base: Path) -> Callable[..., dict[str, Any]]:
    """Run the stage alone with other options; returns what it says."""

    def run(**options: str) -> dict[str, Any]:
        scene = Scene(base / "scenes" / "thing", "neuralangelo")
        stage_records.forget(scene, COMMON, "georeference")
        told = PrepareOptions(**options)
        [record] = run_stages([georeference.STAGE], "prepare", scene, told, Progress(), COMMON)
        return {**json.loads(scene.georeference.read_text()), "remarks": record.remarks}

    return run


def prepare(base: Path, **options: str) -> dict[str, Any]:
    """Run the step again with other options, as a job does, up to the stage."""
    scene, log = Scene(base / "scenes" / "thing", "neuralangelo"), io.StringIO()
    told = json.loads(scene.options_file(COMMON, "prepare").read_text())
    asked = base / "options.json"
    asked.write_text(json.dumps(told | options))
    run_step(scene.pipeline, "prepare", scene, asked, Progress(None, log))
    assert log.getvalue().count('"event": "started"') == 1, "no other stage runs again"
    return json.loads(scene.georeference.read_text())


def misses_m(base: Path, document: dict[str, Any], off_m: np.ndarray | float = 0.0) -> np.ndarray:
    """How far each camera comes out from where it was, metres on Earth."""
    scene, place = Scene(base / "scenes" / "thing", "neuralangelo"), document["georeference"]
    model, titles = colmap_model.read(scene.sparse), originals.titles(scene)
    enu_from_world = np.array(place["enu_from_world"])
    truth = camera_enu()
    misses = []
    for name, pose in zip(model.names, model.world_from_cam, strict=True):
        enu = enu_from_world[:3] @ pose[:, 3]
        found = geodesy.geodetic_from_enu(enu, list(place["origin_geodetic"].values()))
        expected = truth[titles[name]] + off_m
        misses.append(np.linalg.norm(geodesy.enu_from_geodetic(found, ORIGIN) - expected))
    return np.array(misses)


def control_list(off_m: np.ndarray, write: Callable[[np.ndarray], str], system: str) -> str:
    """`gcp_list.txt` of MARKS, in each photo that shows them."""
    lines = [system]
    for label, (x, y) in MARKS.items():
        world = np.array([CENTER[0] + x, CENTER[1] + y, GROUND_Z])
        place = geodesy.geodetic_from_enu(enu_of(world) + off_m, ORIGIN)
        for name, frame in TRUTH.items():
            lens = frame.intrinsics
            local = np.linalg.inv(frame.world_from_cam)[:3] @ [*world, 1.0]
            pixel = local[:2] / local[2] * lens.fl_x + [lens.cx, lens.cy]
            inside = (pixel > 5).all() and (pixel < [lens.width - 5, lens.height - 5]).all()
            if inside and is_seen(frame.world_from_cam[:3, 3], world):
                lines.append(f"{write(place)} {pixel[0]:.2f} {pixel[1]:.2f} {name} {label}")
    assert len(lines) > 12
    return "\n".join(lines)


def is_seen(eye: np.ndarray, world: np.ndarray) -> bool:
    """Whether nothing of the object stands before a point of the ground."""
    along = np.linspace(0.0, 1.0, 200)[:, None]
    return bool((signed_distance(eye + along * (world - eye)) > 0.01).all())


def in_utm(place: np.ndarray) -> str:
    return "{:.4f} {:.4f} {:.4f}".format(*UTM.project(place))


def test_gps_in_photos_places_the_scene(placed: Path) -> None:
    document = json.loads((placed / "scenes" / "thing" / "georeference.json").read_text())
    assert document["source"] == "gps" and document["georeference"]["epsg"] == UTM.epsg
    assert len(document["photos"]) == len(TRUTH)
    assert misses_m(placed, document).max() < BOUND_M


def test_control_points_count_in_place_of_gps(base: Path) -> None:
    (base / "gcp_list.txt").write_text(control_list(OFF_M, in_utm, f"EPSG:{UTM.epsg}"))
    document = prepare(base, gcp=str(base / "gcp_list.txt"))
    assert misses_m(base, document, OFF_M).max() < BOUND_M, "not where GPS says"
    assert {one["name"] for one in document["control_points"]} == MARKS.keys()


def test_a_scale_bar_counts_before_the_scale_of_gps(base: Path, placed: Path) -> None:
    before = json.loads((placed / "scenes" / "thing" / "georeference.json").read_text())
    document = prepare(base, scale_bar=scale_bar(1.1))
    assert document["metres_per_unit"] / before["metres_per_unit"] == pytest.approx(1.1, abs=0.01)


def scale_bar(factor: float) -> str:
    """The length between two marks as the photos show it, `factor` times the truth's."""
    lines = control_list(np.zeros(3), in_utm, "EPSG:32631").splitlines()[1:]
    seen: dict[str, dict[str, str]] = {}
    for words in map(str.split, lines):
        seen.setdefault(words[5], {})[words[6]] = f"{words[3]},{words[4]}"
    shown = [(name, marks) for name, marks in seen.items() if {"A", "D"} <= marks.keys()]
    length = np.linalg.norm(np.subtract(MARKS["A"], MARKS["D"])) * METRES_PER_UNIT * factor
    photos = " ".join(f"{name} {marks['A']} {marks['D']}" for name, marks in shown)
    assert len(shown) > 2
    return f"{length:.4f} {photos}"


def test_up_is_what_a_person_says_and_gps_s_else(base: Path, placed: Path) -> None:
    before = json.loads((placed / "scenes" / "thing" / "georeference.json").read_text())
    sky = np.array(before["georeference"]["enu_from_world"])[2, :3]
    assert np.dot(before["up"], sky / np.linalg.norm(sky)) > 0.9999
    document = prepare(base, up="0,0,-1")
    assert document["up"] == pytest.approx([0, 0, -1]) and document["up_by"] != before["up_by"]


def test_gps_along_one_line_that_the_cameras_did_not_take_is_left_out_and_said(
    base: Path, again: Callable[..., dict[str, Any]]
) -> None:
    line = {name: enu * [1.0, 0.0, 0.0] for name, enu in camera_enu().items()}
    tag(base / "scenes" / "thing" / "input", line)
    document = again()
    assert document["georeference"] is None and "too much to tell" in document["why_not"]
    with pytest.raises(BadInput, match=r"GEOREFERENCE=on, but .*too much to tell"):
        again(georeference="on")


def test_one_position_far_away_is_named_and_does_not_count(
    base: Path, again: Callable[..., dict[str, Any]]
) -> None:
    name = "IMG_0003.jpg"
    tag(base / "scenes" / "thing" / "input", {name: camera_enu()[name] + [3000.0, -500.0, 0.0]})
    document = again()
    assert misses_m(base, document).max() < BOUND_M
    assert any(name in remark for remark in document["remarks"])


@pytest.mark.parametrize("system", ["EPSG:4326", "WGS84 UTM 33N"])
def test_control_points_in_another_order_or_zone_are_refused(
    base: Path, again: Callable[..., dict[str, Any]], system: str
) -> None:
    """Latitude before longitude, where the form has it the other way round; or a wrong zone."""

    def swapped(place: np.ndarray) -> str:
        return f"{place[0]:.8f} {place[1]:.8f} {place[2]:.3f}"

    write = swapped if system == "EPSG:4326" else in_utm
    path = base / "scenes" / "thing" / "gcp_list.txt"
    path.write_text(control_list(np.zeros(3), write, system))
    with pytest.raises(BadInput, match="km from where the photos' GPS is") as caught:
        again(gcp=str(path))
    assert "longitude" in caught.value.hint if write is swapped else "zone" in caught.value.hint
