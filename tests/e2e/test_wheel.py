"""The wheel does away from any checkout what the README says."""

from __future__ import annotations

import hashlib
import json
import secrets
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from PIL import Image

from command_line import ROOT
from installed import Installed, build_wheel, copied_sources, install, unpacked_sdist
from maquette.containers import build_context
from maquette.containers.daemon import connected, find_daemon
from maquette.resources import version
from tiny_training import TINY
from turns import made_once

# Of each part what it alone needs: the base installation has none of them.
LACKING = ("av", "scipy", "viser", "starlette", "uvicorn", "websockets")
NO_CATALOGUE = "OVH_CATALOGUE=http://127.0.0.1:1/none"


@pytest.fixture(scope="session")
def wheel() -> Path:
    folder = made_once(
        "wheel", lambda made: build_wheel(copied_sources(made / "sources"), made / "dist")
    )
    (found,) = (folder / "dist").glob("*.whl")
    return found


@pytest.fixture
def away(wheel: Path, tmp_path: Path) -> Installed:
    return install(wheel, tmp_path)


def test_commands_that_run_nothing_work_in_an_empty_folder(away: Installed) -> None:
    assert str(ROOT) not in away.python("import maquette; print(maquette.__file__)")
    project = tomllib.loads((ROOT / "python" / "pyproject.toml").read_text())["project"]
    assert away.maquette("--version").stdout == f"maquette {project['version']}\n"

    planned = away.maquette("plan", "process", "MODEL=shoe", "ITERATIONS=7")
    assert planned.returncode == 0, planned.stderr
    request = json.loads(planned.stdout)
    assert request["options"]["iterations"] == 7
    assert request["options_file"].startswith(str(away.folder))
    assert not list(away.folder.iterdir())

    flavors = json.loads(away.maquette("flavors", "--json", NO_CATALOGUE).stdout)
    assert "h100-1-gpu" in [row["id"] for row in flavors]
    estimate = json.loads(away.maquette("estimate", "--json", NO_CATALOGUE).stdout)
    assert [row["step"] for row in estimate["steps"]] == ["prepare", "process", "extract"]
    assert away.maquette("blender-addon").stdout == "dist/maquette_region.zip\n"


def test_errors_name_commands_that_can_be_typed_there(away: Installed) -> None:
    nothing = away.maquette("run", "prepare", "MODEL=shoe")
    assert nothing.returncode == 13 and "INPUT=" in nothing.stderr
    unposed = away.maquette("run", "process", "MODEL=shoe")
    assert unposed.returncode != 0 and "`maquette run prepare" in unposed.stderr
    demo = away.maquette("demo")
    assert demo.returncode == 13 and "the sample video is not part" in demo.stderr
    assert "make" not in (nothing.stderr + unposed.stderr + demo.stderr).split()


def test_what_the_plain_wheel_lacks_is_told(away: Installed) -> None:
    (packages,) = away.programs.parent.glob("lib/*/site-packages")
    lacks = f"import sys; sys.modules.update(dict.fromkeys({LACKING}))"
    (packages / "lacks.pth").write_text(lacks + "\n")
    (away.folder / "shoe.mp4").touch()
    for words, part in (
        (("run", "prepare", "INPUT=shoe.mp4", "MODEL=shoe"), "recon"),
        (("evaluate", "MODEL=shoe"), "recon"),
        (("view", "MODEL=shoe"), "view"),
        (("emulator", "LISTEN=127.0.0.1:0"), "emulator"),
    ):
        done = away.maquette(*words)
        assert done.returncode == 10, done.stderr
        assert f"needs the part `{part}`, which is not installed" in done.stderr
        assert f"[{part}]" in done.stderr


@pytest.mark.soak
@pytest.mark.timeout(360)
def test_the_three_steps_run_on_a_video(away: Installed, photos: Path) -> None:
    film = write_film(away.folder / "my shoe.mp4", sorted(photos.glob("*.png")))
    for step, *words in (
        ("prepare", f"INPUT={film.name}", "DOWNSAMPLE_RATE=1", "MATCHER=exhaustive"),
        ("process", "ITERATIONS=5", TINY),
        ("extract", "RESOLUTION=24"),
    ):
        done = away.maquette("run", step, "MODEL=shoe", *words, limit_s=270)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (
        away.folder / "scenes" / "shoe" / "results" / "neuralangelo" / "shoe.ply"
    ).stat().st_size > 0


def test_an_image_of_the_wheel_is_the_checkouts(away: Installed) -> None:
    code = "from maquette.containers.build_context import pack; import hashlib; " \
        "print(hashlib.file_digest(pack('recon'), 'sha256').hexdigest())"  # fmt: skip
    packed = hashlib.file_digest(build_context.pack("recon"), "sha256").hexdigest()
    assert away.python(code) == packed
    label = "from maquette.containers.building import revision; print(repr(revision()))"
    assert away.python(label) == "''"


def test_a_source_distribution_gives_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    sources = unpacked_sdist(copied_sources(tmp_path / "sources"), tmp_path / "sdist")
    again = build_wheel(sources, tmp_path / "dist")
    assert names_in(again) == names_in(wheel)
    assert {"maquette/data/jobs/flavors.yaml", "maquette/data/LICENSE"} <= names_in(wheel)
    assert not [name for name in names_in(wheel) if "__pycache__" in name]


@pytest.mark.docker
@pytest.mark.timeout(1100)
def test_images_are_built_of_the_wheel(away: Installed, image: str, registry: str) -> None:
    """`image` is built already, so the daemon has every layer."""
    words = ("VARIANT=cpu", f"REGISTRY={registry}")
    built = away.maquette("images", "build", *words, limit_s=550)
    assert built.returncode == 0, built.stdout + built.stderr
    checked = away.maquette("images", "check", "GPU=0", *words, limit_s=500)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{registry}/maquette/recon:{version()}-cpu is fine" in checked.stdout


@pytest.fixture
def registry() -> Iterator[str]:
    """A name for images of this test alone; they go with it."""
    name = f"wheel-{secrets.token_hex(4)}.test"
    yield name
    with connected(find_daemon()) as client:
        for found in client.images.list(f"{name}/maquette/recon"):
            for tag in found.tags:
                if tag.startswith(name):
                    client.images.remove(tag)


def write_film(path: Path, pictures: list[Path]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.options = {"crf": "12"}
        with Image.open(pictures[0]) as first:
            (stream.width, stream.height), stream.pix_fmt = first.size, "yuv420p"
        for picture in pictures:
            with Image.open(picture) as image:
                container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())
    return path


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())
