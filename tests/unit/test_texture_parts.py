"""The parts of texturing: graph of faces, factors, outliers, seams, offsets, rectangles, texels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.texture import baking, levelling
from maquette.recon.texture.baking import Colors
from maquette.recon.texture.blending import Layers, blended_layers, plain_layers, shared_views
from maquette.recon.texture.candidates import Candidates
from maquette.recon.texture.charts import GAP, make_charts
from maquette.recon.texture.exposure import find_gains
from maquette.recon.texture.face_graph import connected_faces, face_neighbours
from maquette.recon.texture.labelling import choose_views
from maquette.recon.texture.outliers import find_outliers
from maquette.recon.texture.packing import pack
from maquette.recon.texture.projection import sample
from maquette.recon.texture.raster import cover
from maquette.scene.transforms import Frame, Intrinsics


def square(cells: int) -> TriangleMesh:
    """A flat square of side `cells`, two faces a cell, in the plane z = 0."""
    axis = np.arange(cells + 1)
    x, y = np.meshgrid(axis, axis)
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1).astype(float)
    corner = (axis[:-1, None] * (cells + 1) + axis[None, :-1]).ravel()
    right, below = corner + 1, corner + cells + 1
    faces = np.concatenate(
        [np.stack([corner, below, right], 1), np.stack([right, below, below + 1], 1)]
    )
    return TriangleMesh(vertices, faces.astype(np.int32))


def left_and_right(mesh: TriangleMesh) -> np.ndarray:
    """View 0 for the left half of a square's faces, view 1 for the right."""
    middle = mesh.vertices[mesh.faces].mean(axis=1)[:, 0]
    return (middle > mesh.vertices[:, 0].max() / 2).astype(np.int16)


def both_views(faces: int, quality: tuple[float, float] = (1.0, 1.0)) -> Candidates:
    """Two views of every face."""
    return Candidates(
        np.tile(np.array([0, 1], np.int16), (faces, 1)),
        np.tile(np.array(quality, np.float32), (faces, 1)),
        np.full((faces, 2, 3), 100, np.uint8),
    )


def test_neighbours_share_the_edge_they_are_listed_for() -> None:
    faces = square(5).faces
    neighbours = face_neighbours(faces)
    for face, around in enumerate(neighbours):
        for side, other in enumerate(around):
            edge = {faces[face, side], faces[face, (side + 1) % 3]}
            twins = [f for f in range(len(faces)) if f != face and edge <= set(faces[f])]
            assert ([other] if other >= 0 else []) == twins


def test_more_than_two_faces_of_an_edge_are_neighbours_in_pairs() -> None:
    faces = np.array([[0, 1, k] for k in (2, 3, 4, 5, 6)], np.int32)
    neighbours = face_neighbours(faces)[:, 0]
    assert neighbours.tolist() == [1, 0, 3, 2, -1]


def test_parts_are_connected_and_of_one_label() -> None:
    mesh = square(6)
    part, count = connected_faces(face_neighbours(mesh.faces), left_and_right(mesh))
    assert count == 2 and np.bincount(part).tolist() == [36, 36]


def test_factors_are_those_that_the_photos_were_taken_with() -> None:
    random = np.random.default_rng(0)
    true = np.exp(random.normal(0, 0.15, (8, 3)))
    true /= np.exp(np.log(true).mean(axis=0))
    view = np.stack([random.permutation(8)[:5] for _ in range(2000)]).astype(np.int16)
    color = random.uniform(40, 140, (2000, 1, 3)) * true[view] + random.normal(0, 1.5, (2000, 5, 3))
    color[:100, 0] = 20.0  # someone walked by
    found = find_gains(Candidates(view, np.ones(view.shape, np.float32), color.astype(np.uint8)), 8)
    np.testing.assert_allclose(found * true, 1.0, atol=0.01)


def test_what_walks_by_is_an_outlier_and_what_scatters_is_none() -> None:
    random = np.random.default_rng(1)
    color = np.clip(random.normal(120, 8, (500, 7, 3)), 0, 255).astype(np.uint8)
    color[:200, 3] = [200, 30, 30]
    dropped = find_outliers(
        Candidates(
            np.tile(np.arange(7, dtype=np.int16), (500, 1)),
            np.ones((500, 7), np.float32), color,
        )
    )  # fmt: skip
    assert dropped[:200, 3].all()
    assert dropped.sum() - 200 < 0.01 * dropped.size


def test_half_of_the_views_are_never_outliers() -> None:
    color = np.zeros((50, 6, 3), np.uint8)
    color[:, 3:] = 200
    view = np.tile(np.arange(6, dtype=np.int16), (50, 1))
    dropped = find_outliers(Candidates(view, np.ones((50, 6), np.float32), color))
    assert (2 * dropped.sum(axis=1) < 6).all()


def test_noise_of_quality_makes_no_seams() -> None:
    mesh = square(16)
    random = np.random.default_rng(2)
    found = both_views(len(mesh.faces))
    quality = random.uniform(0.7, 1.0, found.quality.shape).astype(np.float32)
    quality[:, 0] += 0.05
    label = choose_views(
        mesh, face_neighbours(mesh.faces), Candidates(found.view, quality, found.color), 2
    )
    assert (label == 0).mean() > 0.99


