"""Blocks shared out, and the surfaces of their shares joined again."""

from pathlib import Path

import numpy as np
import pytest

from maquette.errors import BadInput
from maquette.recon.mesh import bricks
from maquette.recon.mesh.blocks import Grid, divide
from maquette.recon.mesh.marching import Pieces, march
from maquette.recon.mesh.patches import Patch, joined, read_patches, write_patches
from maquette.recon.mesh.surface_plan import SurfacePlan

BOX = np.array([[-1.0, 1.0], [-0.8, 0.8], [-1.0, 0.5]])
GRID = Grid.over(BOX, 48)
RES = 10  # a brick of four cells may lie in two blocks


def near_ball():
    """The bricks near a ball's surface."""
    turns = np.random.default_rng(3).normal(size=(4000, 3))
    points = 0.6 * turns / np.linalg.norm(turns, axis=1, keepdims=True)
    return bricks.with_neighbours(bricks.bricks_of([points[:1500], points[1500:]], GRID), GRID)


def ball_patches():
    """The surface of a ball in each block that has some."""
    for number, block in enumerate(divide(GRID, RES)):
        x, y, z = np.meshgrid(*block.axes(GRID), indexing="ij")
        vertices, faces = march(((x**2 + y**2 + z**2) ** 0.5 - 0.6).astype(np.float32) / GRID.step)
        if len(vertices):
            yield Patch(number, vertices, faces)


def test_points_of_a_block_are_those_in_its_bricks():
    near, counts = near_ball(), tuple(n // bricks.CELL + 1 for n in GRID.cells)
    for block in divide(GRID, RES):
        found = bricks.points_in(block, GRID, near)
        index = np.stack(np.meshgrid(*[np.arange(n) for n in block.points], indexing="ij"), -1)
        index = index.reshape(-1, 3) + block.start
        which = np.ravel_multi_index(tuple((index // bricks.CELL).T), counts)
        expected = index[np.isin(which, near)]
        assert found.dtype == np.int32 and {*map(tuple, found)} == {*map(tuple, expected)}
        assert len(found) == len(expected)


@pytest.mark.parametrize("size", [1, 2000, 20_000, 1 << 40])
def test_every_block_is_in_one_share_and_none_is_much_larger(size):
    near, blocks = near_ball(), len(list(divide(GRID, RES)))
    shares = bricks.shares(near, GRID, RES, size)
    assert [n for first, end, _ in shares for n in range(first, end)] == list(range(blocks))
    assert sum(points for _, _, points in shares) == len(near) * bricks.CELL**3
    assert max(points for _, _, points in shares) <= size + (RES + bricks.CELL) ** 3
    assert (len(shares) == 1) == (size == 1 << 40)


def test_a_grid_with_nothing_in_it_is_one_share():
    blocks = len(list(divide(GRID, RES)))
    assert bricks.shares(np.zeros(0, np.int64), GRID, RES, 1000) == [(0, blocks, 0)]


def test_the_mesh_does_not_depend_on_how_blocks_were_shared_out(tmp_path: Path):
    patches, blocks = list(ball_patches()), list(divide(GRID, RES))
    pieces = Pieces(GRID, RES)
    for patch in patches:
        pieces.add(blocks[patch.block], patch.vertices, patch.faces)
    expected = pieces.welded()
    assert len(expected.faces) > 1000
    for cuts in ([], [5], [0, 7, 7, 12]):
        ends = zip([0, *cuts], [*cuts, len(patches)], strict=True)
        files = []
        for number, (first, end) in enumerate(ends):
            files.append(tmp_path / f"{number}.npz")
            write_patches(files[-1], patches[first:end])
        found = joined(files, GRID, RES)
        assert found.vertices.tobytes() == expected.vertices.tobytes()
        assert found.faces.tobytes() == expected.faces.tobytes()


def test_a_damaged_part_is_named(tmp_path: Path):
    path = tmp_path / "0.npz"
    write_patches(path, list(ball_patches()))
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b""):
        path.write_bytes(damaged)
        with pytest.raises(BadInput, match=r"0\.npz"):
            list(read_patches(path))


def test_a_plan_is_read_back_and_a_damaged_one_does_not_count(tmp_path: Path):
    path = tmp_path / "plan.npz"
    assert SurfacePlan.read(path) is None
    SurfacePlan(173, "a remark, é", near_ball()).write(path)
    found = SurfacePlan.read(path)
    assert found is not None and (found.resolution, found.remark) == (173, "a remark, é")
    assert (found.bricks == near_ball()).all()
    for damaged in (path.read_bytes()[:100], b""):
        path.write_bytes(damaged)
        assert SurfacePlan.read(path) is None
