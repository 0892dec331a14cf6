"""How exact are the maps of a drone flight, and what does the descent bring to low views?

    .venv/bin/python benchmarks/aerial.py [--json] [--cache DIR] [--gps-noise METRES]
        [--settings NAME=value ...]

Renders 35 photos from 40 m over known terrain (benchmarks/flight_scene.py), runs the three steps of
the pipeline `aerial`, and compares georeference, elevation and ortho photo with the truth. Twelve
photos from a quarter and an eighth of the height, which no step is given, tell how close views
look. What is in the cache folder already is not done again.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from flight_scene import (
    FOCAL_PX,
    HEIGHT_M,
    ORIGIN,
    Terrain,
    flight,
    low_shots,
    terrain,
    write_flight,
)
from main_job import run
from maquette.pipelines.options import StepOptions
from maquette.recon.splats.renderer import SplatRenderer, open_renderer
from maquette.recon.splats.trained import read_trained
from maquette.scene import geodesy, georeference, originals, transforms
from maquette.scene.geodesy import Utm
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame
from rows import Row, print_rows

Floats = NDArray[np.float64]
MODEL, PIPELINE = "flight", "aerial"
_INNER_M = 36.0  # half the side of the square that at least four photos see


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--cache", type=Path, default=Path("build/aerial"))
    parser.add_argument("--gps-noise", type=float, default=0.0, metavar="METRES")
    parser.add_argument("--settings", nargs="*", default=[], metavar="NAME=value")
    arguments = parser.parse_args()
    folder: Path = arguments.cache.resolve()
    if not (folder / "flight" / "low" / "low_11.npy").is_file():
        write_flight(folder / "flight", arguments.gps_noise)
    words = [f"PIPELINE={PIPELINE}", *arguments.settings]
    for step in ("prepare", "process", "extract"):
        given = [f"INPUT={folder / 'flight' / 'photos'}"] if step == "prepare" else []
        run(["run", step], folder, MODEL, [*given, *words])
    scene, ground = Scene(folder / "scenes" / MODEL, PIPELINE), terrain()
    found = {**place_figures(scene), **map_figures(scene, ground), **low_figures(scene, folder)}
    rows = [Row(case, "maquette", name, value, unit) for (case, name, unit), value in found.items()]
    print_rows(rows, arguments.json)


Figures = dict[tuple[str, str, str], float]


def place_figures(scene: Scene) -> Figures:
    """How far cameras lie from where they stood, in shares of the flying height."""
    place = georeference.read(scene.georeference).georeference
    assert place is not None
    titles, truth = originals.titles(scene), {shot.name: shot for shot in flight()}
    errors = []
    for frame in transforms.read(scene.transforms).frames:
        told = geodesy.enu_from_geodetic(place.geodetic(frame.world_from_cam[:3, 3]), ORIGIN)
        shot = truth[titles[Path(frame.file_path).name]]
        errors.append(np.linalg.norm(told - shot.enu_from_cam[:3, 3]))
    return {("georeference", "cameras off", "% of height"): 100 * np.mean(errors) / HEIGHT_M}


def map_figures(scene: Scene, ground: Terrain) -> Figures:
    """Elevation and ortho photo beside the true ones, where at least four photos look."""
    with rasterio.open(scene.results / f"{MODEL}_dsm.tif") as file:
        heights, east, north = _places(file, file.read(1, masked=True).filled(np.nan))
        size = file.res[0]
    with rasterio.open(scene.results / f"{MODEL}_ortho.tif") as file:
        ortho = np.moveaxis(file.read(), 0, 2)
    inner = (np.abs(east) < _INNER_M) & (np.abs(north) < _INNER_M)
    known = inner & np.isfinite(heights)
    error = np.abs(heights - ground.elevation(east, north) - ORIGIN[2])[known]
    truth = ground.averaged(size).ortho(east, north)
    shown = ortho[..., :3] / 255.0
    apart = ((shown - truth) ** 2)[known].mean()
    return {
        ("elevation", "mean error", "% of height"): 100 * error.mean() / HEIGHT_M,
        ("elevation", "median error", "% of height"): 100 * np.median(error) / HEIGHT_M,
        ("elevation", "90th percentile", "% of height"): 100 * np.quantile(error, 0.9) / HEIGHT_M,
        ("elevation", "mapped", "%"): 100 * known.sum() / inner.sum(),
        ("ortho photo", "PSNR", "dB"): -10 * np.log10(apart),
        ("ortho photo", "off", "px"): shift_px(shown, truth, known),
        ("ortho photo", "pixel", "m"): size,
    }


def _places(file: rasterio.DatasetReader, values: Floats) -> tuple[Floats, Floats, Floats]:
    """The values with east and north of their pixels from `ORIGIN`, by the file's own words."""
    utm = Utm.of_epsg(file.crs.to_epsg())
    assert utm is not None
    rows, columns = np.indices(values.shape)
    x, y = rasterio.transform.xy(file.transform, rows.ravel(), columns.ravel())
    height = np.where(np.isfinite(values), values, ORIGIN[2]).ravel()
    places = utm.unproject(np.stack([np.asarray(x), np.asarray(y), height], axis=1))
    enu = geodesy.enu_from_geodetic(places, ORIGIN).reshape(*values.shape, 3)
    return values, enu[..., 0], enu[..., 1]


