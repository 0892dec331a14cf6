"""Meshes and splats made smaller for a site."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from maquette.errors import BadInput
from maquette.recon.mesh.decimation import decimated
from maquette.recon.mesh.gltf import read_glb, write_glb
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.smaller_copies import meshes, splats
from maquette.recon.smaller_copies.carrying import with_texture_of
from maquette.recon.smaller_copies.copy import Request, kept_or_made
from maquette.recon.splats.files.sog_reading import read_sog
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.trained import Trained, write_master
from maquette.recon.texture.gltf import read_textured_glb, write_textured_glb
from maquette.recon.texture.textured_mesh import TexturedMesh, shared_coordinates
from maquette.scene.paths import Scene
from synthetic_scene import truth_mesh, write_posed_scene

UP = np.array([0.0, -1.0, 0.0])
SIDE = 128


def color_at(points: np.ndarray) -> np.ndarray:
    """A smooth colour of a place on the ball, 0..255."""
    return 127.5 + 100 * np.asarray(points)


def textured_ball(subdivisions: int = 4) -> TexturedMesh:
    """A unit ball in two charts, north and south, each seen along z on half of one page."""
    ball = trimesh.creation.icosphere(subdivisions=subdivisions)
    vertices, faces = ball.vertices.astype("f4"), ball.faces.astype("i4")
    is_south = (ball.triangles_center[:, 2] < 0).astype("i4")
    seen = 0.25 + 0.22 * vertices[faces][..., :2] + is_south[:, None, None] * np.array([0.5, 0.0])
    places = (seen * np.array([1.0, 2.0])).astype("f4")
    coordinates, corners = shared_coordinates(faces, is_south, places)
    rows, columns = np.mgrid[0:SIDE, 0 : 2 * SIDE]
    x = ((columns + 0.5) / (2 * SIDE) % 0.5 - 0.25) / 0.22
    y = ((rows + 0.5) / SIDE / 2 - 0.25) / 0.22
    height = np.sqrt(np.clip(1 - x**2 - y**2, 0, 1)) * np.where(columns < SIDE, 1, -1)
    page = np.clip(color_at(np.stack([x, y, height], axis=2)), 0, 255).astype(np.uint8)
    page_of_face = np.zeros(len(faces), np.int32)
    return TexturedMesh(TriangleMesh(vertices, faces), coordinates, corners, page_of_face, [page])


def errors(textured: TexturedMesh) -> np.ndarray:
    """By how much the texture in the middle of each face misses the colour of that place."""
    middle = textured.coordinates[textured.corners].mean(axis=1)
    height, width = textured.pages[0].shape[:2]
    column, row = (middle * [width, height]).astype(int).clip(0, [width - 1, height - 1]).T
    places = textured.mesh.vertices[textured.mesh.faces].mean(axis=1)
    places /= np.linalg.norm(places, axis=1, keepdims=True)
    return np.abs(textured.pages[0][row, column] - color_at(places)).max(axis=1)


def split(whole: TexturedMesh) -> TexturedMesh:
    """With a vertex of its own for each coordinate, as a file is read back."""
    vertices = whole.mesh.vertices[whole.vertex_of_coordinate]
    mesh = TriangleMesh(vertices, whole.corners)
    return TexturedMesh(mesh, whole.coordinates, whole.corners, whole.page_of_face, whole.pages)


def test_a_mesh_of_fewer_faces_keeps_the_texture_where_it_was() -> None:
    whole = textured_ball()
    assert np.quantile(errors(whole), 0.9) < 12
    small = with_texture_of(split(whole), decimated(whole.mesh, 800))
    assert 700 < len(small.corners) <= 800
    assert np.quantile(errors(small), 0.9) < 20
    assert len(small.coordinates) < 0.8 * len(small.corners)  # neighbours share their corners


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return write_posed_scene(tmp_path / "ball", 6, 64, 48)


def request(scene: Scene, limit_bytes: int) -> Request:
    return Request("mesh", "photogrammetry", "results/photogrammetry/ball.glb", limit_bytes)


def test_a_textured_mesh_is_cut_to_the_limit_and_its_loss_is_measured(scene: Scene) -> None:
    source = scene.root / request(scene, 1).source
    source.parent.mkdir(parents=True)
    write_textured_glb(source, textured_ball(), UP, "ball")
    limit = source.stat().st_size // 3
    made = kept_or_made(scene, request(scene, limit), ".glb", meshes.smaller_mesh)
    assert 0.8 * limit < made.size_bytes <= limit
    assert made.lost_db is not None
    assert abs(made.lost_db) < 1
    small = read_textured_glb(scene.root / made.url)
    assert len(small.corners) == made.facts["faces"] < 5120
    assert "faces" in made.share
    written = (scene.root / made.url).stat().st_mtime_ns
    again = kept_or_made(scene, request(scene, limit), ".glb", meshes.smaller_mesh)
    assert again == made
    assert (scene.root / made.url).stat().st_mtime_ns == written
    assert source.stat().st_size > limit  # the result stays as it is


def test_where_faces_fit_only_pages_become_smaller(scene: Scene) -> None:
    source = scene.root / request(scene, 1).source
    source.parent.mkdir(parents=True)
    ball = textured_ball(2)
    noise = np.random.default_rng(1).integers(0, 255, (512, 1024, 3)).astype(np.uint8)
    ball = TexturedMesh(ball.mesh, ball.coordinates, ball.corners, ball.page_of_face, [noise])
    write_textured_glb(source, ball, UP, "ball")
    made = kept_or_made(scene, request(scene, 100_000), ".glb", meshes.smaller_mesh)
    assert made.size_bytes <= 100_000
    assert made.facts["faces"] == 320
    assert "textures of" in made.share


def test_a_mesh_without_texture_keeps_its_colours(scene: Scene) -> None:
    ball = trimesh.creation.icosphere(subdivisions=4)
    colors = (color_at(ball.vertices) / 255).astype("f4")
    whole = TriangleMesh(ball.vertices.astype("f4"), ball.faces.astype("i4"), colors=colors)
    source = scene.root / request(scene, 1).source
    source.parent.mkdir(parents=True)
    write_glb(source, whole, UP, "ball")
    limit = source.stat().st_size // 4
    made = kept_or_made(scene, request(scene, limit), ".glb", meshes.smaller_mesh)
    assert 0.8 * limit < made.size_bytes <= limit
    small = read_glb(scene.root / made.url)
    assert np.abs(small.colors * 255 - color_at(small.vertices)).max() < 12


def test_splats_are_cut_to_the_limit_and_their_loss_is_measured(scene: Scene) -> None:
    draws = torch.Generator().manual_seed(3)
    means = torch.from_numpy(truth_mesh(24).vertices).float()
    count = len(means)
    whole = Gaussians(
        means=means,
        log_scales=torch.full((count, 3), -3.0) + 0.3 * torch.randn(count, 3, generator=draws),
        quaternions=torch.randn(count, 4, generator=draws),
        opacity_logits=torch.randn(count, generator=draws) + 2,
        sh=0.3 * torch.randn(count, 4, 3, generator=draws),
    )
    source = "results/splat/ball.ply"
    (scene.root / source).parent.mkdir(parents=True)
    write_master(scene.root / source, Trained(whole, 10))
    limit = 12_000
    wanted = Request("splats", "splat", source, limit)
    made = kept_or_made(scene, wanted, splats.SUFFIX, splats.smaller_splats)
    assert made.url.endswith("copies/splat/ball.sog")
    assert 0.5 * limit < made.size_bytes <= limit
    assert made.lost_db is not None
    shown = read_sog(scene.root / made.url)
    assert (len(shown), shown.degree) == (made.facts["splats"], made.facts["degree"])
    assert len(shown) < count or shown.degree < 1
    assert "of the splats" in made.share


def test_what_would_keep_hardly_a_face_tells_why_there_is_no_copy(scene: Scene) -> None:
    ball = trimesh.creation.icosphere(subdivisions=3)
    source = scene.root / request(scene, 1).source
    source.parent.mkdir(parents=True)
    mesh = TriangleMesh(ball.vertices.astype("f4"), ball.faces.astype("i4"))
    write_glb(source, mesh, UP, "ball")
    made = kept_or_made(scene, request(scene, 1500), ".glb", meshes.smaller_mesh)
    assert made.url == ""
    assert "does not fit into 1,500 bytes" in made.problem
    with pytest.raises(BadInput, match="textured mesh"):
        from maquette.recon.smaller_copies.textured import smaller_textured

        smaller_textured(scene, split(textured_ball(2)), 5, lambda _: 10_000)
