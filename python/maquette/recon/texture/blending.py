"""Which views colour a face, and how much each at its corners: one, and near seams several.

A vertex belongs to a view by the share of its faces that carry it, averaged over a few rings of
neighbours: so one photograph fades into the next over a narrow band, while the steps that are
wider than the band are the levelling's. Two bands, as in Burt and Adelson, "A multiresolution
spline with application to image mosaics", 1983, with the surface in the place of the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from maquette.recon.mesh.triangles import FaceArray
from maquette.recon.texture.candidates import Candidates

_LEAST = 0.02  # a smaller weight is none


@dataclass(frozen=True)
class Layers:
    """Views of faces, one or several a face; L in all.

    Attributes:
        face: [L] int32.
        view: [L] int16.
        weight: [L, 3] float32, at the face's corners; those of a face add up to 1 at each.
    """

    face: NDArray[np.int32]
    view: NDArray[np.int16]
    weight: NDArray[np.float32]


@dataclass(frozen=True)
class Shares:
    """Views that make a mean over a face: S in all, ordered by view.

    Attributes:
        face: [S] int32.
        view: [S] int16.
        weight: [S] float32; those of a face add up to 1.
    """

    face: NDArray[np.int32]
    view: NDArray[np.int16]
    weight: NDArray[np.float32]


def shared_views(label: NDArray[np.int16], candidates: Candidates, most: int) -> Shares:
    """The best views of each face that has one, by their quality, `most` of them at most."""
    quality = np.where((label >= 0)[:, None], candidates.quality, np.float32(0))
    if most < quality.shape[1]:
        limit = np.sort(quality, axis=1)[:, -most]
        quality[quality < limit[:, None]] = 0
    face, slot = np.nonzero(quality)
    view = candidates.view[face, slot]
    order = np.argsort(view, kind="stable")
    weight = quality / np.maximum(quality.sum(axis=1, keepdims=True), np.float32(1e-30))
    return Shares(
        face[order].astype(np.int32), view[order], weight[face, slot][order].astype(np.float32)
    )


def plain_layers(label: NDArray[np.int16]) -> Layers:
    """Each face that has a view in that view alone."""
    face = np.flatnonzero(label >= 0).astype(np.int32)
    return Layers(face, label[face], np.ones((len(face), 3), np.float32))


def blended_layers(
    faces: FaceArray, label: NDArray[np.int16], candidates: Candidates, rings: int
) -> Layers:
    """Layers that fade over so many rings of faces on both sides of a seam.

    A view fades only as far as it shows all faces around a vertex.
    """
    plain = plain_layers(label)
    strip = _strip(faces, label, rings)
    if rings < 1 or not strip.any():
        return plain
    inside = ~strip[plain.face]
    faded = _faded(faces, label, candidates, np.flatnonzero(strip), rings)
    return Layers(
        np.concatenate([plain.face[inside], faded.face]),
        np.concatenate([plain.view[inside], faded.view]),
        np.concatenate([plain.weight[inside], faded.weight]),
    )


def _strip(faces: FaceArray, label: NDArray[np.int16], rings: int) -> NDArray[np.bool_]:
    """Faces with a view, [F], within so many rings of a seam."""
    seen = label >= 0
    count = int(faces.max(initial=-1)) + 1
    corners, labels = faces[seen].ravel(), np.repeat(label[seen], 3)
    low, high = np.full(count, np.iinfo(np.int16).max, np.int16), np.full(count, -1, np.int16)
    np.minimum.at(low, corners, labels)
    np.maximum.at(high, corners, labels)
    near = high > low
    for _ in range(max(rings - 1, 0)):
        touched = near[faces].any(axis=1) & seen
        near[faces[touched]] = True
    return np.asarray(near[faces].any(axis=1) & seen)


def _faded(
    faces: FaceArray, label: NDArray[np.int16], candidates: Candidates,
    strip: NDArray[np.int64], rings: int,
) -> Layers:  # fmt: skip
    """Layers of the faces of the strip."""
    used, corner = np.unique(faces[strip], return_inverse=True)
    corner = corner.reshape(-1, 3)
    views = int(candidates.view.max()) + 1
    own = _incidence(corner, label[strip][:, None], (len(used), views))
    shown = _incidence(corner, candidates.view[strip], (len(used), views))
    around = np.bincount(corner.ravel(), minlength=len(used)).astype(np.float32)
    share = own.multiply(1.0 / around[:, None]).tocsr()
    links = _vertex_links(corner, len(used))
    for _ in range(rings):
        share = (0.5 * (share + links @ share)).tocsr()
    everywhere = shown.multiply(1.0 / around[:, None]).tocsr()
    everywhere.data = (everywhere.data > 0.999).astype(np.float32)
    share = share.multiply(everywhere).tocsr()
    return _by_face(share, corner, strip, label, views)


def _incidence(
    corner: NDArray[np.int64], view: NDArray[np.int16], shape: tuple[int, int]
) -> csr_array:
    """How many faces around a vertex have a view, [V, N] sparse; faces have several views."""
    rows = np.repeat(corner[:, :, None], view.shape[1], axis=2)
    columns = np.broadcast_to(view[:, None, :], rows.shape)
    known = columns >= 0
    ones = np.ones(int(known.sum()), np.float32)
    return coo_array((ones, (rows[known], columns[known])), shape).tocsr()


def _vertex_links(corner: NDArray[np.int64], count: int) -> csr_array:
    """The mean over neighbours of vertices as a matrix, [V, V] sparse."""
    starts, ends = corner.ravel(), corner[:, [1, 2, 0]].ravel()
    ones = np.ones(2 * len(starts), np.float32)
    pairs = np.concatenate([starts, ends]), np.concatenate([ends, starts])
    links = coo_array((ones, pairs), (count, count)).tocsr()
    links.data[:] = 1.0
    degree = np.maximum(np.diff(links.indptr), 1)
    return links.multiply(1.0 / degree[:, None]).tocsr()


def _by_face(
    share: csr_array, corner: NDArray[np.int64], strip: NDArray[np.int64],
    label: NDArray[np.int16], views: int,
) -> Layers:  # fmt: skip
    """Shares of vertices [V, N] as weights at the corners of faces; without any, the face's own."""
    share.data[share.data < _LEAST] = 0
    share.eliminate_zeros()
    keys, sides, weights = [], [], []
    for side in range(3):
        rows = share[corner[:, side]]
        length = np.diff(rows.indptr)
        place = np.repeat(np.arange(len(strip)), length)
        keys.append(place * views + rows.indices)
        sides.append(np.full(len(place), side))
        weights.append(rows.data)
        bare = np.flatnonzero(length == 0)
        keys.append(bare * views + label[strip[bare]])
        sides.append(np.full(len(bare), side))
        weights.append(np.ones(len(bare), np.float32))
    layer, position = np.unique(np.concatenate(keys), return_inverse=True)
    weight = np.zeros((len(layer), 3), np.float32)
    weight[position, np.concatenate(sides)] = np.concatenate(weights)
    place = layer // views
    for side in range(3):
        weight[:, side] /= np.bincount(place, weight[:, side])[place]
    return Layers(strip[place].astype(np.int32), (layer % views).astype(np.int16), weight)
