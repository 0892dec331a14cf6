"""The stages that publish splats, in a small scene whose Gaussians lie on the true surface."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from maquette.errors import BadInput, JobFailed, NotFound
from maquette.pipelines.splat.options import ExtractOptions
from maquette.publishing.choosing import chosen
from maquette.recon.evaluate.protocols import NotMeasured
from maquette.recon.evaluate.results import find_surface
from maquette.recon.evaluate.views import held_out, render_pairs
from maquette.recon.mesh.reading import read_mesh
from maquette.recon.page_data.writing import write as page_data
from maquette.recon.splats.files.ply import read_ply
from maquette.recon.splats.files.splat import read_splat
from maquette.recon.splats.gaussians import SH_C0, Gaussians
from maquette.recon.splats.renderer import open_renderer
from maquette.recon.splats.run_files import GIVEN
from maquette.recon.splats.trained import Trained, read_trained, write_master
from maquette.recon.stages.splat import clean, export, mesh, pictures
from maquette.scene import outputs, transforms
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord
from maquette.stages.running import run_stages
from synthetic_scene import (
    noise_texture,
    object_color,
    scene_distance,
    truth_mesh,
    write_posed_scene,
)
from turns import linked_copy, made_once

STAGES = [clean.STAGE, mesh.STAGE, export.STAGE, pictures.STAGE]
COUNT, STRAY = 6000, 20


def surface_splats() -> Gaussians:
    """Balls on the object's surface in the texture's colours, and a few strays far outside."""
    mesh = truth_mesh(64)
    draws = np.random.default_rng(0)
    points = mesh.triangles_center[draws.permutation(len(mesh.faces))[:COUNT]]
    strays = 40 + draws.normal(size=(STRAY, 3))
    means = np.concatenate([points, strays])
    colors = np.concatenate([object_color(points, noise_texture(0)), np.ones((STRAY, 3))])
    sh = torch.zeros(len(means), 4, 3)
    sh[:, 0] = torch.from_numpy((colors - 0.5) / SH_C0).float()
    return Gaussians(
        torch.from_numpy(means).float(), torch.full((len(means), 3), -4.1),
        torch.tensor([[1.0, 0, 0, 0]]).repeat(len(means), 1),
        torch.full((len(means),), 3.0), sh,
    )  # fmt: skip


def write_trained_scene(root: Path) -> None:
    scene = replace(write_posed_scene(root, count=14, width=96, height=72), pipeline="splat")
    write_master(scene.run("experiments") / GIVEN, Trained(surface_splats(), 700))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A scene after process, to be changed."""
    made = made_once("trained splats", write_trained_scene)
    return Scene(linked_copy(made, tmp_path / "thing"), "splat")


def extract(scene: Scene, **options: Any) -> list[StageRecord]:
    return run_stages(STAGES, "extract", scene, ExtractOptions(**options), Progress(None))


def test_extract_publishes_splats_and_tells_of_them(scene: Scene) -> None:
    cleaned, _, exported, shown = extract(scene, movie=True)
    assert cleaned.numbers["dropped"] == {"outside": STRAY}
    assert cleaned.numbers["iteration"] == 700
    master = read_trained(scene.results / "thing.ply")
    assert (len(master.gaussians), master.iteration) == (COUNT, 700)
    kinds = {output.path.rpartition("/")[2]: output.kind for output in outputs.read(scene)}
    assert kinds == {
        "thing.ply": "splats", "thing.splat": "splats", "thing.sog": "splats",
        "manifest.json": "other", "thing_views.png": "picture", "thing_photos.png": "picture",
        "thing.mp4": "other",
    }  # fmt: skip
    assert exported.numbers["sog_lost_db"] < 0.3 and not exported.remarks
    told = json.loads((scene.results / "manifest.json").read_text())
    assert set(told["formats"]) == {"splat", "sog", "ply"}
    assert all((scene.results / name).is_file() for name in told["formats"].values())
    assert told["mesh"] is None
    assert told["splats"] == COUNT and told["metadata"]["source_images"] == 14
    assert shown.numbers["pictures"] == 3


def extract_mesh(scene: Scene, **options: Any) -> StageRecord:
    stages = [clean.STAGE, mesh.STAGE]
    return run_stages(stages, "extract", scene, ExtractOptions(**options), Progress(None))[-1]


def test_a_manifest_names_the_mesh_and_its_units_until_it_is_gone(scene: Scene) -> None:
    def told(**options: Any) -> Any:
        run_stages(STAGES[:3], "extract", scene, ExtractOptions(**options), Progress(None))
        return json.loads((scene.results / "manifest.json").read_text())["mesh"]

    files = {"glb": "thing_mesh.glb", "ply": "thing_mesh.ply"}
    assert told(with_mesh=True, resolution=64) == files | {"scale": 1.0}
    assert told(with_mesh=True, resolution=64, scene_scale=50.0) == files | {"scale": 50.0}
    assert told() is None


def test_what_masks_exclude_is_no_part_of_the_mesh(scene: Scene) -> None:
    """Masks leave the upper part of each picture, so the mesh loses the foot."""
    whole = extract_mesh(scene, with_mesh=True, resolution=64).numbers["faces"]
    scene.masks.mkdir()
    used = np.zeros((72, 96), np.uint8)
    used[:42] = 255
    for frame in transforms.read(scene.transforms).frames:
        Image.fromarray(used).save(scene.masks / Path(frame.file_path).name)
    assert extract_mesh(scene, with_mesh=True, resolution=64).numbers["faces"] < 0.7 * whole


