"""`make texture`: a person gives an edited mesh any time, whatever method made it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command_line import maquette, maquette_here
from maquette.recon.mesh.ply import write_ply
from maquette.recon.texture.__main__ import main
from maquette.scene import lock
from maquette.scene.paths import Scene
from texture_scene import ball, write_scene


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared scene, and an edited mesh beside the scenes."""
    root = tmp_path_factory.mktemp("home")
    write_scene(root / "scenes" / "ball", 8)
    write_ply(root / "edited.ply", ball(2))
    return root


def test_an_edited_mesh_is_painted_whatever_the_method(folder: Path) -> None:
    done = maquette(folder, "texture", "MODEL=ball", "MESH=edited.ply", "TEXTURE_SIZE=256")
    assert done.returncode == 0, done.stderr
    assert "psnr inside db" in done.stdout
    results = folder / "scenes" / "ball" / "results" / "neuralangelo"
    for suffix in ("obj", "mtl", "png", "glb"):
        assert f"edited_textured.{suffix}" in done.stdout
        assert (results / f"edited_textured.{suffix}").stat().st_size > 0


def test_a_program_gets_its_numbers_as_json(folder: Path) -> None:
    words = ("MODEL=ball", "MESH=edited.ply", "TEXTURE_SIZE=256")
    done = maquette_here(folder, "texture", "--json", *words)
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["event"] == "finished" and last["numbers"]["faces"] == len(ball(2).faces)


def test_a_scene_that_a_step_writes_to_is_not_painted_meanwhile(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = Scene(folder / "scenes" / "ball", "neuralangelo")
    monkeypatch.setattr(lock, "_WAIT_S", 0.0)
    with lock.held(scene, print):
        assert main(["--scene", str(scene.root), "--pipeline", scene.pipeline]) == 12
    assert "another step holds the scene `ball`" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["MODEL=never"], 13, "no scene"),
        (["MODEL=ball", "MESH=lost.ply"], 13, "lost.ply"),
        (["MODEL=ball", "TEXTURE_SIZE=5"], 10, "TEXTURE_SIZE"),
    ],
)
def test_what_can_not_be_done_is_said(folder: Path, words: list[str], code: int, said: str) -> None:
    done = maquette_here(folder, "texture", "PIPELINE=photogrammetry", *words)
    assert done.returncode == code and said in done.stderr
