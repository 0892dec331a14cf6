"""Meshes that fit: fewer faces, and smaller textures where there are some.

Copies have no normals, a quarter of a file: the page finds them by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from maquette.errors import BadInput
from maquette.recon.mesh.decimation import decimated
from maquette.recon.mesh.gltf import read_glb, write_glb
from maquette.recon.mesh.gltf_file import StoredFile
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.mesh.upright import up_direction
from maquette.recon.smaller_copies.copy import Copy, Request
from maquette.recon.smaller_copies.textured import QUALITY, smaller_textured
from maquette.recon.texture.gltf import read_textured_glb, write_textured_glb
from maquette.recon.texture.textured_mesh import TexturedMesh
from maquette.scene import georeference, transforms
from maquette.scene.paths import Scene

SUFFIX = ".glb"
LEAST_FACES = 500
_FILLED = 0.97  # of the limit, that is aimed at
_TRIES = 6


def smaller_mesh(scene: Scene, request: Request, target: Path) -> Copy:
    """Write a mesh in at most so many bytes.

    Raises:
        BadInput: it is no mesh of ours, or hardly a face of it fits.
    """
    source = scene.root / request.source
    cameras = transforms.read(scene.transforms)
    place = georeference.read(scene.georeference) if request.is_placed else None
    up = up_direction(cameras.frames, place.up if place else cameras.up)
    lost: float | None = None
    if StoredFile(source).document.get("images"):

        def write(part: TexturedMesh) -> int:
            write_textured_glb(target, part, up, scene.name, place, quality=QUALITY)
            return target.stat().st_size

        whole = read_textured_glb(source)
        made, lost = smaller_textured(scene, whole, request.limit_bytes, write)
        share = _kept(len(made.corners), len(whole.corners)) + _page_sizes(made, whole)
        facts: dict[str, Any] = {"faces": len(made.corners), "textured": True}
        facts["vertex_colors"] = False
    else:

        def write_plain(part: TriangleMesh) -> int:
            write_glb(target, part, up, scene.name, place)
            return target.stat().st_size

        mesh = read_glb(source)
        left = fewer_faces(mesh, request.limit_bytes, write_plain)
        share = _kept(len(left.faces), len(mesh.faces))
        facts = {"faces": len(left.faces), "textured": False}
        facts["vertex_colors"] = left.colors is not None
    size_bytes = target.stat().st_size
    return Copy(request, scene.relative(target), size_bytes, lost, share, facts)


def fewer_faces(
    mesh: TriangleMesh, limit_bytes: int, size: Callable[[TriangleMesh], int]
) -> TriangleMesh:
    """The mesh with about as many faces as fit.

    Args:
        size: Bytes of a file of a mesh; about proportional to its faces.

    Raises:
        BadInput: fewer than 500 do.
    """
    part, faces = mesh, len(mesh.faces)
    for _ in range(_TRIES):
        bytes_ = size(part)
        if bytes_ <= limit_bytes:
            return part
        faces = int(min(faces, len(part.faces)) * _FILLED * limit_bytes / bytes_)
        if faces < LEAST_FACES:
            break
        part = decimated(mesh, faces)
    raise BadInput(f"a mesh of {len(mesh.faces):,} faces does not fit into {limit_bytes:,} bytes")


def _kept(faces: int, whole: int) -> str:
    return f"{faces:,} of {whole:,} faces" if faces < whole else f"all {whole:,} faces"


def _page_sizes(made: TexturedMesh, whole: TexturedMesh) -> str:
    """What to say of pages that became smaller."""
    after, before = (max(max(page.shape[:2]) for page in one.pages) for one in (made, whole))
    return f", textures of {after:,} pixels in place of {before:,}" if after < before else ""
