"""A mesh as the files that a person opens, and what a table tells of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maquette.recon.mesh.cleaning import count_components, is_watertight
from maquette.recon.mesh.obj import write_obj
from maquette.recon.mesh.ply import write_ply
from maquette.recon.mesh.triangles import TriangleMesh

_COMMENTS = ("maquette; COLMAP world units",)


def write_both(stem: Path, mesh: TriangleMesh) -> list[Path]:
    """Write a mesh in world units as PLY and as OBJ; returns both paths."""
    ply, obj = stem.with_suffix(".ply"), stem.with_suffix(".obj")
    write_ply(ply, mesh, _COMMENTS)
    write_obj(obj, mesh, _COMMENTS)
    return [ply, obj]


def counts(mesh: TriangleMesh) -> dict[str, Any]:
    """Numbers for a stage's report."""
    return {
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
        "components": count_components(mesh),
        "watertight": is_watertight(mesh),
    }
