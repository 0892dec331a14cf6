"""Read a mesh back from a file that this or another program wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh

from maquette.errors import BadInput, NotFound
from maquette.recon.mesh.triangles import TriangleMesh


def read_mesh(path: Path) -> TriangleMesh:
    """Read a PLY (or any format trimesh knows) as it is stored, in its own units.

    Raises:
        NotFound: there is no such file.
        BadInput: it holds no triangles or is not a mesh file.
    """
    if not path.is_file():
        raise NotFound(f"no mesh: `{path}`", hint="run `make extract` first")
    try:
        loaded = trimesh.load_mesh(path, process=False)
    except Exception as error:  # trimesh's readers raise whatever they stumble over
        raise BadInput(f"`{path}` is not a readable mesh: {error}") from error
    if not isinstance(loaded, trimesh.Trimesh) or len(loaded.faces) == 0:
        raise BadInput(f"`{path}` holds no triangles")
    colors = None
    if loaded.visual.kind == "vertex":
        colors = np.asarray(loaded.visual.vertex_colors)[:, :3] / 255.0
    return TriangleMesh(
        np.asarray(loaded.vertices, dtype=np.float64),
        np.asarray(loaded.faces, dtype=np.int64),
        np.asarray(loaded.vertex_normals, dtype=np.float64),
        colors,
    )
