"""What a georeference changes in files and keys, and what it leaves as it was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from flights import ORIGIN, fly
from maquette.recon.mesh.gltf import write_glb
from maquette.recon.mesh.gltf_file import StoredFile
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.texture.given_mesh import read_given
from maquette.scene import facts
from maquette.scene.geodesy import Utm
from maquette.scene.georeference import Georeference, Place
from maquette.scene.paths import Scene
from maquette.scene.region import Region


@pytest.fixture(scope="module")
def place() -> Place:
    known = Georeference(Utm.of(*ORIGIN[:2]), ORIGIN, np.linalg.inv(fly().world_from_enu))
    return Place(known.up, known.metres_per_unit, known)


def test_a_scene_without_a_place_keeps_its_keys(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    assert not facts.counts(scene, "georeference") and facts.counts(scene, "cameras")
    scene.georeference.write_text(json.dumps({"up": None, "photos": [{"name": "a"}]}))
    assert not facts.counts(scene, "georeference")
    scene.georeference.write_text(json.dumps({"up": [0, -1, 0]}))
    assert facts.counts(scene, "georeference")
    before = '{"frames": [], "sphere_radius": 1}'
    scene.transforms.write_text(before)
    cameras = facts.digest(scene, "cameras")
    told = json.loads(before) | {"up": [0, -1, 0], "georeference": "georeference.json"}
    scene.transforms.write_text(json.dumps(told))
    assert facts.digest(scene, "cameras") == cameras


def test_a_glb_in_metres_tells_its_offset_and_comes_back(tmp_path: Path, place: Place) -> None:
    vertices = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    faces = np.arange(39).reshape(-1, 3).astype(np.int32)
    assert place.up is not None and place.georeference is not None
    write_glb(tmp_path / "a.glb", TriangleMesh(vertices, faces), place.up, "a", place)
    (node,) = StoredFile(tmp_path / "a.glb").document["nodes"]
    assert node["extras"]["georeference"]["epsg"] == 32615
    assert node["extras"]["metres_per_unit"] == pytest.approx(7.25)
    matrix = np.array(node["matrix"]).reshape(4, 4).T
    east, north, up = place.georeference.enu(vertices).T
    shown = vertices @ matrix[:3, :3].T + matrix[:3, 3]
    assert shown == pytest.approx(np.stack([east, up, -north], axis=1), abs=1e-4)
    given = read_given(tmp_path / "a.glb", (), Region.around([0, 0, 0], 2.0), place)
    apart = np.linalg.norm(given.vertices[:, None] - vertices[None], axis=2).min(axis=1)
    assert apart.max() < 1e-5


def test_laz_holds_points_in_utm(tmp_path: Path, place: Place) -> None:
    laspy = pytest.importorskip("laspy", reason="needs the part `geo`: pip install laspy lazrs")
    from maquette.recon.places.laz import write_laz

    points = np.random.default_rng(0).normal(size=(500, 3))
    colors = np.random.default_rng(1).integers(0, 256, (500, 3)).astype(np.uint8)
    assert place.georeference is not None
    write_laz(tmp_path / "a.laz", points, colors, place.georeference)
    cloud = laspy.read(tmp_path / "a.laz")
    found = np.stack([cloud.x, cloud.y, cloud.z], axis=1)
    assert np.abs(found - place.georeference.projected(points)).max() < 0.6e-3
    assert (np.asarray(cloud.red) // 257 == colors[:, 0]).all()
    assert b'AUTHORITY["EPSG","32615"]' in cloud.header.vlrs[0].record_data_bytes()
