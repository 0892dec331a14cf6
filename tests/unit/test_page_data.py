"""What the web page is told of a scene, whatever pipeline made it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from flights import ORIGIN, fly
from maquette.errors import NotFound
from maquette.recon.mesh.gltf import write_glb
from maquette.recon.mesh.gltf_file import StoredFile
from maquette.recon.mesh.ply import write_ply
from maquette.recon.mesh.ray_casting import RayScene
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.page_data import collision, start_view, writing
from maquette.recon.page_data.layers import glb_facts
from maquette.recon.page_data.small_pictures import LINK_PX, write_emblems
from maquette.recon.pictures.contact_sheet import lay_out
from maquette.scene import outputs, stage_records, transforms
from maquette.scene.geodesy import Utm
from maquette.scene.georeference import Georeference, Place
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord
from maquette.scene.transforms import Transforms
from synthetic_scene import orbit, region, truth_mesh, write_landmarks, write_posed_scene

PIPELINE = "photogrammetry"


def ball() -> TriangleMesh:
    truth = truth_mesh(24)
    return TriangleMesh(np.asarray(truth.vertices, np.float32), np.asarray(truth.faces, np.int32))


def scene_with(tmp_path: Path, kinds: dict[str, str]) -> Scene:
    scene = Scene(tmp_path / "shoe", PIPELINE)
    write_posed_scene(scene.root, 6, 64, 48)
    record = StageRecord("all", "extract", "k", {}, {}, {}, "2026", 1.0, kinds=kinds)
    stage_records.write(scene, PIPELINE, record)
    return scene


def in_view(points: np.ndarray, view: start_view.StartView, up: np.ndarray) -> np.ndarray:
    """Where points lie in a square picture of the view, -1..1 in both directions."""
    forward = view.look_at - view.position
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    seen = (points - view.position) @ np.stack([right, np.cross(right, forward), forward], axis=1)
    return seen[:, :2] / seen[:, 2:] / np.tan(np.radians(view.fov_degrees / 2))


def test_a_scene_with_a_mesh_alone_is_shown_without_splats(tmp_path: Path) -> None:
    mesh = f"results/{PIPELINE}/mesh.ply"
    scene = scene_with(tmp_path, {mesh: outputs.MESH})
    write_ply(scene.root / mesh, ball(), ())
    told = json.loads(writing.write(scene, [PIPELINE]).read_text())
    assert "splat_url" not in told
    assert "formats" not in told
    [shown] = told["meshes"]
    assert shown["faces"] == len(ball().faces)
    assert glb_facts(scene.root / shown["url"])["faces"] == shown["faces"]
    assert len(told["cameras"]) == 6
    with Image.open(scene.root / told["cameras"][0]["thumbnail"]) as small:
        assert small.size == (64, 48)
    assert (scene.root / told["picture"]).is_file()
    assert (scene.root / told["link_picture"]).is_file()
    assert str(tmp_path) not in json.dumps(told)


def test_a_walker_gets_a_light_mesh_without_colours_in_the_scenes_frame(tmp_path: Path) -> None:
    mesh = f"results/{PIPELINE}/mesh.ply"
    scene = scene_with(tmp_path, {mesh: outputs.MESH})
    write_ply(scene.root / mesh, ball(), ())
    told = json.loads(writing.write(scene, [PIPELINE]).read_text())
    stored = StoredFile(scene.root / told["collision_url"])
    [part] = stored.document["meshes"][0]["primitives"]
    assert set(part["attributes"]) == {"POSITION"}
    places = stored.array(part["attributes"]["POSITION"])
    assert places.min(axis=0) == pytest.approx(ball().vertices.min(axis=0), abs=1e-6)
    assert told["collision_url"] not in [shown["url"] for shown in told["meshes"]]


def test_the_ground_that_a_stage_made_is_walked_on_rather_than_a_copy(tmp_path: Path) -> None:
    mesh, ground = (f"results/{PIPELINE}/{name}" for name in ("mesh.ply", "shoe_ground.glb"))
    scene = scene_with(tmp_path, {mesh: outputs.MESH, ground: outputs.GROUND})
    write_ply(scene.root / mesh, ball(), ())
    write_glb(scene.root / ground, ball(), np.array([0.0, -1.0, 0.0]), "ground")
    told = json.loads(writing.write(scene, [PIPELINE]).read_text())
    assert told["collision_url"] == ground


def test_a_mesh_to_walk_on_is_small_and_keeps_floor_and_walls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(collision, "MOST_FACES", 1000)
    made = collision.collision_mesh(rough_room())
    assert 500 < len(made.faces) <= 1000
    assert made.colors is None
    walls = RayScene(made)
    inside = np.random.default_rng(3).uniform(0.2, 0.8, (200, 3)).astype("f4")
    for way, end in ((2, 0.0), (0, 0.0), (0, 1.0), (1, 0.0), (1, 1.0)):
        ahead = np.zeros((200, 3), "f4")
        ahead[:, way] = 1.0 if end else -1.0
        hits = walls.first_hits(inside, ahead)
        assert len(hits.ray) == 200, f"a hole in axis {way} at {end}"
    assert made.vertices[:, 2].min() > -0.02  # and the crumb far below is gone


def rough_room() -> TriangleMesh:
    """A floor and four walls of a unit cube, 20,000 uneven faces in one piece, and a crumb."""
    side = 44
    room = trimesh.creation.box((1, 1, 1)).subdivide_to_size(1.5 / side)
    room.apply_translation((0.5, 0.5, 0.5))
    open_above = (room.triangles_center[:, 2] < 0.999).nonzero()[0]
    vertices = room.vertices + np.random.default_rng(1).normal(0, 0.002, room.vertices.shape)
    crumb = np.array([[0.5, 0.5, -0.5], [0.6, 0.5, -0.5], [0.5, 0.6, -0.5]])
    faces = [*room.faces[open_above], len(vertices) + np.arange(3)]
    colors = np.full((len(vertices) + 3, 3), 0.5)
    return TriangleMesh(np.vstack([vertices, crumb]), np.array(faces, np.int32), colors=colors)


def test_many_points_are_thinned_and_the_number_of_all_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plyfile import PlyData, PlyElement

    monkeypatch.setattr("maquette.recon.page_data.layers.MOST_POINTS", 100)
    scene = scene_with(tmp_path, {"dense/a/fused.ply": outputs.POINTS})
    rows = np.zeros(950, [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("nx", "<f4"), ("red", "u1")])
    rows["x"], rows["red"] = np.arange(950), 7
    path = scene.root / "dense/a/fused.ply"
    path.parent.mkdir(parents=True)
    PlyData([PlyElement.describe(rows, "vertex")], byte_order="<").write(str(path))
    [cloud] = json.loads(writing.write(scene, [PIPELINE]).read_text())["points"]
    assert (cloud["count"], cloud["count_whole"]) == (95, 950)
    thin = PlyData.read(str(scene.root / cloud["url"]))["vertex"].data
    assert list(thin["x"][:3]) == [0, 10, 20]
    assert set(thin["red"]) == {7}


def test_after_prepare_its_points_are_shown(tmp_path: Path) -> None:
    scene = scene_with(tmp_path, {})
    write_landmarks(scene, 200)
    told = json.loads(writing.write(scene, []).read_text())
    [cloud] = told["points"]
    assert cloud["pipeline"] == ""
    assert 0 < cloud["count"] <= 200
    assert len(told["cameras"]) == 6


def test_the_first_view_has_the_whole_object_and_little_else() -> None:
    frames = orbit(12, 64, 48)
    view = start_view.of_mesh(ball(), Transforms(tuple(frames), region()))
    inside = ball().vertices[np.linalg.norm(ball().vertices - region().center, axis=1) < 1.0]
    from maquette.recon.mesh.upright import up_direction

    places = in_view(inside, view, up_direction(frames))
    assert np.abs(places).max() < 1.1
    assert np.ptp(places, axis=0).max() > 1.0


def test_a_scene_without_results_says_what_makes_them(tmp_path: Path) -> None:
    scene = scene_with(tmp_path, {})
    with pytest.raises(NotFound, match="nothing to show") as failure:
        writing.write(scene, [PIPELINE])
    assert "make extract" in failure.value.hint


def test_the_picture_of_a_link_shows_the_first_views_of_the_contact_sheet(tmp_path: Path) -> None:
    colors = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (9, 9, 9)]
    tiles = [np.full((380, 380, 3), color, np.uint8) for color in colors]
    lay_out([tiles], ["", "", "", ""], 380).save(tmp_path / "sheet.png")
    write_emblems(tmp_path / "sheet.png", None, tmp_path)
    with Image.open(tmp_path / "link.jpg") as link:
        assert link.size == LINK_PX
        shown = [link.getpixel((x, 315)) for x in (200, 600, 1000)]
    assert np.abs(np.array(shown) - colors[:3]).max() < 12
    with Image.open(tmp_path / "picture.jpg") as picture:
        assert picture.size == (380, 380)


def test_the_manifest_of_the_page_names_regions_and_views_in_one_frame(tmp_path: Path) -> None:
    mesh = f"results/{PIPELINE}/mesh.ply"
    scene = scene_with(tmp_path, {mesh: outputs.MESH})
    write_ply(scene.root / mesh, ball(), ())
    told = json.loads(writing.write(scene, [PIPELINE]).read_text())
    known = transforms.read(scene.transforms)
    assert told["region"]["sphere_radius"] == pytest.approx(known.region.half_width, rel=1e-6)
    eye = known.frames[0].world_from_cam[:3, 3]
    assert told["cameras"][0]["position"] == pytest.approx(list(eye), rel=1e-5)


def test_a_mesh_in_metres_comes_with_the_way_back_into_the_scene(tmp_path: Path) -> None:
    scene = scene_with(tmp_path, {f"results/{PIPELINE}/mesh.glb": outputs.MESH})
    known = Georeference(Utm.of(*ORIGIN[:2]), ORIGIN, np.linalg.inv(fly().world_from_enu))
    place = Place(known.up, known.metres_per_unit, known)
    told = {"up": known.up.tolist(), **place.as_extras()}
    scene.georeference.write_text(json.dumps(told))
    write_glb(scene.root / f"results/{PIPELINE}/mesh.glb", ball(), known.up, "mesh", place)
    [shown] = json.loads(writing.write(scene, [PIPELINE]).read_text())["meshes"]
    (node,) = StoredFile(scene.root / shown["url"]).document["nodes"]
    to_gltf = np.array(node["matrix"]).reshape(4, 4).T
    back = np.array(shown["scene_from_gltf"]).reshape(4, 4)
    assert back @ to_gltf == pytest.approx(np.eye(4), abs=1e-6)