def test_a_seam_lies_where_the_photos_agree() -> None:
    """Views 0 and 1 are as good in the middle; only in column 10 do their colours agree."""
    mesh = square(20)
    x = mesh.vertices[mesh.faces].mean(axis=1)[:, 0]
    found = both_views(len(mesh.faces))
    found.quality[:, 0] = np.where(x < 13, 1.0, 0.2)
    found.quality[:, 1] = np.where(x > 7, 1.0, 0.2)
    found.color[:, 1] = np.where(np.abs(x - 10) < 1, 100, 220)[:, None]
    label = choose_views(mesh, face_neighbours(mesh.faces), found, 2)
    assert (label[x < 7] == 0).all() and (label[x > 13] == 1).all()
    _, count = connected_faces(face_neighbours(mesh.faces), label)
    assert count == 2


def test_every_face_has_a_view_that_shows_it_or_none() -> None:
    mesh = square(8)
    random = np.random.default_rng(3)
    view = random.integers(-1, 5, (len(mesh.faces), 3)).astype(np.int16)
    view[:7] = -1
    quality = np.where(view >= 0, random.uniform(0.1, 1, view.shape), 0).astype(np.float32)
    color = np.zeros((*view.shape, 3), np.uint8)
    label = choose_views(mesh, face_neighbours(mesh.faces), Candidates(view, quality, color), 5)
    assert (view == label[:, None]).any(axis=1)[view.max(axis=1) >= 0].all()
    assert (label[view.max(axis=1) < 0] == -1).all()


def test_weights_of_a_face_add_up_to_one_and_fade_at_seams_alone() -> None:
    mesh = square(20)
    label = left_and_right(mesh)
    layers = blended_layers(mesh.faces, label, both_views(len(mesh.faces)), rings=3)
    total = np.zeros((len(mesh.faces), 3))
    np.add.at(total, layers.face, layers.weight)
    np.testing.assert_allclose(total, 1.0, atol=1e-5)
    shared = layers.weight.min(axis=1) < 0.98
    x = mesh.vertices[mesh.faces].mean(axis=1)[layers.face[shared], 0]
    assert len(x) and np.abs(x - 10).max() < 4.5
    places = mesh.vertices[mesh.faces[layers.face]]
    at_seam = (places[..., 0] == 10) & (np.abs(places[..., 1] - 10) < 7)
    np.testing.assert_allclose(layers.weight[at_seam], 0.5, atol=0.02)


def test_nothing_fades_into_a_view_that_does_not_show_it() -> None:
    mesh = square(12)
    label = left_and_right(mesh)
    found = both_views(len(mesh.faces))
    hidden = label == 0
    found.view[hidden, 1], found.quality[hidden, 1] = -1, 0
    layers = blended_layers(mesh.faces, label, found, rings=3)
    assert not (hidden[layers.face] & (layers.view == 1)).any()


def test_offsets_solve_the_least_squares_problem() -> None:
    mesh = square(4)
    layers = blended_layers(mesh.faces, left_and_right(mesh), both_views(len(mesh.faces)), 1)
    nodes = levelling.nodes_of(mesh, layers)
    pair = np.flatnonzero(nodes.vertex[1:] == nodes.vertex[:-1])
    A = levelling._matrix(nodes, pair)
    right = np.random.default_rng(4).normal(size=(len(nodes.vertex), 3))
    expected = np.linalg.solve(A.toarray(), right)
    told: list[tuple[int, int]] = []
    found = levelling._solve(A, right, lambda done, total: told.append((done, total)))
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.02)
    assert told[0] == (0, 100) and told[-1] == (100, 100)
    assert len({done for done, _ in told}) > 3
    assert np.linalg.eigvalsh(A.toarray()).min() > 0


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90)), min_size=1, max_size=60),
    st.sampled_from([96, 128, 300]),
)
def test_rectangles_lie_on_pages_and_none_on_another(
    sizes: list[tuple[int, int]], longest: int
) -> None:
    size = np.array(sizes)
    packing = pack(size, np.arange(len(size)), longest)
    assert max(max(page) for page in packing.sizes) <= longest
    for number, (width, height) in enumerate(packing.sizes):
        used = np.zeros((height, width), int)
        for index in np.flatnonzero(packing.page == number):
            column, row = packing.origin[index]
            wide, high = size[index]
            assert column + wide <= width and row + high <= height
            used[row : row + high, column : column + wide] += 1
        assert used.max() <= 1


def test_no_chart_is_larger_than_a_page() -> None:
    mesh = square(30)
    corners = 10.0 * mesh.vertices[mesh.faces][..., :2]
    label = np.zeros(len(mesh.faces), np.int16)
    charts = make_charts(
        face_neighbours(mesh.faces), corners, label.astype(np.int64), label, longest=96
    )
    assert charts.size.max() <= 96 and len(charts.size) >= 10
    assert (charts.corners >= GAP).all()
    assert (charts.corners <= (charts.size[charts.of_face] - GAP)[:, None]).all()