def shift_px(shown: Floats, truth: Floats, known: NDArray[np.bool_]) -> float:
    """How far a picture lies from another, pixels: least squares of the slopes of the second."""
    one, other = (gaussian_filter(p.mean(axis=2), 1.5) for p in (shown, truth))
    slopes = np.stack(np.gradient(other), axis=-1)[known]
    moved = np.linalg.lstsq(slopes, (one - other)[known], rcond=None)[0]
    return float(np.linalg.norm(moved))


def low_figures(scene: Scene, folder: Path) -> Figures:
    """PSNR of views from a quarter and an eighth of the height."""
    return {
        (f"from {share:g} of the height", "PSNR", "dB"): float(np.mean(found))
        for share, found in low_psnr(scene, open_renderer(scene, StepOptions.group), folder).items()
    }


def low_psnr(scene: Scene, renderer: SplatRenderer, folder: Path) -> dict[float, list[float]]:
    """By share of the flying height, PSNR of each view in dB."""
    place = georeference.read(scene.georeference).georeference
    assert place is not None
    first = transforms.read(scene.transforms).frames[0].intrinsics
    lens = replace(first, width=640, height=480, fl_x=FOCAL_PX, fl_y=FOCAL_PX, cx=320.0, cy=240.0)
    enu_from_origin = geodesy.enu_from_geodetic(place.origin, ORIGIN)
    found: dict[float, list[float]] = {0.25: [], 0.125: []}
    for number, shot in enumerate(low_shots(terrain())):
        enu = shot.enu_from_cam.copy()
        enu[:3, 3] -= enu_from_origin
        world = np.linalg.inv(place.enu_from_world) @ enu
        world[:3, :3] *= place.metres_per_unit
        view = renderer.render(Frame(shot.name, world, lens))
        photo = np.asarray(Image.open(folder / "flight" / "low" / shot.name)) / 255.0
        psnr = -10 * np.log10(((view - photo) ** 2).mean())
        found[0.25 if number % 2 else 0.125].append(float(psnr))
    return found


def psnr_of(path: Path, scene: Scene, folder: Path) -> dict[float, float]:
    """The same of one file of splats, for comparisons by hand."""
    trained = read_trained(path)
    renderer = SplatRenderer(trained.gaussians, trained.iteration, trained.background)
    return {share: float(np.mean(one)) for share, one in low_psnr(scene, renderer, folder).items()}


if __name__ == "__main__":
    main()
