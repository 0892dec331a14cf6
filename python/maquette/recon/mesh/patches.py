"""Surfaces of some blocks in a file, and one mesh of the files of all blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maquette.errors import BadInput
from maquette.recon.mesh.blocks import Grid, divide
from maquette.recon.mesh.marching import Pieces
from maquette.recon.mesh.triangles import FaceArray, FloatArray, TriangleMesh
from maquette.scene.array_files import NOT_READABLE
from maquette.scene.atomic import replacing


@dataclass(frozen=True)
class Patch:
    """The surface in one block.

    Attributes:
        block: Its number, in the order of `blocks.divide`.
        vertices: [V, 3], in the block's grid coordinates.
        faces: [F, 3] int32.
    """

    block: int
    vertices: FloatArray
    faces: FaceArray


def write_patches(path: Path, patches: Sequence[Patch]) -> None:
    """Write patches as they are, to the last bit; whole or not at all."""
    sizes = [(patch.block, len(patch.vertices), len(patch.faces)) for patch in patches]
    vertices = [patch.vertices for patch in patches] or [np.zeros((0, 3), np.float32)]
    faces = [patch.faces for patch in patches] or [np.zeros((0, 3), np.int32)]
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(
            file,
            sizes=np.array(sizes, np.int64).reshape(-1, 3),
            vertices=np.concatenate(vertices),
            faces=np.concatenate(faces),
        )


def read_patches(path: Path) -> Iterator[Patch]:
    """The patches of a file, in their order.

    Raises:
        BadInput: it is missing or damaged.
    """
    try:
        with np.load(path) as content:
            sizes, vertices, faces = (content[name] for name in ("sizes", "vertices", "faces"))
    except NOT_READABLE as error:
        raise BadInput(
            f"a part of the surface is missing or damaged: `{path}`",
            detail=str(error),
            hint="remove it and run the same command again: it is made anew",
        ) from error
    v = f = 0
    for block, v_count, f_count in sizes.tolist():
        yield Patch(block, vertices[v : v + v_count], faces[f : f + f_count])
        v, f = v + v_count, f + f_count


def joined(files: Iterable[Path], grid: Grid, block_res: int) -> TriangleMesh:
    """One welded mesh, in the grid's frame, of the patches of all blocks.

    Args:
        files: Their blocks ascend, so that the mesh does not depend on how they were shared out.

    Raises:
        BadInput: a file is missing or damaged.
    """
    pieces, blocks = Pieces(grid, block_res), enumerate(divide(grid, block_res))
    for path in files:
        for patch in read_patches(path):
            block = next(block for number, block in blocks if number == patch.block)
            pieces.add(block, patch.vertices, patch.faces)
    return pieces.welded()
