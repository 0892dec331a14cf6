"""Read a mesh back from a file that this or another program wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray
from plyfile import PlyData, PlyElement, PlyParseError

from maquette.errors import BadInput, MaquetteError, NotFound, shown_path
from maquette.recon.mesh.triangles import TriangleMesh

_HINT = (
    "export it again as triangles (.ply, .obj, .stl, .glb); one that `make extract` made comes "
    "again when it is removed"
)


def read_mesh(path: Path) -> TriangleMesh:
    """Read a PLY (or any format trimesh knows) as it is stored, in its own units.

    PLY files of triangles, as `write_ply` makes them, are mapped into memory: trimesh takes many
    times a file's size to read one.

    Raises:
        NotFound: there is no such file.
        BadInput: it holds no triangles, is damaged, or is no mesh file.
    """
    if not path.is_file():
        raise NotFound(f"no mesh: `{shown_path(path)}`", hint="run `make extract` first")
    mesh = _read_triangles(path) or _read_any(path)
    _check(path, mesh)
    return mesh


def _check(path: Path, mesh: TriangleMesh) -> None:
    """Refuse what no algorithm can work on."""
    count, low, high = len(mesh.vertices), int(mesh.faces.min()), int(mesh.faces.max())
    if low < 0 or high >= count:
        wrong = high if high >= count else low
        raise _unusable(path, f"is damaged: a face names vertex {wrong} of {count:,}")
    finite = np.isfinite(mesh.vertices).all(axis=1)
    if not finite.all():
        lost = f"{int((~finite).sum()):,} of {count:,} vertices are at no place (NaN)"
        raise _unusable(path, f"is damaged: {lost}")


def _unusable(path: Path, why: str) -> BadInput:
    return BadInput(f"`{shown_path(path)}` {why}", hint=_HINT)


def _read_triangles(path: Path) -> TriangleMesh | None:
    """A PLY file with nothing but triangles; None for every other file."""
    try:
        stored = PlyData.read(path, mmap="c", known_list_len={"face": {"vertex_indices": 3}})
        vertices, faces = stored["vertex"], stored["face"]["vertex_indices"]
        positions = _columns(vertices, "x", "y", "z")
    except (PlyParseError, KeyError, ValueError):
        return None
    if positions is None or faces.dtype.kind == "O" or len(faces) == 0:
        return None
    colors = _columns(vertices, "red", "green", "blue")
    return TriangleMesh(
        positions,
        np.array(faces, dtype=np.int32),
        _columns(vertices, "nx", "ny", "nz"),
        None if colors is None or colors.dtype != np.uint8 else colors / np.float32(255),
    )


def _columns(element: PlyElement, *names: str) -> NDArray[Any] | None:
    """Columns side by side, [N, 3]; None when the element lacks one."""
    if not set(names) <= set(element.data.dtype.names):
        return None
    return np.stack([element[name] for name in names], axis=1)


def _read_any(path: Path) -> TriangleMesh:
    try:
        loaded = trimesh.load_mesh(path, process=False)
    except (MaquetteError, MemoryError):  # a request to stop may come here too
        raise
    except Exception as error:  # trimesh's readers raise whatever they stumble over
        raise _unusable(path, f"is not a readable mesh: {error}") from error
    if not isinstance(loaded, trimesh.Trimesh) or len(loaded.faces) == 0:
        raise _unusable(path, "holds no triangles; points alone are no mesh")
    _check(path, TriangleMesh(np.asarray(loaded.vertices), np.asarray(loaded.faces)))
    colors = None
    if loaded.visual.kind == "vertex":
        colors = np.asarray(loaded.visual.vertex_colors)[:, :3] / 255.0
    return TriangleMesh(
        np.asarray(loaded.vertices, dtype=np.float64),
        np.asarray(loaded.faces, dtype=np.int32),
        np.asarray(loaded.vertex_normals, dtype=np.float64),
        colors,
    )
