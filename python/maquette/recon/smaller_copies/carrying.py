"""The texture of a mesh on another one of nearly the same shape."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from maquette.recon.mesh.cleaning import drop_degenerate, face_components
from maquette.recon.mesh.triangles import FloatArray, IndexArray, TriangleMesh
from maquette.recon.texture.textured_mesh import TexturedMesh, shared_coordinates

_NEAR = 6  # faces of the first mesh, of which the best shaped one carries the texture


def with_texture_of(whole: TexturedMesh, mesh: TriangleMesh) -> TexturedMesh:
    """Give a mesh the pages of another, as they lie on its nearest faces.

    A face takes the chart of a face of `whole` beside its middle. In the plane of that face, places
    on the page are an affine function of places in the world; it also tells those of the corners,
    which may lie a little outside the chart, where pages hold the chart's colours too.

    Args:
        whole: With a vertex of its own for each of the coordinates.
        mesh: World units.
    """
    mesh = drop_degenerate(mesh)
    corners = mesh.vertices[mesh.faces].astype(np.float64)  # [F, 3, 3]
    carrier = _carriers(whole.mesh, corners.mean(axis=1))
    chart = face_components(whole.mesh)[carrier]
    places = _on_page(whole, carrier, corners)
    coordinates, corner = shared_coordinates(mesh.faces, chart, places)
    page = whole.page_of_face[carrier]
    return TexturedMesh(mesh, coordinates, corner, page, whole.pages)


def _carriers(mesh: TriangleMesh, middles: FloatArray) -> IndexArray:
    """The best shaped of the faces nearest to points [N, 3]: slivers tell no direction."""
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    edges = np.roll(corners, -1, axis=1) - corners
    area = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)
    shape = area / np.maximum((edges**2).sum(axis=2).max(axis=1), 1e-300)
    near = cKDTree(corners.mean(axis=1)).query(middles, min(_NEAR, len(corners)))[1]
    near = near.reshape(len(middles), -1)
    best = shape[near].argmax(axis=1)
    chosen: IndexArray = np.take_along_axis(near, best[:, None], axis=1)[:, 0]
    return chosen


def _on_page(
    whole: TexturedMesh, carrier: IndexArray, points: FloatArray
) -> NDArray[np.float32]:  # fmt: skip
    """Where points [F, 3, 3] lie on the page by the faces [F] that carry them, [F, 3, 2]."""
    a, b, c = np.moveaxis(whole.mesh.vertices[whole.mesh.faces[carrier]].astype(np.float64), 1, 0)
    u, v = np.moveaxis(_edges_on_page(whole, carrier), 1, 0)
    along, across = b - a, c - a
    uu, vv, uv = (np.einsum("ni,ni->n", *two) for two in (
        (along, along), (across, across), (along, across)
    ))  # fmt: skip
    from_a = points - a[:, None]
    first = np.einsum("nki,ni->nk", from_a, along)
    second = np.einsum("nki,ni->nk", from_a, across)
    area = np.maximum(uu * vv - uv**2, 1e-300)[:, None]
    s = (first * vv[:, None] - second * uv[:, None]) / area
    t = (second * uu[:, None] - first * uv[:, None]) / area
    start = whole.coordinates[whole.corners[carrier, 0]][:, None]
    places = start + s[..., None] * u[:, None] + t[..., None] * v[:, None]
    return np.clip(places, 0.0, 1.0).astype(np.float32)


def _edges_on_page(whole: TexturedMesh, carrier: IndexArray) -> FloatArray:
    """From a face's first corner to the others, on the page, [F, 2, 2]."""
    corners = whole.coordinates[whole.corners[carrier]].astype(np.float64)
    return corners[:, 1:] - corners[:, :1]