def test_a_mesh_lies_on_the_true_surface_in_colour_and_is_measured(scene: Scene) -> None:
    numbers = extract_mesh(scene, with_mesh=True, resolution=96).numbers
    assert numbers["iteration"] == 700 and numbers["resolution"] == 96
    made = read_mesh(scene.results / "thing_mesh.ply")
    off = np.abs(scene_distance(np.asarray(made.vertices, np.float64)))
    assert np.quantile(off, 0.5) < 0.02 and np.quantile(off, 0.95) < 0.06
    assert made.colors is not None
    true = object_color(made.vertices, noise_texture(0))
    flat = np.abs(true - true.mean(axis=0)).mean()
    assert np.abs(made.colors - true).mean() < 0.8 * flat, "colours of another place"
    assert find_surface(scene).path.name == "thing_mesh.ply"
    assert (scene.results / "thing_mesh.glb").is_file()
    extract_mesh(scene)
    assert not list(scene.results.glob("thing_mesh.*"))
    with pytest.raises(NotMeasured):
        find_surface(scene)


def test_splats_without_a_surface_are_told_in_a_sentence(scene: Scene) -> None:
    path = scene.run("experiments") / GIVEN
    trained = read_trained(path).gaussians
    path.unlink()
    faint = replace(trained, opacity_logits=torch.full((len(trained),), -3.5))
    write_master(path, Trained(faint, 700))
    with pytest.raises(JobFailed, match="have no surface in the region"):
        extract_mesh(scene, with_mesh=True, resolution=64)


def test_what_is_not_asked_for_any_more_goes(scene: Scene) -> None:
    extract(scene, formats="splat spz glb")
    (scene.results / "thing.mp4").write_bytes(b"of an earlier run")
    again = extract(scene, formats="sog", force_stage="pictures")
    names = {path.name for path in scene.results.iterdir()}
    assert {"thing.sog", "thing.ply"} <= names
    assert not names & {"thing.splat", "thing.spz", "thing.glb", "thing.mp4"}
    assert again[0].key and [record.stage for record in again] == [
        "clean", "mesh", "export", "pictures",
    ]  # fmt: skip


def test_streamed_splats_are_for_pages_here_and_go_when_nobody_asks(scene: Scene) -> None:
    extract(scene, formats="sog", streamed=True)
    told = json.loads((scene.results / "manifest.json").read_text())
    index = scene.results / told["formats"]["lod"]
    described = json.loads(index.read_text())
    assert described["counts"][0] == told["splats"] and told["best_format"] == "sog"
    assert all((index.parent / name).is_file() for name in described["filenames"])
    page = json.loads(page_data(scene, ["splat"]).read_text())
    assert (scene.root / page["formats"]["lod"]).samefile(index)
    assert set(chosen(page, 0, best_only=False)["formats"]) == {"sog"}
    extract(scene, formats="sog")
    assert not index.parent.exists()
    assert "lod" not in json.loads(page_data(scene, ["splat"]).read_text())["formats"]


def test_a_limit_is_met_and_its_price_is_told(scene: Scene) -> None:
    exported = extract(scene, formats="splat", size_limit=40_000)[2]
    size = (scene.results / "thing.splat").stat().st_size
    assert 36_000 < size <= 40_000
    assert exported.numbers["splat_lost_db"] > 0.5
    assert "of the splats at degree 0 fit into 0.0" in exported.remarks[0]
    with pytest.raises(BadInput, match="do not fit into 1e-05 MB"):
        extract(scene, formats="splat", size_limit=10)


def test_a_scaled_scene_leaves_the_master_in_the_world(scene: Scene) -> None:
    extract(scene, formats="splat", scene_scale=50.0)
    master, published = (
        read_ply(scene.results / "thing.ply"),
        read_splat(scene.results / "thing.splat"),
    )
    for name in ("means", "scales"):
        assert torch.allclose(
            getattr(published, name).mean(0), 50 * getattr(master, name).mean(0), rtol=1e-4
        )
    told = json.loads((scene.results / "manifest.json").read_text())
    assert told["metadata"]["scene_scale"] == 50.0 and set(told["formats"]) == {"splat"}
    half_width = transforms.read(scene.transforms).region.half_width
    assert told["region"]["sphere_radius"] == pytest.approx(50 * half_width)


def test_nothing_trained_nothing_left_and_damage_are_told_in_a_sentence(scene: Scene) -> None:
    with pytest.raises(JobFailed, match="nothing of the 6,020 splats"):
        extract(scene, min_opacity=0.99)
    trained = scene.run("experiments") / GIVEN
    content = trained.read_bytes()
    trained.unlink()
    trained.write_bytes(content[: len(content) // 2])
    with pytest.raises(BadInput, match="cut off"):
        extract(scene)
    trained.unlink()
    with pytest.raises(NotFound, match="no splats were trained yet"):
        extract(scene)
    with pytest.raises(NotMeasured, match="no splats were trained yet"):
        open_renderer(scene, "experiments")


def test_held_out_views_are_shown_where_the_photos_were_taken(scene: Scene) -> None:
    """The object alone has Gaussians, so its outline has to be in the right place."""
    frames = transforms.read(scene.transforms).frames
    pairs = render_pairs(scene, open_renderer(scene, "experiments"), held_out(frames))
    assert pairs
    for pair in pairs:
        shown = pair.render.sum(axis=2) > 0.3
        assert 0.05 < shown.mean() < 0.6
        inside = float(np.abs(pair.photo - pair.render)[shown].mean())
        assert inside < 0.15, "colours of another place"
    with pytest.raises(NotMeasured):
        find_surface(scene)
