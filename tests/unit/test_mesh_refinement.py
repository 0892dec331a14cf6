"""Photometric refinement: kernels and twins, the slope of its energy, and what moves where."""

from __future__ import annotations

import functools
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
import trimesh
from numpy.typing import NDArray

from maquette.recon.kernel_checks import compare
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.mesh_refinement.agreement import Window, evaluate
from maquette.recon.mesh_refinement.data_term import Photos, in_threads
from maquette.recon.mesh_refinement.kernels import checks
from maquette.recon.mesh_refinement.pictures import Pictures, parts
from maquette.recon.mesh_refinement.refinement import Refinement, refine
from maquette.recon.mesh_refinement.subdivision import split_long_edges
from maquette.recon.mesh_refinement.thickness import distance_to_next
from maquette.recon.mvs.stacks import GreyView
from stereo_scene import CENTER, RADIUS, stereo_views
from threads import threads

Floats = NDArray[np.float64]
CPU = torch.device("cpu")
PAIRS = [[1, 2, 3, 4], [0], [0], [0], [0]]
PIXEL = (CENTER[2] - RADIUS) / (1.1 * 128)  # at the place of the ball that is nearest


@functools.cache
def views() -> list[GreyView]:
    """Five views of the textured ball."""
    return stereo_views(128, 96)[0]


@functools.cache
def directions() -> tuple[Floats, NDArray[np.int32]]:
    """A unit sphere's vertices and faces."""
    sphere = trimesh.creation.icosphere(4)
    return np.asarray(sphere.vertices), np.asarray(sphere.faces, np.int32)


def ball(bump_px: float) -> TriangleMesh:
    """The ball with waves of some pixels' height on it."""
    out, faces = directions()
    waves = bump_px * PIXEL * np.sin(6 * out[:, 0]) * np.cos(7 * out[:, 1])
    return TriangleMesh(out * (RADIUS + waves)[:, None] + CENTER, faces)


def off_px(mesh: TriangleMesh) -> Floats:
    """How far the first vertices, which are the ball's, are from its surface, pixels."""
    count = len(directions()[0])
    away = np.linalg.norm(np.asarray(mesh.vertices)[:count] - CENTER, axis=1)
    return np.abs(away - RADIUS) / PIXEL


def in_front() -> NDArray[np.bool_]:
    return directions()[0][:, 2] < -0.7


def test_kernels_agree_with_their_twins() -> None:
    for case in checks.cases(CPU, quick=True):
        found = compare(case, CPU, runs=1)
        assert found.agrees, f"{found.kernel}: {found.error}"


def test_slope_is_the_energy_s_change_with_a_move_outwards() -> None:
    reference, sources = checks.plane_before_three_cameras(96, 64, CPU)
    near, step = 1 / float(reference.planes.max()), 1e-3

    def compared(depth: float) -> NDArray[np.float32]:
        planes = reference.planes * (near / depth)
        return evaluate(replace(reference, planes=planes), sources, Window(tolerance=0.1)).numpy()

    told = compared(near)[2, 30:-30, 40:-40].sum()  # away from what leaves a source's picture
    before, after = (compared(near + sign * step)[0] for sign in (1, -1))
    measured = (after - before)[30:-30, 40:-40].sum() / (2 * step)
    assert told > 0  # the plane is too near, and outwards is nearer still
    assert abs(told - measured) < 0.1 * abs(measured)


def test_the_surface_moves_to_where_the_photos_agree() -> None:
    start, shown = ball(1.0), in_front()
    found = refine(start, Pictures.of(views()), PAIRS, Refinement(rounds=(4,)))
    assert off_px(start)[shown].mean() > 0.25
    assert off_px(found.mesh)[shown].mean() < 0.25 * off_px(start)[shown].mean()
    assert off_px(found.mesh)[shown].max() < 0.5


def test_what_no_photo_sees_and_what_has_no_texture_stays() -> None:
    start = ball(1.0)
    found = refine(start, Pictures.of(views()), PAIRS, Refinement(rounds=(2,), edge_px=0)).mesh
    behind = directions()[0][:, 2] > 0.3
    assert np.abs(found.vertices[behind] - start.vertices[behind]).max() < 1e-12
    blank = [replace(view, image=np.full_like(view.image, 128)) for view in views()]
    same = refine(start, Pictures.of(blank), PAIRS, Refinement(rounds=(2,), edge_px=0)).mesh
    assert np.abs(same.vertices - start.vertices).max() < 1e-3 * PIXEL


