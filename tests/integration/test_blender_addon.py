"""The add-on in real Blender: the program and, where they are installed, its Python modules."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

import sparse_models
from maquette.scene import colmap_model
from maquette.scene.region import Region
from maquette.scene.workspace import open_workspace
from maquette.viewer import blender

HERE = Path(__file__).parent
CENTER = np.array([3.0, -2.0, 5.0])
REGION = Region.around([3.1, -2.05, 5.0123456789012], 1.0123456789012, [[2, 4], [-3, -1], [4, 6]])
# Pythons with a `bpy` wheel, separated by colons: python3.11 -m venv B && B/bin/pip install bpy
MODULES = [path for path in os.environ.get("MAQUETTE_BPY_PYTHONS", "").split(":") if path]


def blenders() -> list[object]:
    program = blender.find()
    none = pytest.mark.skip(reason="no Blender: apt-get install blender python3-numpy")
    found = [pytest.param([program, "-b", "--python"], id="program", marks=[] if program else none)]
    return found + [pytest.param([path], id=Path(path).parents[1].name) for path in MODULES]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    points = sparse_models.ball(800, CENTER, 0.6)
    sketch = sparse_models.around(CENTER, 4.0, 6, points)
    root = sparse_models.write_workspace(tmp_path / "owlet", sketch)
    opened = open_workspace(root)
    opened.save(REGION)
    document = json.loads((root / "transforms.json").read_text())
    document["their_key"] = [1, {"deep": 2.5e-17}]
    (root / "transforms.json").write_text(json.dumps(document))
    return root


def installed(folder: Path) -> Path:
    """The add-on as the zip installs it."""
    with zipfile.ZipFile(blender.build_addon(folder / "addon.zip")) as archive:
        archive.extractall(folder / "addons")
    return folder / "addons"


@pytest.mark.parametrize("command", blenders())
@pytest.mark.parametrize("place", ["checkout", "zip"])
def test_every_operator_in_real_blender(
    command: list[str], place: str, workspace: Path, tmp_path: Path
) -> None:
    addon = blender.ADDON.parent if place == "checkout" else installed(tmp_path)
    result = tmp_path / "result.json"
    argv = [*command, str(HERE / "blender_session.py"), "--", str(workspace), str(addon)]
    done = subprocess.run([*argv, str(result)], capture_output=True, text=True, timeout=240)
    assert result.exists(), done.stdout + done.stderr
    facts = json.loads(result.read_text())
    model = colmap_model.read(workspace / "sparse" / "0")
    assert str(addon) in facts["shared"] or place == "checkout"
    assert facts["greyed_out"] == [True, True, True, True]
    assert facts["loaded"] == [6, 800]
    assert facts["first_color"] == pytest.approx([*(model.colors[0] / 255), 1], abs=0.003)
    assert max(facts["reprojection_px"]) < 0.01
    assert facts["timeline"] == [0, 5] and facts["photo"] == "0001.jpg"
    assert facts["dragged"] == [pytest.approx(0.25, abs=1e-6), True]
    assert facts["scaled"] == pytest.approx(0.5, abs=1e-6)
    assert facts["typed"][:2] == [0.75, 0.75] and facts["never_crosses"]
    assert facts["show_and_hide"] == [True, False] * 4
    assert facts["cameras_fit"] == pytest.approx(CENTER, abs=1e-6)
    box = np.array([[2.7, 3.3], [-2.3, -1.7], [4.7, 5.3]])
    kept = ((model.points >= box[:, 0]) & (model.points <= box[:, 1])).all(axis=1)
    assert facts["cropped"] == int((~kept).sum())
    far = np.linalg.norm(model.points[kept] - facts["kept_sphere"][:3], axis=1).max()
    assert far <= facts["kept_sphere"][3] <= 1.03 * far
    assert facts["selected_fit"] == pytest.approx(facts["kept_sphere"][3])  # cropped ones stay out
    assert facts["box_width"] == pytest.approx(2 * facts["selected_fit"])
    assert facts["reset"] and facts["unregistered"]
    assert facts["exported_unchanged"]["sphere_center"] == list(REGION.center)
    assert facts["exported_unchanged"]["sphere_radius"] == REGION.radius
    assert facts["exported_unchanged"]["their_key"] == [1, {"deep": 2.5e-17}]
    for said, wanted in zip(
        facts["refused"],
        ("changed the region", "9.0", "0.5", "damaged", "only 0 points", "no folder of images",
         "there is no folder"),
        strict=True,
    ):  # fmt: skip
        assert wanted in said


def test_the_zip_is_the_same_each_time_and_carries_what_it_needs(tmp_path: Path) -> None:
    first = blender.build_addon(tmp_path / "a.zip").read_bytes()
    assert first == blender.build_addon(tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {"maquette_region"}
    for wanted in ("__init__.py", "blender_manifest.toml", "shared/maquette/scene/region.py"):
        assert f"maquette_region/{wanted}" in names
    assert not [name for name in names if "recon" in name or "cli" in name]


@pytest.mark.skipif(not shutil.which("blender"), reason="no Blender: apt-get install blender")
@pytest.mark.skipif(not shutil.which("xvfb-run"), reason="no screen: apt-get install xvfb xauth")
def test_the_start_script_draws_panels_and_points_on_a_screen(
    workspace: Path, tmp_path: Path
) -> None:
    quit_later = (
        "import bpy; n = [0]\n"
        "def shoot():\n"
        f"    bpy.ops.screen.screenshot(filepath=r'{tmp_path}/shot.png')\n"
        "    bpy.ops.wm.quit_blender()\n"
        "bpy.app.timers.register(shoot, first_interval=6.0)\n"
    )
    argv = ["xvfb-run", "-a", "-s", "-screen 0 1600x1000x24", "blender", "--window-geometry"]
    argv += ["0", "0", "1600", "1000", "--python", str(blender.START), "--python-expr", quit_later]
    software = {**os.environ, "LIBGL_ALWAYS_SOFTWARE": "1"}
    done = subprocess.run(
        [*argv, "--", str(workspace)], capture_output=True, text=True, timeout=240, env=software
    )
    shot = tmp_path / "shot.png"
    assert shot.exists(), done.stdout + done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    from PIL import Image

    with Image.open(shot) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    assert ((red > 200) & (green < 140) & (blue < 90)).sum() > 300  # the box
    assert ((blue > 200) & (red < 110)).sum() > 300  # the sphere
    assert ((green > 150) & (red < 120) & (blue < 140)).sum() > 300  # the cameras
