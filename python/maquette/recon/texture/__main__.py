"""`python -m maquette.recon.texture --scene DIR --pipeline P [--mesh FILE]`: texture any mesh."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from maquette.errors import NotFound
from maquette.recon import stopping
from maquette.recon.programs import exit_code
from maquette.recon.report_page.writing import write_after
from maquette.scene import georeference, lock, transforms
from maquette.scene.events import Progress
from maquette.scene.layout import open_scene
from maquette.scene.paths import Scene


def main(argv: Sequence[str] | None = None) -> int:
    """Texture a mesh, telling progress as events; return the exit code (`maquette.errors`)."""
    arguments = _parser().parse_args(argv)
    progress = Progress(check=stopping.check)

    def texture() -> None:
        stopping.install()
        with progress.stage("texture"):
            progress.event("started")
            clock = time.monotonic()
            scene = Scene(arguments.scene.resolve(), arguments.pipeline)
            with lock.held(scene, progress.say):
                open_scene(scene.root, scene.pipeline, is_locked=True, say=progress.warn)
                numbers = run(scene, arguments.mesh, arguments.options, progress)
                write_after(scene, progress)
            wall_s = round(time.monotonic() - clock, 3)
            progress.event("finished", numbers=numbers, wall_s=wall_s)

    return exit_code(progress, "texturing", "texturing", texture)


def run(
    scene: Scene, given: Path | None, settings: Mapping[str, Any], progress: Progress
) -> dict[str, Any]:
    """Write `<mesh>_textured.obj`, .mtl, pages and .glb among the results of a pipeline.

    Args:
        given: The mesh; by default the newest of the pipeline.
        settings: What a person said of the texture; {} for the defaults.

    Returns:
        Numbers about the texture, and under `files` what was written, below the scene.

    Raises:
        NotFound: there is no mesh, or no camera yet.
        BadInput: the mesh is not in this scene's world.
    """
    from maquette.recon.texture.given_mesh import check_seen, doubt, read_given
    from maquette.recon.texture.options import PIXELS_KEPT_BYTES, TexturingOptions, told_by
    from maquette.recon.texture.publishing import fidelity, shortfall, write_files
    from maquette.recon.texture.texturing import texture_mesh
    from maquette.recon.views.views import Views

    cameras = transforms.read(scene.transforms)
    path = given or _newest(scene)
    progress.step("read", 0, 1)
    place = georeference.read(scene.georeference)
    mesh = read_given(path, cameras.frames, cameras.region, place)
    views = Views(scene, cameras.frames, limit_bytes=PIXELS_KEPT_BYTES)
    options = told_by(settings) if settings else TexturingOptions()
    made = texture_mesh(mesh, views, options, progress.step)
    check_seen(path.name, made.numbers["textured_share"])
    if remark := shortfall(made.numbers):
        progress.say(remark)
    close = fidelity(made.textured, views, partial(progress.step, "fidelity"))
    doubted = doubt(path.name, made.numbers["textured_share"], close["psnr_inside_db"])
    if doubted:
        progress.warn(doubted)
    obj = scene.results / f"{path.stem}_textured.obj"
    files = write_files(
        made.textured, cameras.frames, obj, obj.with_suffix(".glb"), path.stem, place
    )
    names = [scene.relative(file) for file in files]
    return {"mesh": path.name, "faces": len(mesh.faces), **made.numbers, **close, "files": names}


def _newest(scene: Scene) -> Path:
    from maquette.recon.evaluate.protocols import NotMeasured
    from maquette.recon.evaluate.results import find_surface, has_faces

    hint = f"`make extract PIPELINE={scene.pipeline} MODEL={scene.name}` makes one; MESH= names any"
    try:
        path = find_surface(scene).path
    except NotMeasured as error:
        raise NotFound(f"no mesh to texture: {error}", hint=hint) from error
    if not has_faces(path):
        raise NotFound(f"no mesh to texture: `{path.name}` holds points alone", hint=hint)
    return path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m maquette.recon.texture", description=__doc__)
    parser.add_argument("--scene", type=Path, required=True, help="the scene folder")
    parser.add_argument("--pipeline", required=True, help="whose results")
    parser.add_argument("--mesh", type=Path, help="any mesh in the scene's world")
    parser.add_argument("--options", type=json.loads, default={}, help="a JSON object")
    return parser


if __name__ == "__main__":
    sys.exit(main())
