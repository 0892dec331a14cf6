"""The stages of drone photos, over a small field of splats that nine cameras look down on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maquette.errors import ConfigError, JobFailed
from maquette.pipelines.aerial.options import ExtractOptions, ProcessOptions
from maquette.recon.aerial import map_files
from maquette.recon.aerial.mapping import MapOptions, make_map
from maquette.recon.mesh.reading import read_mesh
from maquette.recon.page_data.layers import collect
from maquette.recon.splats.files.ply import write_ply
from maquette.recon.splats.gaussians import Gaussians
from maquette.recon.splats.renderer import SplatRenderer, open_renderer
from maquette.recon.splats.run_files import GIVEN, REFINED, newest
from maquette.recon.splats.trained import FORMAT, read_trained
from maquette.recon.stages.aerial import descent, maps
from maquette.recon.stages.splat import clean, export, mesh
from maquette.recon.views.views import Views
from maquette.scene import checkpoints, georeference, outputs, transforms
from maquette.scene.atomic import write_json
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.transforms import Frame, Transforms
from maquette.stages.running import run_stages
from maquette.stages.stage import DeclaredOptions, Report
from terrain_splats import Floats, frame, looking_down, place, sheet

OPTIONS = ExtractOptions(gpus=0, group="t", crop=False, gsd=0.1, formats="splat")
STAGES = [clean.STAGE, mesh.STAGE, maps.STAGE, export.STAGE]
HEIGHT_M = 8.0


def hill(x: Floats, y: Floats) -> Floats:
    return 0.5 * np.sin(x / 2) + 0.1 * y


def patched(x: Floats, y: Floats) -> Floats:
    red = 0.5 + 0.3 * np.sign(np.sin(1.7 * x) * np.sin(1.3 * y))
    return np.stack([red, 0.8 - 0.5 * red, np.full_like(x, 0.3)], axis=1)


def field() -> Gaussians:
    return sheet(hill, patched, half_m=7.0, step_m=0.2)


def flown(folder: Path, with_place: bool = True) -> Scene:
    """A scene whose photos are pictures of the field, with these splats as trained."""
    scene, splats = Scene(folder / "field", "aerial"), field()
    frames: list[Frame] = []
    (scene.root / "images").mkdir(parents=True)
    for x in (-3.0, 0.0, 3.0):
        for y in (-3.0, 0.0, 3.0):
            view = looking_down(f"images/{len(frames):06d}.png", x, y, HEIGHT_M)
            pixels = np.round(255 * SplatRenderer(splats).render(view)).astype(np.uint8)
            Image.fromarray(pixels).save(scene.root / view.file_path)
            frames.append(view)
    middle = frame().world(np.zeros(3))
    up = frame().axes[2]
    transforms.write(scene.transforms, Transforms(tuple(frames), Region.around(middle, 4.0), up))
    if with_place:
        known = place()
        assert known.georeference is not None
        document = {"up": up.tolist(), "metres_per_unit": known.metres_per_unit}
        write_json(
            scene.georeference, document | {"georeference": known.georeference.as_document()}
        )
    run = scene.run("t")
    run.mkdir(parents=True)
    write_ply(run / GIVEN, splats)
    return scene


def run_extract(scene: Scene, options: ExtractOptions = OPTIONS) -> None:
    run_stages(STAGES, "extract", scene, options, Progress(None))


def test_maps_lie_on_the_field_and_walk_mode_stands_on_it(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio", reason="the part geo is not installed")
    scene = flown(tmp_path)
    run_extract(scene)
    with rasterio.open(scene.results / "field_dsm.tif") as file:
        heights = file.read(1, masked=True).filled(np.nan)
        rows, columns = np.indices(heights.shape)
        x, y = (np.asarray(v) for v in file.xy(rows.ravel(), columns.ravel()))
    x, y = x - frame().offset[0], y - frame().offset[1]
    error = np.abs(heights.ravel() - hill(x, y) - frame().offset[2])
    assert np.isfinite(heights).mean() > 0.8 and np.nanmean(error) < 0.04
    with rasterio.open(scene.results / "field_ortho.tif") as file:
        ortho = file.read().reshape(4, -1)
    seen = ortho[3] > 0
    assert np.abs(ortho[:3, seen].T / 255 - patched(x, y)[seen]).mean() < 0.08
    ground = read_mesh(scene.results / "field_ground.glb")
    gltf = georeference.gltf_from_world(frame().axes[2], georeference.Place())[:3, :3]
    places = frame().mapped(ground.vertices @ gltf)
    assert np.abs(places[:, 2] - hill(places[:, 0], places[:, 1])).mean() < 0.05
    manifest = json.loads((scene.results / "manifest.json").read_text())
    assert manifest["collision_url"] == "field_ground.glb"
    assert "extrapolated" in manifest["provenance"]["extrapolated"]
    found = outputs.read(scene)
    kinds = {Path(item.path).name: item.kind for item in found}
    assert kinds["field_map.png"] == outputs.PICTURE and kinds["field_ground.glb"] == outputs.GROUND
    layers = collect(scene, ["aerial"], tmp_path)
    assert layers.ground == "results/aerial/field_ground.glb"
    assert not layers.meshes, "the ground is walked on, not looked at"


def test_without_gps_maps_are_in_the_scenes_own_units_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_files, "has_geotiff", lambda: False)
    scene = flown(tmp_path, with_place=False)
    run_extract(scene, replace(OPTIONS, gsd=0.0))
    record = json.loads((scene.stages / "aerial" / "maps.json").read_text())
    assert record["numbers"]["unit"] == "units" and record["numbers"]["epsg"] is None
    assert record["numbers"]["flying_height"] == pytest.approx(HEIGHT_M / 5, rel=0.1)
    remarks = " ".join(record["remarks"])
    assert "lies nowhere on Earth" in remarks and "world file" in remarks
    assert (scene.results / "field_ortho.pgw").is_file()
    assert (scene.results / "field_dsm.tfw").is_file()


def test_nothing_that_enough_photos_show_is_a_sentence(tmp_path: Path) -> None:
    scene = flown(tmp_path)
    run_extract(scene, replace(OPTIONS, until_stage="clean"))
    far = read_trained(scene.results / "field.ply")
    away = replace(far.gaussians, means=far.gaussians.means + 500.0)
    write_ply(scene.results / "field.ply", away)
    with pytest.raises(JobFailed, match="nothing of `field` is seen from above"):
        maps.run(scene, _declared(OPTIONS), Progress(None))  # type: ignore[arg-type]


def _declared(options: ExtractOptions) -> DeclaredOptions:
    return DeclaredOptions(maps.STAGE, options)


def trained(scene: Scene, faint_of_ten: int = 0) -> Path:
    """A checkpoint in place of splats of another program."""
    run = scene.run("t")
    (run / GIVEN).unlink()
    name = checkpoints.checkpoint_name(0, 10)
    splats = field()
    splats.opacity_logits[torch.arange(len(splats)) % 10 < faint_of_ten] = 1.5
    splats.sh += 0.2 * torch.randn(splats.sh.shape, generator=torch.Generator().manual_seed(1))
    state = {
        "format": FORMAT, "iteration": 10, "splats": dict(splats.tensors()),
        "corrections": {"values": {"sky": torch.tensor([0.1, 0.2, 0.3])}},
    }  # fmt: skip
    torch.save(state, run / name)
    checkpoints.write_pointer(run, name)
    return run / name


def run_descent(scene: Scene, **changes: object) -> Report:
    options = ProcessOptions(
        gpus=0, group="t", descent=True, descent_altitudes="1,0.5", descent_iterations=20,
        descent_views=4, descent_size=64, descent_densify="0 0", descent_largest=0.0,
    )  # fmt: skip
    options = replace(options, **changes)  # type: ignore[arg-type]
    return descent.run(scene, DeclaredOptions(descent.STAGE, options), Progress(None))


def test_a_descent_counts_until_training_goes_on(tmp_path: Path) -> None:
    scene = flown(tmp_path)
    checkpoint = trained(scene)
    report = run_descent(scene)
    assert report.numbers["levels_kept"] == 2, report.numbers
    assert min(report.numbers["photo_share"]) > 0.6
    assert max(report.numbers["lost_db"]) < 0, "colours had noise, which photos take away"
    refined = newest(scene.run("t"))
    assert refined == scene.run("t") / REFINED
    read = read_trained(refined)
    assert read.iteration == 10 and read.background == pytest.approx([0.1, 0.2, 0.3])
    assert open_renderer(scene, "t").iteration == 10
    assert Image.open(scene.results / "field_descent.png").width > 300
    later = checkpoint.with_name(checkpoints.checkpoint_name(0, 20))
    checkpoint.rename(later)
    checkpoints.write_pointer(later.parent, later.name)
    assert newest(scene.run("t")) == later


def test_a_level_that_costs_photos_is_not_kept_and_none_is_made_unasked(tmp_path: Path) -> None:
    scene = flown(tmp_path)
    trained(scene, faint_of_ten=7)
    before = field()
    report = run_descent(
        scene, descent_altitudes="0.5", descent_min_opacity=0.9, descent_iterations=2
    )
    assert report.numbers["levels_kept"] == 0 and "were not kept: 0.5" in report.remarks[0]
    assert len(read_trained(scene.run("t") / REFINED).gaussians) == len(before)
    run_descent(scene, descent=False)
    assert not (scene.run("t") / REFINED).exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"descent_altitudes": "0.5,1"}, "from high to low"),
        ({"descent_altitudes": "2"}, "above 0 and up to 1"),
        ({"descent_altitudes": "0.5,."}, "is no number"),
        ({"descent_fov": "170 30"}, "angles of 1 to 150"),
    ],
)
def test_a_descent_that_can_not_be_is_refused(
    tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        run_descent(Scene(tmp_path / "x", "aerial"), **changes)


def test_a_hill_above_the_lowest_camera_is_named(tmp_path: Path) -> None:
    """A camera that was moved below the top of the field."""
    scene = flown(tmp_path)
    cameras = transforms.read(scene.transforms)
    low = looking_down(cameras.frames[0].file_path, -3.0, -3.0, 0.3)
    frames = (replace(cameras.frames[0], world_from_cam=low.world_from_cam), *cameras.frames[1:])
    made = make_map(field(), Views(scene, frames), frame(), MapOptions(size=0.2))
    assert 0 < made.above_lowest_camera < 2
    assert any("above the lowest camera" in remark for remark in maps.remarks_on(made, frame()))


def test_a_place_that_is_written_is_read(tmp_path: Path) -> None:
    assert georeference.read(flown(tmp_path).georeference).georeference is not None
