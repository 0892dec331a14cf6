"""A mesh that a person gave, brought into the scene's world and looked at before any work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from maquette.errors import BadInput
from maquette.recon.mesh.cleaning import drop_degenerate
from maquette.recon.mesh.reading import read_mesh
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.mesh.upright import up_direction
from maquette.scene.georeference import Place, gltf_from_world
from maquette.scene.region import Region
from maquette.scene.transforms import Frame

_UPRIGHT = (".glb", ".gltf")
_FARTHEST, _LARGEST, _SMALLEST = 3.0, 30.0, 1e-3  # region radii
_SEEN_WELL, _MATCHES_DB = 0.3, 18.0  # below it a mesh is likely turned, moved or scaled
_HINT = "export it as it was imported, without moving or scaling it; .ply keeps its world"


def read_given(
    path: Path, frames: Sequence[Frame], region: Region, place: Place | None = None
) -> TriangleMesh:
    """Read a mesh in this scene's world, or upright if it is glTF, as our own files are.

    Corners of one place become one vertex again, which programs split where textures meet.

    Raises:
        NotFound: there is no such file.
        BadInput: it is no mesh, or lies in another world than this scene.
    """
    mesh = read_mesh(path)
    vertices = mesh.vertices
    if path.suffix.lower() in _UPRIGHT:
        known = place or Place()
        matrix = gltf_from_world(up_direction(frames, known.up), known)
        vertices = np.linalg.solve(matrix[:3, :3], (vertices - matrix[:3, 3]).T).T
    corners, corner = np.unique(vertices, axis=0, return_inverse=True)
    joined = TriangleMesh(corners, corner.astype(np.int32).ravel()[mesh.faces])
    check_world(path.name, joined, region)
    return drop_degenerate(joined)


def check_world(name: str, mesh: TriangleMesh, region: Region) -> None:
    """Refuse a mesh that is nowhere near the region, or of another scale.

    Raises:
        BadInput: it is.
    """
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    size = float(np.linalg.norm(high - low)) / region.radius
    nearest = np.clip(region.center, low, high)
    away = float(np.linalg.norm(nearest - np.array(region.center))) / region.radius
    if not np.isfinite([size, away]).all() or away > _FARTHEST or not _SMALLEST < size < _LARGEST:
        raise BadInput(
            f"`{name}` is not in this scene's world: it is {size:.3g} region radii large and "
            f"{away:.3g} away from the region's middle",
            hint=_HINT,
        )


def check_seen(name: str, share: float, least: float = 0.05) -> None:
    """Refuse a mesh of which photos show next to nothing.

    Raises:
        BadInput: they do.
    """
    if share < least:
        raise BadInput(
            f"photos show {share:.1%} of the faces of `{name}`: it is hardly in this scene's world",
            hint=_HINT,
        )


def doubt(name: str, share: float, psnr_db: float | None) -> str:
    """A sentence where photos show little of a mesh, or do not agree on it; else empty.

    Args:
        share: Of its faces that photos show.
        psnr_db: Of the photos inside the mesh; None where nothing of it was compared.
    """
    if share >= _SEEN_WELL and (psnr_db is None or psnr_db >= _MATCHES_DB):
        return ""
    told = f"photos show {share:.0%} of the faces of `{name}`"
    if psnr_db is not None:
        told += f" and match them to {psnr_db:.1f} dB"
    return f"{told}: look whether it was turned (Y up in place of Z?), moved, scaled or inside out"
