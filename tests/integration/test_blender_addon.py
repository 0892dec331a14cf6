"""The add-on in real Blender: the program and, where they are installed, its Python modules."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
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
# Pythons with Blender as a module, separated by colons.
MODULES = [path for path in os.environ.get("MAQUETTE_BPY_PYTHONS", "").split(":") if path]


def blenders() -> list[object]:
    program = blender.find()
    none = pytest.mark.skip(reason="no Blender: apt-get install blender python3-numpy")
    marks = [pytest.mark.pages, *([] if program else [none])]
    found = [pytest.param([program, "-b", "--python"], id="program", marks=marks)]
    return found + [
        pytest.param([path], id=Path(path).parents[1].name, marks=pytest.mark.soak)
        for path in MODULES
    ]


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


def ways() -> list[object]:
    """Every Blender with the add-on from either place, and the program in another language."""
    found = blenders()
    both = [
        pytest.param(*each.values, place, "", id=f"{each.id}-{place}", marks=each.marks)
        for each in found for place in ("checkout", "zip")
    ]  # fmt: skip
    program = found[0]  # the modules come without languages
    german = pytest.param(*program.values, "zip", "de_DE", id="german", marks=program.marks)
    return [*both, german]


@pytest.mark.parametrize(("command", "place", "language"), ways())
def test_every_operator_in_real_blender(
    command: list[str], place: str, language: str, workspace: Path, tmp_path: Path
) -> None:
    addon = blender.ADDON.parent
    if place == "zip":  # Blender installs it: as extension from 4.2 on, else as legacy add-on
        addon = blender.build_addon(tmp_path / "maquette_region.zip")
    result = tmp_path / "result.json"
    own = {**os.environ, "BLENDER_USER_RESOURCES": str(tmp_path / "blender"),
           "BLENDER_USER_SCRIPTS": str(tmp_path / "scripts"),
           "MAQUETTE_LANGUAGE": language}  # fmt: skip
    argv = [*command, str(HERE / "blender_session.py"), "--", str(workspace), str(addon)]
    (tmp_path / "blender").mkdir()
    (tmp_path / "scripts" / "addons").mkdir(parents=True)
    done = subprocess.run(
        [*argv, str(result)], capture_output=True, text=True, timeout=270, env=own
    )
    assert result.exists(), done.stdout + done.stderr
    facts = json.loads(result.read_text())
    if language and facts["word"] == "Cube":
        pytest.skip("this Blender has no languages: apt-get install blender-data")
    assert facts["word"] == ("Würfel" if language else "")
    model = colmap_model.read(workspace / "sparse" / "0")
    assert (str(tmp_path) in facts["shared"]) == facts["enabled"] == (place == "zip")
    assert facts["greyed_out"] == [True, True, True, True]
    assert facts["loaded"] == [6, 800]
    assert facts["first_color"] == pytest.approx([*(model.colors[0] / 255), 1], abs=0.003)
    assert max(facts["reprojection_px"]) < 0.01
    assert facts["timeline"] == [0, 5] and facts["photo"] == "0001.jpg"
    assert facts["dragged"] == [pytest.approx(0.25, abs=1e-6), True]
    assert facts["scaled"] == pytest.approx(0.5, abs=1e-6)
    assert facts["typed"][:2] == [0.75, 0.75] and facts["never_crosses"]
    assert facts["show_and_hide"] == [True, False] * 4
    assert facts["transparency"] == [[[False, pytest.approx(0.1)]], [[True, pytest.approx(0.3)]],
                                     [[False, pytest.approx(0.3)]]]  # fmt: skip
    assert max(facts["photo_off_px"]) < 0.01
    assert facts["cameras_fit"] == pytest.approx(CENTER, abs=1e-6)
    box = np.array([[2.7, 3.3], [-2.3, -1.7], [4.7, 5.3]])
    kept = ((model.points >= box[:, 0]) & (model.points <= box[:, 1])).all(axis=1)
    assert facts["cropped"] == int((~kept).sum())
    assert facts["hidden"] == [facts["cropped"], 0, facts["cropped"]]
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


@pytest.mark.pages
@pytest.mark.skipif(not blender.find(), reason="no Blender: apt-get install blender")
def test_blender_finds_its_numpy_where_another_python_is_first_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    monkeypatch.setenv("PATH", f"{tmp_path}/bare/bin:{os.environ['PATH']}")
    argv = [blender.find(), "-b", "--python", str(blender.START), "--python-expr"]
    said = [
        subprocess.run([*argv, "import maquette_region; print('it is there')"],
                       env=own, capture_output=True, text=True, timeout=270)
        for own in (os.environ, blender.environment())
    ]  # fmt: skip
    assert "it is there" in said[1].stdout, said[1].stdout + said[1].stderr
    if "it is there" not in said[0].stdout:  # else this Blender brings its own Python
        assert "apt-get install python3-numpy" in said[0].stdout + said[0].stderr


@pytest.mark.soak
@pytest.mark.skipif(not MODULES, reason="no Blender as a module: bash .ci/blender_modules")
@pytest.mark.parametrize("python", MODULES or [""])
def test_blenders_own_tool_accepts_the_manifest(python: str, tmp_path: Path) -> None:
    made = blender.build_addon(tmp_path / "maquette_region.zip")
    (tool,) = Path(python).parents[1].glob("lib/*/site-packages/bpy/*/scripts/*/bl_pkg/cli")
    argv = [python, str(tool / "blender_ext.py"), "validate", str(made)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=270)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_zip_is_the_same_each_time_and_carries_what_it_needs(tmp_path: Path) -> None:
    first = blender.build_addon(tmp_path / "a.zip").read_bytes()
    assert first == blender.build_addon(tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {"maquette_region"}
    for wanted in ("__init__.py", "blender_manifest.toml", "shared/maquette/scene/region.py"):
        assert f"maquette_region/{wanted}" in names
    assert not [name for name in names if "recon" in name or "cli" in name]


on_screen = [
    pytest.mark.pages,
    pytest.mark.skipif(not shutil.which("blender"), reason="no Blender: apt-get install blender"),
    pytest.mark.skipif(not shutil.which("Xvfb"), reason="no screen: apt-get install xvfb"),
]


@contextmanager
def screen() -> Iterator[str]:
    """A screen in memory, which chooses a number that no other has."""
    told, tells = os.pipe()
    argv = ["Xvfb", "-displayfd", str(tells), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"]
    with subprocess.Popen(argv, pass_fds=[tells], stderr=subprocess.DEVNULL) as server:
        os.close(tells)
        try:
            with open(told) as number:
                yield f":{number.readline().strip()}"
        finally:
            server.terminate()


def on_a_screen(*words: str) -> str:
    """Run Blender in a window of a screen in memory; what it printed."""
    argv = ["blender", "--factory-startup"]
    argv += ["--window-geometry", "0", "0", "1600", "1000", "--python", str(blender.START), *words]
    with screen() as display:
        software = {**os.environ, "LIBGL_ALWAYS_SOFTWARE": "1", "DISPLAY": display}
        done = subprocess.run(argv, capture_output=True, text=True, timeout=270, env=software)
    assert "Traceback" not in done.stderr + done.stdout, done.stdout + done.stderr
    return done.stdout + done.stderr


def on_screen_test(test: object) -> object:
    for mark in on_screen:
        test = mark(test)
    return test


@on_screen_test
def test_undo_and_redo_bring_back_region_panel_shapes_and_crop(
    workspace: Path, tmp_path: Path
) -> None:
    result = tmp_path / "steps.json"
    said = on_a_screen("--python", str(HERE / "blender_undo.py"), "--", str(workspace), str(result))
    assert result.exists(), said
    steps = json.loads(result.read_text())
    named = {step["step"]: step for step in steps}
    assert named["fit"]["radius"] > 3 and named["dragged"]["center"][0] == pytest.approx(3.25)
    assert named["cropped"]["cropped"] == named["cropped"]["hidden"] > 0
    pairs = {
        "undo crop": "dragged", "undo drag": "typed", "undo select": "typed", "undo typed": "fit",
        "undo fit": "open", "redo fit": "fit", "redo typed": "typed", "redo drag": "dragged",
        "redo crop": "cropped", "redo open": "open",
    }  # fmt: skip
    for later, earlier in pairs.items():
        assert same(named[later], named[earlier]), (named[later], named[earlier])
    assert named["undo fit"]["is_saved"]  # to the last digit, or a trained model no longer fits
    assert not named["undo open"]["is_open"] and named["undo open"]["shape"] is None


def same(step: dict[str, object], other: dict[str, object]) -> bool:
    return {**step, "step": ""} == {**other, "step": ""}


@on_screen_test
def test_the_start_script_draws_panels_and_points_on_a_screen(
    workspace: Path, tmp_path: Path
) -> None:
    quit_later = (
        "import bpy; n = [0]\n"
        "def shoot():\n"
        "    print('draws', bpy.context.scene.maquette.most_drawn)\n"
        f"    bpy.ops.screen.screenshot(filepath=r'{tmp_path}/shot.png')\n"
        "    bpy.ops.wm.quit_blender()\n"
        "bpy.app.timers.register(shoot, first_interval=6.0)\n"
    )
    said = on_a_screen("--python-expr", quit_later, "--", str(workspace))
    shot = tmp_path / "shot.png"
    assert shot.exists(), said
    assert "draws 200000\n" in said  # graphics are in software here
    from PIL import Image

    with Image.open(shot) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    assert ((red > 200) & (green < 140) & (blue < 90)).sum() > 300  # the box
    assert ((blue > 200) & (red < 110)).sum() > 300  # the sphere
    assert ((green > 150) & (red < 120) & (blue < 140)).sum() > 300  # the cameras
