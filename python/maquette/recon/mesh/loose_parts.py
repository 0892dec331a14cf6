"""Parts that float apart from the object and that the photos hardly vouch for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from maquette.counting import counted
from maquette.recon.mesh.parts import Parts, parts_of
from maquette.recon.mesh.triangles import FloatArray, TriangleMesh, keep_faces
from maquette.recon.mesh.visibility import Mask, count_views
from maquette.scene.transforms import Frame

_SMALL = (0.01, 0.1)  # of all area; of the largest part's length
_MIDDLING = (0.1, 0.5)
_APART = 0.01  # of the largest part's length: the least gap between the two
_FEW_SHARE = 0.4  # of the views of the largest part
_LEAST_VIEWS = 3  # of two cameras alone, depth is not sure
_MOST_SHARE = 0.75  # of all cameras
_RIM = 0.01  # of the region's radius: what comes so close to its end was cut off there
_MOST_POINTS = 200_000  # of the largest part, to measure gaps
_MOST_SAMPLES = 500  # vertices of a part whose views are counted


@dataclass(frozen=True)
class Loosened:
    """A mesh without its loose parts; numbers for a report, and a sentence where some went."""

    mesh: TriangleMesh
    numbers: dict[str, int | float] = field(default_factory=dict)
    remark: str = ""


def drop_loose(
    mesh: TriangleMesh, frames: Sequence[Frame], mask: Mask, tolerance: float, box: FloatArray
) -> Loosened:
    """Drop parts apart from the largest that few cameras see, or small ones that the region cuts.

    A part is apart at a gap of 1 % of the largest one's length. It goes where it is
    - small (under 1 % of the area, a tenth as long), and at most 40 % as many cameras see it as
      the largest, or it ends at the region's rim and fewer than three quarters of all see it;
    - middling (under 10 %, half as long), and two cameras see it, or one, and at most 40 % as many
      as the largest.
    How many see a part is the median over those of its vertices that any camera sees. So what is
    small but real, in the middle of the photos, stays.

    Args:
        mesh: In unit space, where the region is the unit ball within `box` [3, 2].
        frames, mask, tolerance: See `count_views`.
    """
    parts = parts_of(mesh)
    numbers: dict[str, int | float] = {"loose_parts_dropped": 0}
    small, middling = (
        (parts.areas < area) & (parts.lengths < length) & (np.arange(parts.count) > 0)
        for area, length in (_SMALL, _MIDDLING)
    )
    doubtful = _are_apart(mesh, parts, middling)
    if not doubtful.any():
        return Loosened(mesh, numbers)
    views = _median_views(mesh, parts, doubtful, frames, mask, tolerance)
    few = views <= _FEW_SHARE * views[0]
    cut = _are_cut(mesh, parts, box) & (views < _MOST_SHARE * len(frames))
    goes = doubtful & ((small & (few | cut)) | (few & (views < _LEAST_VIEWS)))
    if not goes.any():
        return Loosened(mesh, numbers)
    share = float(parts.areas[goes].sum())
    numbers = {
        "loose_parts_dropped": int(goes.sum()),
        "loose_faces_dropped": int(parts.faces[goes].sum()),
    }
    remark = (
        f"dropped {counted(int(goes.sum()), 'loose part')}, {share:.1%} of the surface, at the rim "
        "or seen by few photos; UNSEEN=keep keeps all"
    )
    return Loosened(keep_faces(mesh, ~goes[parts.of_vertex[mesh.faces[:, 0]]]), numbers, remark)


def _are_apart(mesh: TriangleMesh, parts: Parts, asked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of the parts asked about [P] leave a gap to the largest one."""
    if not asked.any():
        return asked
    largest = mesh.vertices[parts.of_vertex == 0]
    least = _APART * float(np.linalg.norm(np.ptp(largest, axis=0)))
    points = cKDTree(largest[:: max(1, len(largest) // _MOST_POINTS)])
    chosen = np.flatnonzero(_of_parts(parts, asked))
    gaps, _ = points.query(mesh.vertices[chosen], distance_upper_bound=least)
    touches = np.bincount(parts.of_vertex[chosen], gaps < least, minlength=parts.count) > 0
    return np.asarray(asked & ~touches)


def _median_views(
    mesh: TriangleMesh,
    parts: Parts,
    doubtful: NDArray[np.bool_],
    frames: Sequence[Frame],
    mask: Mask,
    tolerance: float,
) -> FloatArray:
    """How many cameras see the seen vertices of the largest and of doubtful parts: medians [P]."""
    chosen = np.flatnonzero(_of_parts(parts, doubtful | (np.arange(parts.count) == 0)))
    chosen = chosen[np.argsort(parts.of_vertex[chosen], kind="stable")]
    cuts = np.flatnonzero(np.diff(parts.of_vertex[chosen])) + 1
    groups = [group[:: max(1, len(group) // _MOST_SAMPLES)] for group in np.split(chosen, cuts)]
    enough = min(len(frames), np.iinfo(np.uint8).max)
    counts = count_views(
        mesh, frames, mask, tolerance=tolerance, enough=enough, among=np.concatenate(groups)
    )
    medians = np.zeros(parts.count)
    for group in groups:
        seen = counts[group][counts[group] > 0]
        medians[parts.of_vertex[group[0]]] = np.median(seen) if len(seen) else 0.0
    return medians


def _are_cut(mesh: TriangleMesh, parts: Parts, box: FloatArray) -> NDArray[np.bool_]:
    """Which parts [P] come to the end of the region."""
    outside = np.linalg.norm(mesh.vertices, axis=1) > 1.0 - _RIM
    outside |= (mesh.vertices < box[:, 0] + _RIM).any(axis=1)
    outside |= (mesh.vertices > box[:, 1] - _RIM).any(axis=1)
    outside &= parts.of_vertex >= 0
    return np.bincount(parts.of_vertex[outside], minlength=parts.count) > 0


def _of_parts(parts: Parts, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which vertices [V] belong to the chosen parts [P]."""
    return np.append(chosen, False)[parts.of_vertex]  # −1 is the last
