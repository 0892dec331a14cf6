"""The figures of `benchmarks/captures.py`, on shapes whose figures are known."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("embreex", reason="needs maquette's extra `recon`")
ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "samples"))
sys.path.append(str(ROOT / "benchmarks"))

from capture_figures import Known, distance_to_world, mesh_figures, well_seen  # noqa: E402
from capture_truth import CaptureTruth, facing, points_on, reached, read_capture, refined  # noqa: E402
from captures.camera_moves import looking_at  # noqa: E402
from captures.capture import Capture  # noqa: E402
from captures.solids import Box, of_boxes  # noqa: E402
from captures.writing import truth_document  # noqa: E402
from maquette.recon.evaluate.similarity import Similarity  # noqa: E402
from maquette.recon.mesh.ply import write_ply  # noqa: E402
from maquette.recon.mesh.ray_casting import RayScene  # noqa: E402
from maquette.recon.mesh.triangles import TriangleMesh, face_cross  # noqa: E402
from maquette.scene.region import Region  # noqa: E402

SAMPLES = 3000
SAME = Similarity(1.0, np.eye(3), np.zeros(3))
CUBE = Box((-0.5, -0.5, 0), (0.5, 0.5, 1), "brick")
GROUND = Box((-3, -3, -1), (3, 3, 0), "soil")


def mesh_of(*boxes: Box) -> TriangleMesh:
    solid = of_boxes(boxes)
    return TriangleMesh(solid.vertices, solid.faces)


def area(mesh: TriangleMesh) -> float:
    return float(np.linalg.norm(face_cross(mesh), axis=1).sum() / 2)


@pytest.fixture
def capture(tmp_path: Path) -> CaptureTruth:
    """A cube of edge 1 on the ground, seen by three cameras from -y that see its top too."""
    poses = [looking_at((x, -3, 2), (0, 0, 0.5)) for x in (-0.3, 0.0, 0.3)]
    capture = Capture("object", [of_boxes([CUBE])], [of_boxes([GROUND])], poses, 500.0)
    write_ply(tmp_path / "object.ply", mesh_of(CUBE))
    world = TriangleMesh(capture.world.vertices, capture.world.faces)
    write_ply(tmp_path / "truth.ply", world)
    document = truth_document("cube", capture, 640, range(3))
    (tmp_path / "ground_truth.json").write_text(json.dumps(document))
    return read_capture(tmp_path)


def known(capture: CaptureTruth) -> Known:
    views = list(capture.views.values())
    seen = well_seen(capture, views, SAMPLES)
    region = Region.around((0, 0, 0.5), 1.0)
    return Known(capture, views, np.zeros(3), SAME, seen, 1.0, region)


def test_well_seen_are_the_front_and_the_top(capture: CaptureTruth) -> None:
    seen = well_seen(capture, list(capture.views.values()), SAMPLES)
    is_front, is_top = np.abs(seen[:, 1] + 0.5) < 1e-6, np.abs(seen[:, 2] - 1) < 1e-6
    assert (is_front | is_top).all()
    assert len(seen) / SAMPLES == pytest.approx(2 / 6, abs=0.03)


def test_what_is_beyond_reach_does_not_count(capture: CaptureTruth) -> None:
    views = list(capture.views.values())
    near = well_seen(replace(capture, reach=2.9), views, SAMPLES)
    eyes = np.stack([view.world_from_cam[:3, 3] for view in views])
    away = np.linalg.norm(near[:, None] - eyes, axis=2).min(axis=1)
    assert 0 < len(near) < len(well_seen(capture, views, SAMPLES))
    assert away.max() <= 2.9


def test_a_mask_hides(capture: CaptureTruth, tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    for name in capture.views:
        left = np.zeros((480, 640), np.uint8)
        left[:, :320] = 255
        Image.fromarray(left).save(tmp_path / "masks" / name.replace("jpg", "png"))
    masked = read_capture(tmp_path)
    seen = well_seen(masked, list(masked.views.values()), SAMPLES)
    assert len(seen)
    assert seen[:, 0].max() < 0.25


def test_what_stands_behind_is_not_reached(capture: CaptureTruth) -> None:
    views = list(capture.views.values())
    points = np.array([[0, -0.6, 0.3], [0, 0.6, 0.3], [0, -0.49, 0.3]])
    rays = RayScene(capture.world)
    assert reached(points, views, rays, 1e-3)[1].tolist() == [True, False, False]
    assert reached(points, views, rays, 0.05)[1].tolist() == [True, False, True]


def test_facing_is_judged_by_the_normal(capture: CaptureTruth) -> None:
    normals = np.array([[0, -1.0, 0], [0, 0, 1.0], [0, 1.0, 0], [1.0, 0, 0]])
    found = facing(np.zeros((4, 3)), normals, list(capture.views.values()))
    assert found[1].tolist() == [True, True, False, False]


def test_refining_keeps_the_surface_and_shortens_edges() -> None:
    cube, everywhere = mesh_of(CUBE), np.array([[-9.0, 9.0]] * 3)
    fine = refined(cube, everywhere, 0.2)
    assert area(fine) == pytest.approx(6)
    corners = fine.vertices[fine.faces]
    assert np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max() <= 0.2
    assert area(refined(cube, np.array([[-9, 9], [-9, 9], [0.9, 1.1]]), 0.2)) < 3


def test_a_true_mesh_has_no_fault_and_its_hidden_faces_are_told(
    capture: CaptureTruth, tmp_path: Path
) -> None:
    write_ply(tmp_path / "mesh.ply", mesh_of(CUBE))
    figures = mesh_figures(known(capture), tmp_path / "mesh.ply", SAMPLES)
    assert figures["missing"] == 0
    assert figures["accuracy 90 %"] == pytest.approx(0, abs=1e-3)
    assert figures["accuracy seen 90 %"] == pytest.approx(0, abs=1e-3)
    assert figures["unseen"] == pytest.approx(100 * 4 / 6, abs=4)  # two sides, back, bottom
    assert figures["hidden"] == pytest.approx(figures["unseen"], abs=0.5)


def test_what_is_cut_off_is_missing_and_what_is_added_is_inaccurate(
    capture: CaptureTruth, tmp_path: Path
) -> None:
    front = Box((-0.5, -0.5, 0), (0.5, 0.5, 0.6), "brick")  # the top four tenths are not there
    write_ply(tmp_path / "mesh.ply", mesh_of(front))
    figures = mesh_figures(known(capture), tmp_path / "mesh.ply", SAMPLES)
    assert figures["missing"] == pytest.approx(100 * (0.39 + 1) / 2, abs=4)
    inside = np.array([[0, 0, 0.75], [0, 0, 0.9], [0, 0, 1.25]])
    np.testing.assert_allclose(
        distance_to_world(inside, known(capture), SAMPLES), [0.25, 0.1, 0.25], atol=1e-6
    )


def test_what_lies_behind_the_truth_is_unseen_but_not_hidden(
    capture: CaptureTruth, tmp_path: Path
) -> None:
    sheet = np.array([[-0.4, -0.3, 0.1], [0.4, -0.3, 0.1], [0.4, -0.3, 0.7], [-0.4, -0.3, 0.7]])
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)  # in the cube, a fifth behind its front
    write_ply(tmp_path / "mesh.ply", TriangleMesh(sheet, faces))
    figures = mesh_figures(known(capture), tmp_path / "mesh.ply", SAMPLES)
    assert (figures["hidden"], figures["unseen"]) == (0, 100)


def test_points_are_spread_with_normals() -> None:
    points, normals = points_on(mesh_of(CUBE), 1000)
    out = np.einsum("ij,ij->i", points - [0, 0, 0.5], normals)
    np.testing.assert_allclose(out, 0.5, atol=1e-6)
