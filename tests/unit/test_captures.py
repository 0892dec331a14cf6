"""The photo sets of `samples/captures` say the truth about themselves."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("embreex", reason="needs maquette's extra `recon`")
SAMPLES = Path(__file__).parents[2] / "samples"
sys.path.insert(0, str(SAMPLES))

from captures.camera_moves import looking_at  # noqa: E402
from captures.capture import Capture  # noqa: E402
from captures.catalogue import CAPTURES  # noqa: E402
from captures.materials import MATERIALS  # noqa: E402
from captures.modelled import jug, stone, toy  # noqa: E402
from captures.rendering import Photographer, pixel_rays  # noqa: E402
from captures.solids import Box, Solid, joined, of_boxes, prism  # noqa: E402
from captures.writing import write_capture  # noqa: E402
from maquette.recon.evaluate.truth import read_truth  # noqa: E402
from maquette.recon.mesh.ray_casting import RayScene  # noqa: E402
from maquette.recon.mesh.reading import read_mesh  # noqa: E402
from maquette.recon.mesh.triangles import TriangleMesh, face_cross  # noqa: E402

QUICK = [name for name in CAPTURES if name not in ("arc-90", "arc-150", "circle")]  # no owl


def volume(solid: Solid) -> float:
    corners = solid.vertices[solid.faces]
    return float(np.linalg.det(corners).sum() / 6)


def projected(point: np.ndarray, pose: np.ndarray, truth: dict[str, float]) -> np.ndarray:
    local = np.linalg.inv(pose) @ [*point, 1.0]
    return np.array(
        [truth["fl_x"] * local[0] / local[2] + truth["cx"],
         truth["fl_y"] * local[1] / local[2] + truth["cy"]]
    )  # fmt: skip


def test_boxes_join_to_one_closed_surface() -> None:
    solid = of_boxes([
        Box((0, 0, 0), (2, 2, 2), "brick"), Box((1, 1, 1), (3, 3, 3), "stone"),
        Box((0.5, 0.5, -1), (1.5, 1.5, 0.5)),
    ])  # fmt: skip
    assert volume(solid) == pytest.approx(8 + 8 - 1 - 0.5)
    edges = np.sort(solid.vertices[solid.faces][:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 6))
    assert set(np.unique(solid.materials)) == {"brick", "stone"}
    assert len(edges) % 2 == 0


def test_a_roof_faces_outwards() -> None:
    roof = prism((0, 0, 1), (4, 2, 1), 3, "roof")
    assert volume(joined([roof])) == pytest.approx(0.5 * 2 * 2 * 4)


def test_a_point_is_rendered_where_it_projects(tmp_path: Path) -> None:
    place = np.array([0.4, 0.1, 0.3])
    box = of_boxes([Box(tuple(place - 0.05), tuple(place + 0.05), "car")])
    floor = of_boxes([Box((-3, -3, -0.5), (3, 3, -0.4), "asphalt")])
    views = [((2, 0.3, 1), 0), ((0.2, -2, 1.4), 9), ((-1.4, 1.4, 0.8), -20)]
    poses = [looking_at(centre, (0, 0, 0.1), roll_deg) for centre, roll_deg in views]
    capture = Capture("object", [box], [floor], poses, 600.0, is_masked=True)
    write_capture("box", capture, tmp_path, width=96)
    truth = json.loads((tmp_path / "ground_truth.json").read_text())
    for frame in truth["frames"]:
        photo = np.asarray(Image.open(tmp_path / "photos" / frame["name"]), float)
        mask = np.asarray(Image.open(tmp_path / "masks" / frame["name"].replace("jpg", "png")))
        assert photo.shape == (72, 96, 3)
        redness = photo[..., 0] - photo[..., 2]
        assert redness[mask].mean() > redness[~mask].mean() + 20
        rows, columns = np.nonzero(mask)
        seen = np.array([columns.mean(), rows.mean()]) + 0.5
        pose = np.array(frame["world_from_cam"])
        np.testing.assert_allclose(seen, projected(place, pose, truth), atol=0.5)


def test_a_capture_is_read_as_ground_truth(tmp_path: Path) -> None:
    write_capture("facade", CAPTURES["facade"](), tmp_path, width=64, photos=3)
    truth = read_truth(tmp_path)
    assert truth is not None and truth.mesh is not None
    assert sorted(truth.poses) == ["000.jpg", "014.jpg", "029.jpg"]
    assert truth.mesh.extent[2] == pytest.approx(11.1)
    assert len(read_mesh(tmp_path / "truth.ply").faces) > len(truth.mesh.faces)


@pytest.mark.parametrize("name", QUICK)
def test_cameras_see_the_subject_from_free_air(name: str) -> None:
    capture = CAPTURES[name]()
    assert set(np.unique(capture.world.materials)) <= set(MATERIALS)
    world = TriangleMesh(capture.world.vertices, capture.world.faces)
    rays = RayScene(world)
    directions = pixel_rays(32, 24, capture.focal_px * 32 / capture.width)
    normals = face_cross(world)
    for pose in capture.poses[::3]:
        turned = directions @ pose[:3, :3].T
        hits = rays.first_hits(np.broadcast_to(pose[:3, 3], turned.shape), turned)
        facing = np.einsum("ij,ij->i", normals[hits.face], turned[hits.ray]) < 0
        assert facing.mean() > 0.97
        assert (hits.face < capture.subject_faces).sum() > 0.03 * len(directions)


def test_photos_repeat() -> None:
    capture = CAPTURES["corner"]()
    one, other = (Photographer(capture).photo(3, 48)[0] for _ in range(2))
    assert (one == other).all()


@pytest.mark.parametrize("make", [toy, jug, lambda: stone(0)])
def test_modelled_things_face_outwards(make: Callable[[], Solid]) -> None:
    assert volume(make()) > 0.01
