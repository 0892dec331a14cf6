"""Charts: connected faces of one view, flat as that photograph shows them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maquette.recon.mesh.triangles import TriangleMesh, face_cross
from maquette.recon.texture.face_graph import connected_faces
from maquette.recon.texture.projection import project
from maquette.recon.views.views import Views

GAP = 2  # texels around a chart
_UNSEEN_SCALE = 0.5  # texels of what no photo shows, against those of what photos show


@dataclass(frozen=True)
class Charts:
    """Faces in C charts.

    Attributes:
        of_face: [F] int32.
        corners: [F, 3, 2] float64, texels from the chart's own corner.
        size: [C, 2] int64, width and height, texels, gap included.
        view: [C] int16, UNSEEN where no photo shows them.
    """

    of_face: NDArray[np.int32]
    corners: NDArray[np.float64]
    size: NDArray[np.int64]
    view: NDArray[np.int16]


def flat_faces(
    mesh: TriangleMesh, views: Views, label: NDArray[np.int16]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Corners of faces [F, 3, 2] in pixels of their photograph, and what may form a chart [F].

    What no photograph shows is seen along the axis of the world that it faces most, at half the
    median scale of what one shows.
    """
    corners = np.zeros((len(mesh.faces), 3, 2))
    for number in range(len(views)):
        chosen = np.flatnonzero(label == number)
        used, place = np.unique(mesh.faces[chosen], return_inverse=True)
        pixels, _ = project(mesh.vertices[used], views.frames[number])
        corners[chosen] = pixels[place.reshape(-1, 3)]
    cross = face_cross(mesh)
    unseen = np.flatnonzero(label < 0)
    axis = np.abs(cross[unseen]).argmax(axis=1)
    side = 2 * axis + (cross[unseen, axis] > 0)
    kind = label.astype(np.int64)
    kind[unseen] = -1 - side
    scale = _UNSEEN_SCALE * _texels_per_length(corners[label >= 0], cross[label >= 0], len(views))
    for number in range(6):
        chosen = unseen[side == number]
        plane = [k for k in range(3) if k != number // 2]
        points = mesh.vertices[mesh.faces[chosen]].astype(np.float64)
        corners[chosen] = scale * points[:, :, plane]
    return corners, kind


def make_charts(
    neighbours: NDArray[np.int32], corners: NDArray[np.float64], kind: NDArray[np.int64],
    label: NDArray[np.int16], longest: int,
) -> Charts:  # fmt: skip
    """Charts none of which is larger than `longest` texels.

    A whole number of texels lies between a chart and its photograph, so that at scale 1 a texel
    is a pixel.
    """
    chart, count = connected_faces(neighbours, kind)
    while True:
        low, high = _limits(chart, corners, count)
        size = np.ceil(high).astype(np.int64) - np.floor(low).astype(np.int64) + 2 * GAP
        large = np.flatnonzero((size > longest).any(axis=1) & (np.bincount(chart) > 1))
        if not len(large):
            break
        chart, count = _halved(chart, corners, large, low, high)
    view = np.full(count, -1, np.int16)
    view[chart] = label
    local = corners - (np.floor(low) - GAP)[chart][:, None]
    return Charts(chart.astype(np.int32), local, np.minimum(size, longest), view)


def _limits(
    chart: NDArray[np.int32], corners: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    low, high = np.full((count, 2), np.inf), np.full((count, 2), -np.inf)
    np.minimum.at(low, chart, corners.min(axis=1))
    np.maximum.at(high, chart, corners.max(axis=1))
    return low, high


def _halved(
    chart: NDArray[np.int32], corners: NDArray[np.float64], large: NDArray[np.int64],
    low: NDArray[np.float64], high: NDArray[np.float64],
) -> tuple[NDArray[np.int32], int]:  # fmt: skip
    """Cut charts across their longer side at the median face; new numbers come at the end."""
    chart, count = chart.copy(), len(low)
    for number in large:
        faces = np.flatnonzero(chart == number)
        axis = int(np.argmax(high[number] - low[number]))
        order = np.argsort(corners[faces, :, axis].mean(axis=1), kind="stable")
        chart[faces[order[len(order) // 2 :]]] = count
        count += 1
    return chart, count


def _texels_per_length(corners: NDArray[np.float64], cross: NDArray[np.floating],
                       views: int) -> float:  # fmt: skip
    """Median scale of charts: texels a unit of the world; 1 without any."""
    if not len(corners) or not views:
        return 1.0
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    flat = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
    area = np.sqrt(np.einsum("ij,ij->i", cross, cross))
    return float(np.sqrt(np.median(flat / np.maximum(area, 1e-30))))