def test_the_sides_of_a_thin_part_keep_apart() -> None:
    """A shell of two pixels: no vertex moves farther than its share of that."""
    start, (out, faces) = ball(1.0), directions()
    inner = out * (RADIUS - 2 * PIXEL) + CENTER
    shell = TriangleMesh(
        np.concatenate([start.vertices, inner]),
        np.concatenate([faces, faces[:, ::-1] + len(out)]),
    )
    for share, most in ((np.inf, 3.0), (0.1, 0.32)):
        rules = Refinement(rounds=(3,), edge_px=0, free_share=share)
        found = refine(shell, Pictures.of(views()), PAIRS, rules).mesh
        moved = np.linalg.norm(found.vertices - shell.vertices, axis=1) / PIXEL
        assert 0.25 < moved[: len(out)].max() < most
    assert moved.max() > 0.7 * most, "up to its share"


def test_the_next_surface_is_found_on_either_side() -> None:
    out, faces = directions()
    shell = TriangleMesh(
        np.concatenate([2 * out, 1.7 * out]), np.concatenate([faces, faces[:, ::-1] + len(out)])
    )
    found = distance_to_next(shell, np.concatenate([out, -out]))
    assert found == pytest.approx(0.3, abs=0.02)
    alone = distance_to_next(TriangleMesh(2 * out, faces), out)  # a ray may miss at an edge
    assert np.median(alone) == pytest.approx(4.0, abs=0.02) and np.isfinite(alone).mean() > 0.8
    sheet = TriangleMesh(np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0.0]]), faces[:1] * 0 + [0, 1, 2])
    assert np.isinf(distance_to_next(sheet, np.tile([0, 0, 1.0], (3, 1)))).all()


def test_masked_pixels_say_nothing() -> None:
    hidden = [replace(view, mask=np.zeros(view.image.shape, bool)) for view in views()]
    start = ball(1.0)
    shown = Pictures.of([views()[0], *hidden[1:]])
    found = refine(start, shown, PAIRS, Refinement(rounds=(1,), edge_px=0))
    assert np.abs(found.mesh.vertices - start.vertices).max() < 1e-9
    assert np.isnan(found.energies[0])


def test_an_open_border_goes_with_what_is_next_to_it() -> None:
    start, cap = ball(1.0), in_front()
    kept = cap[start.faces].all(1)
    found = refine(
        TriangleMesh(start.vertices, start.faces[kept]), Pictures.of(views()), PAIRS,
        Refinement(rounds=(4,), edge_px=0),
    )  # fmt: skip
    rim = np.unique(start.faces[~kept & cap[start.faces].any(1)])
    rim = rim[cap[rim]]
    assert off_px(found.mesh)[rim].max() < off_px(start)[rim].max() + 0.5


@pytest.mark.parametrize("rounds", [1, 3])
def test_long_edges_are_cut_and_the_mesh_stays_closed(rounds: int) -> None:
    box = trimesh.creation.box()
    vertices, faces, allowed = split_long_edges(
        np.asarray(box.vertices), np.asarray(box.faces, np.int32),
        np.where(box.vertices[:, 0] > 0, 0.3, np.inf), rounds,
    )  # fmt: skip
    found = trimesh.Trimesh(vertices, faces, process=False)
    assert found.is_watertight and found.is_winding_consistent
    assert abs(found.volume - 1) < 1e-9 and len(allowed) == len(vertices)
    assert len(faces) > len(box.faces)
    assert np.array_equal(vertices[:8], box.vertices)


def test_results_come_in_order_from_any_number_of_threads() -> None:
    with threads(3):
        assert list(in_threads(lambda number: number**2, range(7), CPU)) == [n**2 for n in range(7)]
        assert torch.get_num_threads() == 3


@pytest.mark.parametrize(("held", "expected"), [(1, 5), (3, 3), (5, 1)])
def test_few_photos_in_memory_say_what_all_say(held: int, expected: int) -> None:
    pairs, mesh = [[1], [0, 2], [1, 3], [2, 4], []], ball(1.0)
    limit_bytes = held * 5 * 128 * 96
    frames = [view.frame for view in views()]
    found = list(parts(frames, pairs, limit_bytes))
    assert len(found) == expected and list(chain(*found)) == [0, 1, 2, 3, 4]
    given = (torch.from_numpy(mesh.vertices.astype(np.float32)), torch.from_numpy(mesh.faces))
    whole, by_parts = (
        Photos(Pictures.of(views()), pairs, CPU, limit).pull(*given, Window())
        for limit in (1 << 30, limit_bytes)
    )
    assert np.array_equal(whole.slope, by_parts.slope) and whole.energy == by_parts.energy
