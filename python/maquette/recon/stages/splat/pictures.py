"""Stage `pictures`: splats beside photos, from eight sides, and as a film."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maquette.recon import gpus
from maquette.recon.evaluate.views import draw_pairs, held_out, render_pairs
from maquette.recon.mesh.upright import up_direction
from maquette.recon.pictures.contact_sheet import lay_out
from maquette.recon.pictures.movie import write_movie
from maquette.recon.splats.camera_paths import fly_through, sides
from maquette.recon.splats.renderer import SplatRenderer, open_renderer
from maquette.recon.splats.trained import read_trained
from maquette.recon.stages.splat import STAGES
from maquette.scene import outputs, transforms
from maquette.scene.atomic import replacing
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame, Intrinsics
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["pictures"]

_TILE_PX, _MOVIE_PX = 380, 960
_FPS, _SECONDS = 24, 12
_WHITE = (1.0, 1.0, 1.0)


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Write `<MODEL>_views.png`, `<MODEL>_photos.png` and for MOVIE `<MODEL>.mp4`."""
    frames = transforms.read(scene.transforms).frames
    cleaned = read_trained(scene.results / f"{scene.name}.ply")
    shown = SplatRenderer(cleaned.gaussians.to(gpus.device_of(1)), background=_WHITE)
    kinds = {_write_sides(scene, shown, progress): outputs.PICTURE}
    judges = held_out(frames)
    if judges:
        path = scene.results / f"{scene.name}_photos.png"
        pairs = render_pairs(
            scene, open_renderer(scene, options.group), judges, partial(progress.step, "photos")
        )
        with replacing(path) as temporary:
            draw_pairs(pairs).save(temporary)
        kinds[path] = outputs.PICTURE
    movie = scene.results / f"{scene.name}.mp4"
    movie.unlink(missing_ok=True)  # of an earlier run
    if options.movie:
        path_frames = fly_through([_sized(frame, _MOVIE_PX) for frame in frames], _FPS * _SECONDS)
        write_movie(movie, _pictures(shown, path_frames, progress), _FPS)
        kinds[movie] = outputs.OTHER
    return Report(list(kinds), numbers={"pictures": len(kinds)}, kinds=kinds)


def _write_sides(scene: Scene, shown: SplatRenderer, progress: Progress) -> Path:
    read = transforms.read(scene.transforms)
    views = sides(read.frames, read.region, up_direction(read.frames, read.up))
    tiles = []
    for number, view in enumerate(views):
        tiles.append(_bytes(shown.render(_square(view, _TILE_PX))))
        progress.step("views", number + 1, len(views))
    path = scene.results / f"{scene.name}_views.png"
    with replacing(path) as temporary:
        lay_out([tiles], [f"{number + 1}" for number in range(len(views))], _TILE_PX).save(
            temporary
        )
    return path


def _pictures(
    shown: SplatRenderer, path: list[Frame], progress: Progress
) -> Iterator[NDArray[np.uint8]]:
    for number, frame in enumerate(path):
        yield _bytes(shown.render(frame))
        progress.step("movie", number + 1, len(path))


def _sized(frame: Frame, long_side: int) -> Frame:
    """The frame with a picture no larger than `long_side`."""
    lens = frame.intrinsics
    factor = min(1.0, long_side / max(lens.width, lens.height))
    size = round(lens.width * factor), round(lens.height * factor)
    return replace(frame, intrinsics=lens.scaled(*size))


def _square(frame: Frame, side: int) -> Frame:
    """The frame with a square picture that shows the shorter side's angle."""
    lens = frame.intrinsics
    focal = side * max(lens.fl_x / lens.width, lens.fl_y / lens.height)
    return replace(frame, intrinsics=Intrinsics(side, side, focal, focal, side / 2, side / 2))


def _bytes(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.round(picture * 255).astype(np.uint8)