def test_triangles_of_a_square_cover_each_texel_and_no_other() -> None:
    mesh = square(7)
    corners = 3.3 * mesh.vertices[mesh.faces][..., :2] + 1.7
    owners = np.zeros((30, 30), int)
    for covered in cover(corners):
        np.testing.assert_allclose(covered.weights.sum(axis=1), 1.0, atol=1e-5)
        places = np.einsum("nk,nki->ni", covered.weights, corners[covered.triangle])
        centres = np.stack([covered.column, covered.row], 1) + 0.5
        np.testing.assert_allclose(places, centres, atol=1e-3)
        owners[covered.row, covered.column] += 1
    centre = np.arange(30) + 0.5
    inside = (centre > 1.7) & (centre < 1.7 + 23.1)
    assert ((owners > 0) == (inside[:, None] & inside)).all()


def test_a_triangle_without_a_centre_gets_the_texel_of_its_middle() -> None:
    (covered,) = cover(np.array([[[3.1, 5.1], [3.2, 5.1], [3.1, 5.2]]]))
    assert (covered.row.tolist(), covered.column.tolist()) == ([5], [3])


def test_colours_reach_as_far_as_told_in_any_tiling(monkeypatch: pytest.MonkeyPatch) -> None:
    page = np.zeros((40, 50, 3), np.uint8)
    filled = np.zeros((40, 50), bool)
    filled[10:14, 20:26] = True
    page[filled] = 200
    page[10, 20] = 100
    whole = baking.finished(page, filled, 5)
    monkeypatch.setattr(baking, "TILE", 16)
    np.testing.assert_array_equal(baking.finished(page, filled, 5), whole)
    assert (whole[12, 26:31] == 200).all() and (whole[12, 31:] != 200).all()
    assert (whole[5:10, 20] == 100).all()
    assert (whole[0, 0] == whole[39, 49]).all()


class Chequered:
    """Two views of a square from above, one blue and one with a chequered red."""

    def __init__(self) -> None:
        pose = np.diag([1.0, -1.0, -1.0, 1.0])
        pose[:3, 3] = 10, 10, 20
        lens = Intrinsics(60, 60, 40.0, 40.0, 30.0, 30.0)
        self.frames = [Frame(f"{number}.png", pose, lens) for number in range(2)]

    def __len__(self) -> int:
        return 2

    def image(self, number: int) -> np.ndarray:
        picture = np.full((60, 60, 3), 40, np.uint8)
        chequered = 40 + 160 * (np.indices((60, 60)).sum(axis=0) % 2)
        picture[..., 2 - 2 * number] = chequered if number else 200
        return picture


@pytest.mark.parametrize("mixed", [False, True])
def test_a_page_is_the_same_in_strips_of_any_size(
    mixed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So memory has a bound that no size of a page and no number of photos changes."""
    mesh, views = square(20), Chequered()
    faces, label = np.arange(len(mesh.faces)), left_and_right(mesh)
    found = both_views(len(faces))
    layers = blended_layers(mesh.faces, label, found, 2)
    order = np.argsort(layers.view, kind="stable")
    layers = Layers(layers.face[order], layers.view[order], layers.weight[order])
    shares = shared_views(label, found, 2) if mixed else None
    vertex = np.zeros((len(mesh.vertices), 3), np.float32)
    colors = Colors(views, np.ones((2, 3), np.float32), layers, None, shares, 1.0, vertex)
    corners = 3.0 * mesh.vertices[mesh.faces][..., :2] + 4.0

    def baked() -> np.ndarray:
        return baking.bake(mesh, corners, faces, (68, 68), colors, 3, lambda done, total: None)

    whole = baked()
    seen = []
    found_texels = baking._Texels.of
    monkeypatch.setattr(baking, "_TEXELS_AT_ONCE", 68 * 7)
    monkeypatch.setattr(
        baking._Texels, "of", lambda *what: seen.append(found_texels(*what)) or seen[-1]
    )
    np.testing.assert_array_equal(baked(), whole)
    assert len(seen) == 10 and max(len(texels.face) for texels in seen) <= 68 * 7
    left, right = whole[30, 10].astype(int), whole[30, 55].astype(int)
    assert np.abs(left - right).max() < 60 if mixed else np.abs(left - right).max() > 100


def test_bilinear_sampling_is_exact_at_centres_and_clamped_outside() -> None:
    image = np.random.default_rng(5).integers(0, 256, (6, 7, 3)).astype(np.uint8)
    np.testing.assert_allclose(sample(image, np.array([[2.5, 3.5]]))[0], image[3, 2])
    np.testing.assert_allclose(sample(image, np.array([[-9.0, -9.0], [99, 99]])),
                               image[[0, -1], [0, -1]])  # fmt: skip
    middle = sample(image, np.array([[3.0, 3.5]]))[0]
    np.testing.assert_allclose(middle, image[3, 2:4].mean(axis=0))


def test_plain_layers_leave_out_what_no_photo_shows() -> None:
    layers = plain_layers(np.array([3, -1, 0], np.int16))
    assert layers.face.tolist() == [0, 2] and layers.view.tolist() == [3, 0]
