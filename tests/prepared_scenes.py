"""Scenes that are made once a run: photos, what prepare makes of them, a tiny trained one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command_line import maquette
from synthetic_scene import orbit, write_photos, write_posed_scene
from tiny_training import TINY
from turns import linked_copy, made_once

STAGES = ("input", "frames", "features", "matches", "poses", "undistort", "georeference",
          "region", "dataset")  # fmt: skip
PHOTOS = (24, 320, 240)  # count, width, height
TRUTH = orbit(*PHOTOS)


@pytest.fixture(scope="session")
def photos() -> Path:
    """A folder of photos whose cameras are `TRUTH`."""
    name = "photos of a ball"
    return made_once("given", lambda folder: write_photos(folder / name, *PHOTOS)) / name


@pytest.fixture(scope="session")
def prepared(photos: Path) -> Path:
    """A base folder in which prepare of `thing` is done; to be changed in a `linked_copy`."""

    def prepare(base: Path) -> None:
        done = maquette(base, "run", "prepare", "MODEL=thing", f"INPUT={photos}")
        assert done.returncode == 0, done.stderr

    return made_once("prepared", prepare)


@pytest.fixture
def posed(tmp_path: Path) -> Path:
    """A base folder with a scene that is ready for training."""
    return linked_copy(made_once("posed", _write_posed), tmp_path / "posed")


@pytest.fixture(scope="session")
def trained() -> Path:
    """A base folder with a checkpoint of 5 iterations; to be changed in a `linked_copy`."""

    def train(base: Path) -> None:
        linked_copy(made_once("posed", _write_posed), base)
        done = maquette(base, "run", "process", "MODEL=thing", "ITERATIONS=5", TINY)
        assert done.returncode == 0, done.stderr

    return made_once("trained", train)


def _write_posed(base: Path) -> None:
    write_posed_scene(base / "scenes" / "thing", count=14, width=96, height=72)


def assert_same_result(base: Path, other: Path) -> None:
    """Both hold what prepare makes of the same photos, but for the rounding of parallel sums."""
    ours, theirs = (
        json.loads((each / "scenes" / "thing" / "transforms.json").read_text())
        for each in (base, other)
    )
    names = [[frame["file_path"] for frame in each["frames"]] for each in (ours, theirs)]
    assert names[0] == names[1]
    assert ours["sphere_radius"] == pytest.approx(theirs["sphere_radius"], rel=0.05)
