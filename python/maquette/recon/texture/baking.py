"""The colours of a page's texels, in strips of rows and photograph by photograph.

Two bands: what is coarser than `sigma_px` is a mean over many views, what is finer comes from
one, or near seams from those that fade into one another. So exposure, gloss and noise average
out, and details stay sharp though views are not aligned to the pixel. Source: Burt and Adelson,
"A multiresolution spline with application to image mosaics", 1983; with more views for coarser
bands as in Allène, Pons and Keriven, "Seamless image-based texture atlases using multi-band
blending", ICPR 2008.

A strip holds `_TEXELS_AT_ONCE` texels at most, so that beside the page itself (7 bytes a texel)
memory stays the same however large it is and however many photographs there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.texture.blending import Layers, Shares
from maquette.recon.texture.projection import project, sample
from maquette.recon.texture.raster import cover
from maquette.recon.views.views import Views

TILE = 1024  # texels
_TEXELS_AT_ONCE = 1 << 22  # 512 rows of a page of 8192

Float32 = NDArray[np.float32]
Page = NDArray[np.uint8]


@dataclass(frozen=True)
class Colors:
    """What colours faces.

    Attributes:
        views: The photographs; their pixels times `gains` [N, 3].
        layers: Which of them for each face, ordered by view: all of it, or its details.
        offsets: [L, 3, 3] float32, added at the corners of each layer; None for none.
        shares: Which views make the coarser band, ordered by view; None: the layers make all.
        sigma_px: Gaussian that parts the bands.
        vertex: [V, 3] float32 sRGB 0..255: of faces without any layer.
    """

    views: Views
    gains: Float32
    layers: Layers
    offsets: Float32 | None
    shares: Shares | None
    sigma_px: float
    vertex: Float32


def bake(
    mesh: TriangleMesh, corners: NDArray[np.float64], faces: NDArray[np.int64],
    size: tuple[int, int], colors: Colors, dilation: int, told: Callable[[int, int], None],
) -> Page:  # fmt: skip
    """One page, [H, W, 3] uint8 sRGB.

    Args:
        corners: [F, 3, 2], texels on the faces' page.
        faces: The faces on this page.
        size: Width and height.
        dilation: Texels that colours reach beyond the charts.
    """
    width, height = size
    page, filled = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), bool)
    top, bottom = corners[faces, :, 1].min(axis=1), corners[faces, :, 1].max(axis=1)
    rows = max(1, _TEXELS_AT_ONCE // width)
    count, views = -(-height // rows), len(colors.views)
    for strip in range(count):
        first, end = strip * rows, min((strip + 1) * rows, height)
        inside = faces[(bottom >= first) & (top <= end)]
        texels = _Texels.of(mesh, corners, inside, (first, end), width)
        values = np.zeros((len(texels.face), 3), np.float32)
        _add_unseen(values, texels, mesh, colors)
        for number in range(views):
            _add_view(values, texels, number, colors)
            told(strip * views + number + 1, count * views)
        page[texels.row, texels.column] = np.clip(np.rint(values), 0, 255)
        filled[texels.row, texels.column] = True
    return finished(page, filled, dilation)


@dataclass(frozen=True)
class _Texels:
    """The texels of a strip that faces own, N in all, ordered by face.

    Attributes:
        face, row, column: [N].
        weights: [N, 3], barycentric.
        world: [N, 3], where they lie on the mesh.
        first: [F + 1], the first texel of each face.
    """

    face: NDArray[np.int32]
    row: NDArray[np.int32]
    column: NDArray[np.int32]
    weights: Float32
    world: NDArray[np.float64]
    first: NDArray[np.int64]

    @classmethod
    def of(
        cls, mesh: TriangleMesh, corners: NDArray[np.float64], faces: NDArray[np.int64],
        rows: tuple[int, int], width: int,
    ) -> _Texels:  # fmt: skip
        """The texels of faces in rows `rows[0]` to `rows[1] - 1`; each has one owner."""
        parts: list[tuple[NDArray[np.int32], ...]] = []
        weights = [np.zeros((0, 3), np.float32)]
        for covered in cover(corners[faces]):
            some = (covered.row >= rows[0]) & (covered.row < rows[1])
            owner_of = faces[covered.triangle[some]]
            parts.append(tuple(
                part.astype(np.int32)
                for part in (owner_of, covered.row[some], covered.column[some])
            ))  # fmt: skip
            weights.append(covered.weights[some])
        face, row, column = (
            np.concatenate([np.zeros(0, np.int32), *(part[k] for part in parts)]) for k in range(3)
        )
        weight = np.concatenate(weights)
        owner = np.zeros((rows[1] - rows[0], width), np.int32)
        owner[row - rows[0], column] = np.arange(len(row))
        mine = np.flatnonzero(owner[row - rows[0], column] == np.arange(len(row)))
        mine = mine[np.argsort(face[mine], kind="stable")]
        face, weight = face[mine].astype(np.int32), weight[mine]
        world = np.zeros((len(face), 3))
        for corner in range(3):
            world += weight[:, corner, None] * mesh.vertices[mesh.faces[face, corner]]
        first = np.searchsorted(face, np.arange(len(mesh.faces) + 1))
        return cls(face, row[mine], column[mine], weight, world, first)

    def of_faces(self, face: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The texels of some faces [M], and for each which of these."""
        start = self.first[face]
        count = self.first[face + 1] - start
        which = np.repeat(np.arange(len(face)), count)
        return start[which] + np.arange(len(which)) - (np.cumsum(count) - count)[which], which


