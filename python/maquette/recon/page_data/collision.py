"""A light mesh to walk on, made of one that is looked at: walls and floors without colours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from maquette.recon.mesh.cleaning import drop_crumbs
from maquette.recon.mesh.decimation import decimated
from maquette.recon.mesh.gltf import write_glb
from maquette.recon.mesh.triangles import FloatArray, TriangleMesh

MOST_FACES = 30_000  # 0.55 MB, and milliseconds of a browser to sort them into columns
_LEAST_FACES = 20  # of a part that stands alone: smaller ones are in a walker's way, and float


def collision_mesh(mesh: TriangleMesh) -> TriangleMesh:
    """The shape alone of a mesh, in at most 30,000 faces, in its own frame."""
    bare = replace(mesh, normals=None, colors=None, seen=None)
    if len(bare.faces) <= MOST_FACES:
        return bare
    tidy = drop_crumbs(bare, _LEAST_FACES)
    return decimated(tidy if len(tidy.faces) else bare, MOST_FACES)


def write_collision(path: Path, mesh: TriangleMesh, up: FloatArray, name: str) -> None:
    """Write it as a .glb that `collision_url` may name.

    Args:
        mesh: In the scene's frame, which is the world's where files of splats are not scaled.
        up: The world direction that is up, [3].
    """
    write_glb(path, collision_mesh(mesh), up, name)
