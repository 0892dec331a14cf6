"""A prepared scene whose photogrammetry has left a ring as its mesh."""

from __future__ import annotations

from pathlib import Path

from maquette.recon.mesh.ply import write_ply
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.scene import outputs, stage_records
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord
from synthetic_scene import truth_mesh, write_posed_scene

PIPELINE = "photogrammetry"


def write_ring(root: Path) -> Scene:
    """Write the scene, its photos and its mesh into a folder."""
    scene = write_posed_scene(root, 6, 64, 48).of(PIPELINE)
    truth = truth_mesh(24)
    mesh = TriangleMesh(truth.vertices.astype("f4"), truth.faces.astype("i4"))
    name = f"results/{PIPELINE}/mesh.ply"
    write_ply(scene.root / name, mesh, ())
    kinds = {name: outputs.MESH}
    record = StageRecord("surface", "extract", "k", {}, {}, {}, "2026", 1.0, kinds=kinds)
    stage_records.write(scene, PIPELINE, record)
    return scene
