"""One view for each face, so that seams are few and lie where they hurt least.

The energy is a Markov random field over the graph of faces: for each face how much worse its
view is than its best one, for each edge between two views a constant and how much these differ
there in colour. Sources: Lempitsky and Ivanov, CVPR 2007 (the field); Kwatra et al., "Graphcut
textures", SIGGRAPH 2003, eq. 1 (the cost of a seam); mean field updates as in Krähenbühl and
Koltun, NIPS 2011, algorithm 1, first over patches of faces, then over faces; iterated
conditional modes, Besag, 1986, last.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from maquette.recon.mesh.triangles import TriangleMesh, face_cross
from maquette.recon.texture.candidates import Candidates
from maquette.recon.texture.face_graph import connected_faces
from maquette.recon.texture.options import UNSEEN

_SMOOTHNESS = 0.35  # of an edge between two views, against 1 between best view and none
_COLOR_STEP = 40.0  # of 255: a seam with such a step costs as much again
_PATCH_EDGES = 10.0  # mean edges along a patch of the first pass
_PATCH_ROUNDS, _FACE_ROUNDS, _LAST_ROUNDS = 20, 8, 8
_PATCH_SMOOTHNESS = 0.6
_SHARPEST = 12.0  # inverse temperature of the mean field at its end
_LEAST_FACES = 12  # of a chart: smaller ones join a neighbour where it can see them
_TINY_ROUNDS = 4


def choose_views(
    mesh: TriangleMesh, neighbours: NDArray[np.int32], candidates: Candidates, views: int,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> NDArray[np.int16]:  # fmt: skip
    """The view of each face, [F], UNSEEN where there is none."""
    done = 0

    def tell() -> None:
        nonlocal done
        done += 1
        told(done, _FACE_ROUNDS + _LAST_ROUNDS + _TINY_ROUNDS)

    told(0, _FACE_ROUNDS + _LAST_ROUNDS + _TINY_ROUNDS)
    best = np.maximum(candidates.quality.max(axis=1, keepdims=True), 1e-30)
    score = candidates.quality / best  # [F, K] 0..1
    hint = _patch_views(mesh, neighbours, candidates.view, score, views)
    field = _Field(neighbours, candidates, score)
    slot = field.mean_field(hint, tell)
    for number in range(_LAST_ROUNDS):
        slot = field.improved(slot, number)
        tell()
    label = field.label_of(slot)
    for _ in range(_TINY_ROUNDS):
        label = _joined_tiny(neighbours, candidates.view, label)
        tell()
    return label


def _patch_views(
    mesh: TriangleMesh, neighbours: NDArray[np.int32], view: NDArray[np.int16],
    score: NDArray[np.float32], views: int,
) -> NDArray[np.int16]:  # fmt: skip
    """The view that suits a patch of faces and its neighbourhood, for each face [F]."""
    patch, count = _patches(mesh)
    known = view >= 0
    rows = np.broadcast_to(patch[:, None], view.shape)[known]
    data = coo_array((score[known], (rows, view[known])), (count, views)).toarray()
    data /= np.maximum(np.bincount(patch, minlength=count)[:, None], 1)
    links = _links(patch, neighbours, count)
    belief = _softmax(4.0 * data)
    for number in range(_PATCH_ROUNDS):
        sharpness = 2.0 + _SHARPEST * number / _PATCH_ROUNDS
        belief = _softmax(sharpness * (data + _PATCH_SMOOTHNESS * (links @ belief)))
    return belief.argmax(axis=1).astype(np.int16)[patch]


def _patches(mesh: TriangleMesh) -> tuple[NDArray[np.int64], int]:
    """Faces of one cube of a lattice that face the same of six directions: [F], and how many."""
    corners = mesh.vertices[mesh.faces[:, 0]].astype(np.float64)
    edge = np.linalg.norm(mesh.vertices[mesh.faces[:, 1]] - corners, axis=1).mean()
    cell = ((corners - corners.min(axis=0)) / max(_PATCH_EDGES * edge, 1e-12)).astype(np.int64)
    cross = face_cross(mesh)
    axis = np.abs(cross).argmax(axis=1)
    side = 2 * axis + (cross[np.arange(len(axis)), axis] > 0)
    shape = [*(cell.max(axis=0) + 1), 6]
    key = np.ravel_multi_index((*cell.T, side), shape)
    _, patch = np.unique(key, return_inverse=True)
    return patch, int(patch.max()) + 1


def _links(patch: NDArray[np.int64], neighbours: NDArray[np.int32], count: int) -> csr_array:
    """The share of a patch's border that each neighbour has, [P, P] sparse."""
    here, there = np.repeat(patch, 3), np.where(neighbours >= 0, patch[neighbours], -1).ravel()
    crossing = (there >= 0) & (here != there)
    ones = np.ones(int(crossing.sum()), np.float32)
    links = coo_array((ones, (here[crossing], there[crossing])), (count, count)).tocsr()
    total = np.maximum(links.sum(axis=1), 1.0)
    return links.multiply(1.0 / total[:, None]).tocsr()


