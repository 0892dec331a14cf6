"""The README's first command, with fewer iterations: everything it promises is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trimesh
from PIL import Image

from command_line import make


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_make_demo_gives_what_the_readme_promises(tmp_path: Path) -> None:
    done = make(tmp_path, "demo", "ITERATIONS=300", "RESOLUTION=160", limit_s=1400)
    assert done.returncode == 0, done.stdout + done.stderr
    scene = tmp_path / "scenes" / "owl"
    for promised in (
        "images", "sparse/0/points3D.bin", "transforms.json", "config.yaml", "stages/region.png",
        "runs/experiments/latest_checkpoint.txt", "runs/experiments/metrics.jsonl",
    ):  # fmt: skip
        assert (scene / promised).exists(), promised
    for shown in ("mesh/owl.ply", "mesh/owl.glb", "mesh/owl_views.png", "report.json"):
        assert (scene / shown).exists() and shown.rsplit("/", 1)[-1] in done.stdout
    stages = [entry["stage"] for entry in json.loads((scene / "report.json").read_text())["stages"]]
    assert stages == [
        "input", "frames", "features", "matches", "poses", "undistort", "region", "dataset",
        "train", "mesh", "pictures",
    ]  # fmt: skip
    assert all(name in done.stdout for name in stages)
    mesh = trimesh.load(scene / "mesh" / "owl.ply")
    assert len(mesh.faces) > 5_000 and mesh.visual.kind == "vertex"
    with Image.open(scene / "mesh" / "owl_views.png") as sheet:
        assert min(sheet.size) > 500
    measured = json.loads((scene / "evaluation.json").read_text())
    assert measured["registered_ratio"] >= 0.95
    assert measured["camera_error_relative"] <= 0.01
    assert measured["chamfer_relative"] <= 0.03  # 300 iterations; the full demo is held to 0.015
    assert measured["psnr_db"] >= 20
