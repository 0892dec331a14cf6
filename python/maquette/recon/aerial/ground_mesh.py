"""The surface model as a light mesh: what a walker in the web page stands on."""

from __future__ import annotations

import numpy as np

from maquette.recon.aerial.elevation import Heights
from maquette.recon.aerial.grids import Grid
from maquette.recon.aerial.map_frame import MapFrame
from maquette.recon.mesh.triangles import TriangleMesh

_CELLS = 160  # along the longer side


def ground_mesh(heights: Heights, grid: Grid, frame: MapFrame) -> TriangleMesh:
    """Two triangles for each square of places whose corners all have a height, world units."""
    step = max(1, -(-max(heights.shape) // _CELLS))
    places = grid.places(heights)[step // 2 :: step, step // 2 :: step]
    rows, columns = places.shape[:2]
    number = np.arange(rows * columns).reshape(rows, columns)
    corners = [number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]]
    nw, sw, se, ne = (corner.ravel() for corner in corners)
    faces = np.concatenate([np.stack([nw, sw, se], 1), np.stack([nw, se, ne], 1)])
    is_there = np.isfinite(places[..., 2]).ravel()
    faces = faces[is_there[faces].all(axis=1)]
    used, renamed = np.unique(faces, return_inverse=True)
    vertices = frame.world(places.reshape(-1, 3)[used]) if len(used) else np.zeros((0, 3))
    return TriangleMesh(vertices, renamed.reshape(-1, 3).astype(np.int32))