class _Field:
    """The energy over faces: K candidates each, three neighbours each."""

    def __init__(
        self, neighbours: NDArray[np.int32], candidates: Candidates, score: NDArray[np.float32]
    ) -> None:
        self._view, self._score = candidates.view, score
        self._neighbours, self._color = neighbours, candidates.color
        self._known = candidates.view >= 0
        self._open = neighbours < 0

    def mean_field(self, hint: NDArray[np.int16], tell: Callable[[], None]) -> NDArray[np.int64]:
        """The candidate of each face, [F], beginning with the hint where it is one."""
        belief = self._normalised(8.0 * self._score + 8.0 * (self._view == hint[:, None]))
        for number in range(_FACE_ROUNDS):
            message = self._agreeing(belief)
            sharpness = 2.0 + _SHARPEST * (number + 1) / _FACE_ROUNDS
            belief = self._normalised(sharpness * (self._score + _SMOOTHNESS * message))
            tell()
        return belief.argmax(axis=1)

    def improved(self, slot: NDArray[np.int64], round_number: int) -> NDArray[np.int64]:
        """Every second face at its best given its neighbours, with the colours at seams."""
        faces = np.arange(len(slot))
        turn = (faces * 2654435761 >> 7) % 2 == round_number % 2
        label = self.label_of(slot)
        around = np.where(self._open, np.int16(-1), label[self._neighbours])
        turn &= (around != label[:, None]).any(axis=1) & self._known.any(axis=1)
        some = np.flatnonzero(turn)
        cost = np.where(self._known[some], 1.0 - self._score[some], np.inf)
        for side in range(3):
            cost += self._seam_cost(some, side, slot, label)
        better = slot.copy()
        better[some] = cost.argmin(axis=1)
        return better

    def label_of(self, slot: NDArray[np.int64]) -> NDArray[np.int16]:
        """The view of each face by its candidate, [F]."""
        return np.take_along_axis(self._view, slot[:, None], axis=1)[:, 0]

    def _agreeing(self, belief: NDArray[np.float32]) -> NDArray[np.float32]:
        """How much neighbours believe in each candidate of a face, [F, K]."""
        total = np.zeros_like(belief)
        for side in range(3):
            across = self._neighbours[:, side]
            theirs, weight = self._view[across], belief[across]
            weight = np.where((across < 0)[:, None], np.float32(0), weight)
            for slot in range(belief.shape[1]):
                total += np.where(self._view == theirs[:, slot : slot + 1],
                                  weight[:, slot : slot + 1], np.float32(0))  # fmt: skip
        return total

    def _seam_cost(
        self, some: NDArray[np.int64], side: int, slot: NDArray[np.int64],
        label: NDArray[np.int16],
    ) -> NDArray[np.float64]:  # fmt: skip
        """The cost [N, K] of the edge on one side of some faces, for each of their candidates."""
        across = self._neighbours[some, side]
        theirs = np.where(across < 0, np.int16(-1), label[across])
        differs = (self._view[some] != theirs[:, None]) & (theirs >= 0)[:, None]
        step = np.abs(self._color[some].astype(np.int16)
                      - self._color[across, slot[across]][:, None]).mean(axis=2)  # fmt: skip
        return np.where(differs, _SMOOTHNESS * (1.0 + step / _COLOR_STEP), 0.0)

    def _normalised(self, energy: NDArray[np.floating]) -> NDArray[np.float32]:
        return _softmax(np.where(self._known, energy, -1e9)) * self._known


def _softmax(energy: NDArray[np.floating]) -> NDArray[np.float32]:
    value = np.exp(energy - energy.max(axis=1, keepdims=True))
    return np.asarray(value / value.sum(axis=1, keepdims=True), np.float32)


def _joined_tiny(
    neighbours: NDArray[np.int32], view: NDArray[np.int16], label: NDArray[np.int16]
) -> NDArray[np.int16]:
    """Give faces of very small charts a neighbour's view, where that view shows them."""
    part, count = connected_faces(neighbours, label)
    tiny = (np.bincount(part, minlength=count) < _LEAST_FACES)[part] & (label >= 0)
    some = np.flatnonzero(tiny)
    joined = label.copy()
    undecided = np.ones(len(some), bool)
    for side in range(3):
        across = neighbours[some, side]
        other = np.where(across < 0, np.int16(UNSEEN), label[across])
        good = undecided & (other >= 0) & (other != label[some])
        good &= ~tiny[across] & (view[some] == other[:, None]).any(axis=1)
        joined[some[good]] = other[good]
        undecided &= ~good
    return joined
