"""A small prepared scene with known surface, for the stages of dense stereo."""

from __future__ import annotations

from pathlib import Path

from maquette.pipelines.photogrammetry.options import ProcessOptions
from synthetic_scene import write_landmarks, write_posed_scene

OPTIONS = ProcessOptions(sweeps="3 2", n_images_per_group=3, speckle_size=20, source_views=4)
VIEWS = 12


def make_ready(root: Path) -> None:
    """Write it to a folder."""
    scene = write_posed_scene(root, VIEWS, 96, 72)
    write_landmarks(scene, 400)


def contents(root: Path) -> dict[str, bytes]:
    """The depth maps of the first stage, by their names."""
    stereo = root / "dense/photogrammetry/experiments" / "stereo"
    return {path.name: path.read_bytes() for path in stereo.rglob("depth_maps/*.photometric.bin")}
