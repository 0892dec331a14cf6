"""The colours of a page's texels, photograph by photograph.

Each photograph is read once a page. The page is held in 16 bits a channel, beside the face that
owns each texel, and finished in tiles: 8192 × 8192 texels take 0.7 GB, however many
photographs there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.texture.blending import Layers
from maquette.recon.texture.projection import project, sample
from maquette.recon.texture.raster import Covered, cover
from maquette.recon.views.views import Views

TILE = 1024  # texels
_ONE = 65535.0 / 255.0  # of the page's 16 bits, a step of 8 bits


@dataclass(frozen=True)
class Colors:
    """What colours faces.

    Attributes:
        views: The photographs; their pixels times `gains` [N, 3].
        layers: Which of them for each face, ordered by view.
        offsets: [L, 3, 3] float32, added at the corners of each layer; None for none.
        vertex: [V, 3] float32 sRGB 0..255: of faces without any layer.
    """

    views: Views
    gains: NDArray[np.float32]
    layers: Layers
    offsets: NDArray[np.float32] | None
    vertex: NDArray[np.float32]


def bake(
    mesh: TriangleMesh, corners: NDArray[np.float64], faces: NDArray[np.int64],
    size: tuple[int, int], colors: Colors, dilation: int, told: Callable[[int, int], None],
) -> NDArray[np.uint8]:  # fmt: skip
    """One page, [H, W, 3] uint8 sRGB.

    Args:
        corners: [F, 3, 2], texels on the faces' page.
        faces: The faces on this page.
        size: Width and height.
        dilation: Texels that colours reach beyond the charts.
    """
    width, height = size
    owner = _owners(corners, faces, (height, width))
    page = np.zeros((height, width, 3), np.uint16)
    _bake_unseen(page, owner, mesh, corners, faces, colors)
    layers, on_page = colors.layers, np.zeros(len(mesh.faces), bool)
    on_page[faces] = True
    views = colors.views
    limits = np.searchsorted(layers.view, np.arange(len(views) + 1))
    for number in range(len(views)):
        some = np.arange(limits[number], limits[number + 1])
        some = some[on_page[layers.face[some]]]
        if len(some):
            _bake_view(page, owner, mesh, corners, some, number, colors)
        told(number + 1, len(views))
    return finished(page, owner >= 0, dilation)


def _owners(
    corners: NDArray[np.float64], faces: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.int32]:
    """The face of each texel, [H, W], −1 where there is none."""
    owner = np.full(shape, -1, np.int32)
    for covered in cover(corners[faces]):
        owner[covered.row, covered.column] = faces[covered.triangle]
    return owner


def _owned(
    owner: NDArray[np.int32], corners: NDArray[np.float64], face: NDArray[np.int32]
) -> Iterator[Covered]:
    """The texels that some faces own, [T] by their order."""
    for covered in cover(corners[face]):
        mine = owner[covered.row, covered.column] == face[covered.triangle]
        yield Covered(*(part[mine] for part in (
            covered.triangle, covered.row, covered.column, covered.weights,
        )))  # fmt: skip


def _bake_view(
    page: NDArray[np.uint16], owner: NDArray[np.int32], mesh: TriangleMesh,
    corners: NDArray[np.float64], some: NDArray[np.int64], number: int, colors: Colors,
) -> None:  # fmt: skip
    """Add the share of one photograph to the page; `some` are its layers."""
    face, image = colors.layers.face[some], colors.views.image(number)
    for covered in _owned(owner, corners, face):
        layer, weights = some[covered.triangle], covered.weights
        points = mesh.vertices[mesh.faces[face[covered.triangle]]]  # [N, 3, 3]
        world = np.einsum("nk,nki->ni", weights.astype(np.float64), points)
        pixels, _ = project(world, colors.views.frames[number])
        value = sample(image, pixels) * colors.gains[number]
        if colors.offsets is not None:
            value += np.einsum("nk,nkc->nc", weights, colors.offsets[layer])
        share = np.einsum("nk,nk->n", weights, colors.layers.weight[layer]).clip(0, 1)
        np.clip(value, 0, 255, out=value)
        add = np.rint(value * (share * np.float32(_ONE))[:, None])
        at = covered.row, covered.column
        page[at] = np.minimum(page[at] + add, 65535).astype(np.uint16)


def _bake_unseen(
    page: NDArray[np.uint16], owner: NDArray[np.int32], mesh: TriangleMesh,
    corners: NDArray[np.float64], faces: NDArray[np.int64], colors: Colors,
) -> None:  # fmt: skip
    """Colour the faces that have no layer by their vertices."""
    bare = np.ones(len(mesh.faces), bool)
    bare[colors.layers.face] = False
    face = faces[bare[faces]].astype(np.int32)
    for covered in _owned(owner, corners, face):
        at_corners = colors.vertex[mesh.faces[face[covered.triangle]]]
        value = np.einsum("nk,nkc->nc", covered.weights, at_corners).clip(0, 255)
        page[covered.row, covered.column] = np.rint(value * _ONE).astype(np.uint16)


def finished(
    page: NDArray[np.uint16], filled: NDArray[np.bool_], dilation: int
) -> NDArray[np.uint8]:
    """The page in 8 bits; texels within `dilation` of a chart get the nearest colour of one.

    What is farther off gets the mean colour, so that coarser levels of a viewer stay clean.
    """
    height, width = filled.shape
    result = np.empty(page.shape, np.uint8)
    mean = _mean(page, filled)
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            inner = slice(top, min(top + TILE, height)), slice(left, min(left + TILE, width))
            outer = tuple(slice(max(s.start - dilation, 0), s.stop + dilation) for s in inner)
            values, known = page[outer], filled[outer]
            tile = np.rint(values / np.float32(_ONE)).astype(np.uint8)
            if not known.all():
                tile = _dilated(tile, known, dilation, mean)
            start = [i.start - o.start for i, o in zip(inner, outer, strict=True)]
            rows, columns = (
                slice(s, s + i.stop - i.start) for s, i in zip(start, inner, strict=True)
            )
            result[inner] = tile[rows, columns]
    return result


def _dilated(
    tile: NDArray[np.uint8], known: NDArray[np.bool_], dilation: int, mean: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    if not known.any():
        return np.broadcast_to(mean, tile.shape).copy()
    distance, nearest = distance_transform_edt(~known, return_indices=True)
    grown = tile[nearest[0], nearest[1]]
    grown[distance > dilation] = mean
    return grown


def _mean(page: NDArray[np.uint16], filled: NDArray[np.bool_]) -> NDArray[np.uint8]:
    total, count = np.zeros(3), 0
    for top in range(0, len(page), TILE):
        rows = slice(top, top + TILE)
        total += page[rows][filled[rows]].sum(axis=0, dtype=np.float64)
        count += int(filled[rows].sum())
    return np.rint(total / max(count, 1) / _ONE).astype(np.uint8)
