"""A scene's mesh from where it was filmed, as one picture among its results."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from maquette.recon.mesh.coarsening import coarsened
from maquette.recon.mesh.reading import read_mesh
from maquette.recon.mesh.upright import up_direction
from maquette.recon.pictures.capture import Cameras
from maquette.recon.pictures.contact_sheet import draw_sheet
from maquette.scene import originals, transforms
from maquette.scene.atomic import replacing
from maquette.scene.paths import Scene

_MOST_FACES = 3_000_000  # of a mesh that is drawn as it is
_CELLS = 1024  # along a larger one


def write_sheet(
    scene: Scene, mesh_file: Path, tell: Callable[[int, int], None]
) -> tuple[Path, dict[str, Any]]:
    """Write `<MODEL>_views.png` among the results; returns it, with numbers for the report.

    Args:
        mesh_file: In the scene's world.
        tell: Is told how many views are drawn, and of how many.

    Raises:
        BadInput: the mesh is damaged.
    """
    clock = time.monotonic()
    cameras, mesh = transforms.read(scene.transforms), read_mesh(mesh_file)
    if len(mesh.faces) > _MOST_FACES:
        mesh = coarsened(mesh, _CELLS)
    names = originals.names(scene, [Path(frame.file_path).name for frame in cameras.frames])
    sheet = draw_sheet(
        mesh, cameras.region, up_direction(cameras.frames, cameras.up),
        Cameras.of(cameras.frames, names), tell,
    )  # fmt: skip
    path = scene.results / f"{scene.name}_views.png"
    with replacing(path) as temporary:
        sheet.save(temporary)
    seconds = round(time.monotonic() - clock, 2)
    return path, {"width": sheet.width, "height": sheet.height, "seconds": seconds}