def _add_view(values: Float32, texels: _Texels, number: int, colors: Colors) -> None:
    """Add the share of one photograph to the values [N, 3]."""
    layers, shares = colors.layers, colors.shares
    chosen = _of_view(layers.view, number)
    detail, which = texels.of_faces(layers.face[chosen])
    base, of_share = np.zeros(0, np.int64), which[:0]
    if shares is not None:
        mixed = _of_view(shares.view, number)
        base, of_share = texels.of_faces(shares.face[mixed])
    if not len(detail) + len(base):
        return
    image, gain = colors.views.image(number), colors.gains[number]
    frame = colors.views.frames[number]
    pixels, _ = project(texels.world[detail], frame)
    value = sample(image, pixels)
    if shares is not None:
        blurred = _blurred(image, colors.sigma_px)
        value -= sample(blurred, pixels)
        pixels, _ = project(texels.world[base], frame)
        weight = shares.weight[mixed][of_share, None]
        values[base] += weight * gain * sample(blurred, pixels)
    value *= gain
    weights, layer = texels.weights[detail], np.arange(chosen.start, chosen.stop)[which]
    if colors.offsets is not None:
        value += np.einsum("nk,nkc->nc", weights, colors.offsets[layer])
    values[detail] += value * np.einsum("nk,nk->n", weights, layers.weight[layer])[:, None]


def _of_view(view: NDArray[np.int16], number: int) -> slice:
    """The run of one view in an ordered list."""
    start, end = np.searchsorted(view, [number, number + 1])
    return slice(int(start), int(end))


def _blurred(image: Page, sigma: float) -> Page:
    """An image without what is finer than a Gaussian, [H, W, 3] uint8."""
    return np.stack([gaussian_filter(image[..., k], sigma, truncate=3.0) for k in range(3)], axis=2)


def _add_unseen(values: Float32, texels: _Texels, mesh: TriangleMesh, colors: Colors) -> None:
    """Colour the faces that have no layer by their vertices."""
    bare = np.ones(len(mesh.faces), bool)
    bare[colors.layers.face] = False
    some = np.flatnonzero(bare[texels.face])
    at_corners = colors.vertex[mesh.faces[texels.face[some]]]
    values[some] = np.einsum("nk,nkc->nc", texels.weights[some], at_corners)


def finished(page: Page, filled: NDArray[np.bool_], dilation: int) -> Page:
    """The page with the nearest colour in texels within `dilation` of a chart.

    What is farther off gets the mean colour, so that coarser levels of a viewer stay clean.
    """
    mean, result = _mean(page, filled), np.empty_like(page)
    for inner in _tiles(filled.shape):
        outer = tuple(slice(max(s.start - dilation, 0), s.stop + dilation) for s in inner)
        tile = page[outer]
        if not filled[outer].all():
            tile = _dilated(tile, filled[outer], dilation, mean)
        start = [i.start - o.start for i, o in zip(inner, outer, strict=True)]
        rows, columns = (slice(s, s + i.stop - i.start) for s, i in zip(start, inner, strict=True))
        result[inner] = tile[rows, columns]
    return result


def _tiles(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    height, width = shape
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            yield slice(top, min(top + TILE, height)), slice(left, min(left + TILE, width))


def _dilated(tile: Page, known: NDArray[np.bool_], dilation: int, mean: Page) -> Page:
    if not known.any():
        return np.broadcast_to(mean, tile.shape).copy()
    distance, nearest = distance_transform_edt(~known, return_indices=True)
    grown = tile[nearest[0], nearest[1]]
    grown[distance > dilation] = mean
    return grown


def _mean(page: Page, filled: NDArray[np.bool_]) -> Page:
    total, count = np.zeros(3), 0
    for top in range(0, len(page), TILE):
        rows = slice(top, top + TILE)
        total += page[rows][filled[rows]].sum(axis=0, dtype=np.float64)
        count += int(filled[rows].sum())
    return np.rint(total / max(count, 1)).astype(np.uint8)
