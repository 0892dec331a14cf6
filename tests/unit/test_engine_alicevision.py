"""ENGINE=alicevision: Meshroom's command line, and what it made under our names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maquette.config.loading import load
from maquette.config.settings import Settings
from maquette.errors import BadInput, ConfigError, JobFailed, NotFound
from maquette.pipelines.options import to_mapping
from maquette.pipelines.photogrammetry.options import ExtractOptions
from maquette.planning.building import build_job
from maquette.recon.evaluate.results import find_surface
from maquette.recon.mesh.reading import read_mesh
from maquette.recon.sfm.alicevision import place, read_centers
from maquette.recon.step import run_step
from maquette.recon.texture.obj_reading import read_textured_obj
from maquette.recon.texture.renderer import open_renderer
from maquette.runners.docker.runner import DockerRunner
from maquette.runners.ovh import spec
from maquette.scene import outputs, stage_records, transforms
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.stage_records import StageRecord
from meshroom_folder import write_meshroom
from texture_scene import CENTER, frames_around, photo, write_scene

BATCH = "/opt/Meshroom_bundle/meshroom_batch"
PLACE = "/scene/meshroom/experiments"
COMMANDS = {
    "process": f"mkdir -p {PLACE} && {BATCH} --pipeline photogrammetry --input /photos "
    f"--output {PLACE}/published --cache {PLACE}/cache --save {PLACE}/project.mg "
    "--toNode Meshing --forceStatus --paramOverrides DepthMap:downscale=2",
    "extract": f"cd {PLACE} && rm -rf published && {BATCH} --pipeline {PLACE}/project.mg "
    f"--input /photos --output {PLACE}/published --cache {PLACE}/cache "
    f"--save {PLACE}/extracted.mg --forceStatus "
    "--paramOverrides MeshFiltering:smoothingIterations=5 "
    "MeshFiltering:filterLargeTrianglesFactor=60.0 MeshFiltering:keepLargestMeshOnly=False "
    "Texturing:textureSide=8192 Texturing:padding=15 Texturing:useUDIM=False "
    "Texturing:colorMapping.colorMappingFileType=png",
}


def asked(base: Path, **given: Any) -> Settings:
    known = {"pipeline": "photogrammetry", "engine": "alicevision", "model": "thing"}
    return Settings(**known, base_dir=base, **given)


@pytest.mark.parametrize("step", sorted(COMMANDS))
def test_meshrooms_own_command_runs_in_its_image(step: str, tmp_path: Path) -> None:
    job = build_job(step, asked(tmp_path, license_mode="commercial"))
    request = DockerRunner().plan(job)
    assert request["command"] == ["bash", "-c", COMMANDS[step]]
    assert request["image"].startswith("docker.io/alicevision/meshroom:2025.1.0-")
    assert "Mozilla Public License 2.0" in job.licence
    scene = str(tmp_path.resolve() / "scenes" / "thing")
    mounts = {mount["target"]: mount["source"] for mount in request["mounts"]}
    assert mounts["/scene"] == scene and mounts["/photos"] == f"{scene}/images_raw"


def test_where_it_could_not_find_the_photos_nothing_is_paid(tmp_path: Path) -> None:
    job = build_job("process", asked(tmp_path, backend="ovh"))
    with pytest.raises(ConfigError, match="ENGINE=alicevision needs folders") as refused:
        spec.body_of(job)
    assert "BACKEND=docker" in refused.value.hint


def test_settings_with_a_counterpart_are_passed_on(tmp_path: Path) -> None:
    told = asked(tmp_path, preset="preview", source_views=5)
    line = build_job("process", told).command[-1]
    assert line.endswith("DepthMap:downscale=4 DepthMap:maxTCams=5")
    told = asked(tmp_path, texture_size=4096, keep_lcc=True, smooth=2, long_faces=30)
    line = build_job("extract", told).command[-1]
    for part in ("textureSide=4096", "keepLargestMeshOnly=True", "smoothingIterations=2",
                 "filterLargeTrianglesFactor=30"):  # fmt: skip
        assert part in line


@pytest.mark.parametrize("word", ["DENSE_SIZE=800", "MIN_VIEWS=3", "REFINE=1", "UNSEEN=fill"])
def test_settings_without_one_are_refused(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["PIPELINE=photogrammetry", "ENGINE=alicevision"]
    with pytest.raises(ConfigError) as refused:
        load([*given, word])
    name = word.partition("=")[0]
    assert f"{name} means nothing to ENGINE=alicevision" in refused.value.detail
    assert load([*given, "FACES=5000", "FRAMES=40"]).options["frames"] == 40


def test_prepare_is_ours(tmp_path: Path) -> None:
    job = build_job("prepare", asked(tmp_path))
    assert job.engine.is_ours and job.licence == "" and job.command[0] == "maquette-step"


def test_a_step_too_early_names_the_one_before(tmp_path: Path) -> None:
    runner = DockerRunner()
    with pytest.raises(NotFound, match="`images_raw/` is not in the scene") as early:
        runner.submit(runner.plan(build_job("process", asked(tmp_path))))
    assert "make prepare MODEL=thing" in early.value.hint
    (tmp_path / "scenes" / "thing" / "images_raw").mkdir(parents=True)
    with pytest.raises(NotFound, match="`meshroom/` is not in the scene") as early:
        runner.submit(runner.plan(build_job("extract", asked(tmp_path))))
    assert "make process PIPELINE=photogrammetry MODEL=thing" in early.value.hint


def take_over(scene: Scene, **given: Any) -> None:
    options = scene.root / "options.json"
    options.write_text(json.dumps(to_mapping(ExtractOptions(**given))))
    run_step("photogrammetry", "extract", scene, options, Progress(None), "alicevision")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    scene = write_scene(tmp_path_factory.mktemp("meshroom") / "thing")
    scene.stages.mkdir()
    write_meshroom(scene)
    take_over(scene, faces=500)
    return scene


def off_the_ball(path: Path) -> float:
    distances = np.linalg.norm(read_mesh(path).vertices - CENTER, axis=1)
    return float(np.abs(distances - 1.0).max())


def test_its_meshes_come_into_our_world_and_region(plain: Scene) -> None:
    for name in ("mesh.ply", "filtered.obj", "textured.obj", "decimated.ply"):
        assert off_the_ball(plain.results / name) < 0.05, name
    assert len(read_mesh(plain.results / "decimated.ply").faces) <= 500
    numbers = stage_records.read(plain, "meshroom").numbers
    assert numbers["cameras"] == 24 and numbers["cameras_off"] < 1e-4
    assert numbers["points_off"] < 0.01 and numbers["components"] == 1


def test_its_texture_is_what_the_photos_show(plain: Scene) -> None:
    frame = frames_around(31)[4]
    drawn, truth = open_renderer(plain, "").render(frame), photo(frame) / 255
    shown = np.isfinite(drawn).all(axis=2)
    assert shown.mean() > 0.2
    assert -10 * np.log10(((drawn - truth)[shown] ** 2).mean()) > 25


def test_its_results_are_listed_measured_and_licensed_like_ours(plain: Scene) -> None:
    listed = json.loads((plain.results / outputs.FILE).read_text())["outputs"]
    assert {Path(one["path"]).name for one in listed} == {
        "mesh.ply", "mesh.obj", "filtered.ply", "filtered.obj", "decimated.ply", "decimated.obj",
        "textured.obj", "thing.glb",
    }  # fmt: skip
    assert {one["stage"] for one in listed} == {"meshroom"}
    assert find_surface(plain).path.name == "filtered.ply"
    report = json.loads(plain.report.read_text())
    assert "Mozilla" in report["licences"]["photogrammetry"]["extract"]


def test_axes_that_another_version_writes_are_found_out(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "thing", count=6)
    write_meshroom(scene, is_turned=False)
    scene.stages.mkdir()
    take_over(scene)
    assert off_the_ball(scene.results / "filtered.ply") < 0.05


def test_of_several_runs_the_last_one_counts(tmp_path: Path) -> None:
    """Meshroom took up again what an earlier run had made: newer files are of another one."""
    scene = write_scene(tmp_path / "thing", count=6)
    folder = write_meshroom(scene)
    scene.stages.mkdir()
    other = folder / "cache" / "MeshFiltering" / "ffff" / "mesh.obj"
    other.parent.mkdir()
    other.write_text("not a mesh")
    with pytest.raises(BadInput, match=r"holds no triangles|not a readable mesh"):
        take_over(scene)
    nodes = {"MeshFiltering_1": {"nodeType": "MeshFiltering", "uid": "3f2a"}}
    (folder / "extracted.mg").write_text(json.dumps({"graph": nodes}))
    take_over(scene)
    assert off_the_ball(scene.results / "filtered.ply") < 0.05


def test_what_can_not_be_taken_over_is_told(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "thing", count=6)
    scene.stages.mkdir()
    with pytest.raises(NotFound, match=r"Meshroom left no `cache/Meshing/\*/mesh.obj`"):
        take_over(scene)
    folder = write_meshroom(scene, names=slice(2))
    with pytest.raises(BadInput, match="Meshroom found 2 cameras, 2 of photos of this scene"):
        take_over(scene)
    (sfm,) = folder.glob("cache/*/*/cameras.sfm")
    sfm.write_text("{}")
    with pytest.raises(BadInput, match=r"`cameras\.sfm` has no cameras of AliceVision"):
        take_over(scene)
    with pytest.raises(ConfigError, match=r"FACES=5 and DECIMATE=0\.5 both ask for a size"):
        take_over(scene, faces=5, decimate=0.5)


def test_a_region_beside_its_mesh_is_told(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "thing", count=6)
    write_meshroom(scene)
    scene.stages.mkdir()
    read = transforms.read(scene.transforms)
    elsewhere = Region.around(CENTER + 50.0, 1.0)
    transforms.write(scene.transforms, transforms.Transforms(read.frames, elsewhere))
    with pytest.raises(JobFailed, match="faces lies in the region"):
        take_over(scene)


def test_what_one_engine_made_takes_the_place_of_the_others(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "photogrammetry")
    scene.results.mkdir(parents=True)

    def made(stage: str, at: str, *names: str) -> None:
        paths = [f"results/photogrammetry/{name}" for name in names]
        for path in paths:
            (tmp_path / path).write_text(stage)
        kinds = dict.fromkeys(paths, outputs.MESH)
        sizes = dict.fromkeys(paths, len(stage))
        record = StageRecord(stage, "extract", "key", {}, {}, sizes, at, 1.0, kinds=kinds)
        stage_records.write(scene, "photogrammetry", record)

    made("surface", "2026-01-01", "mesh.ply")
    made("refined", "2026-01-02", "refined.ply")
    made("meshroom", "2026-01-03", "mesh.ply", "textured.obj")
    outputs.replace(scene, "photogrammetry", {"surface", "refined", "texture"})
    assert [Path(one.path).name for one in outputs.read(scene)] == ["mesh.ply", "textured.obj"]
    assert (scene.results / "mesh.ply").read_text() == "meshroom"
    made("surface", "2026-01-04", "mesh.ply")
    outputs.replace(scene, "photogrammetry", {"meshroom"})
    assert [(Path(one.path).name, one.stage) for one in outputs.read(scene)] == [
        ("mesh.ply", "surface")
    ]


def test_numbered_pages_are_read_and_a_missing_picture_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.mtl").write_text("newmtl one\nmap_Kd one.png\nnewmtl two\nmap_Kd two.png\n")
    (tmp_path / "a.obj").write_text(
        "mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\n"
        "vt 0 0\nvt 1 0\nvt 0 1\nvt 1.25 0.25\nvt 1.75 0.25\nvt 1.25 0.75\n"
        "usemtl one\nf 1/1 2/2 3/3\nusemtl two\nf 1/4 2/5 4/6\n"
    )
    with pytest.raises(BadInput, match=r"`a.obj` is no textured mesh: .*without a picture"):
        read_textured_obj(tmp_path / "a.obj")
    Image.new("RGB", (8, 4), "red").save(tmp_path / "one.png")
    Image.new("RGB", (8, 4), "blue").save(tmp_path / "two.png")
    found = read_textured_obj(tmp_path / "a.obj")
    (blue,) = (number for number, page in enumerate(found.pages) if page[0, 0, 2])
    (second,) = found.coordinates[found.corners[found.page_of_face == blue]]
    assert len(found.pages) == 2
    assert np.allclose(sorted(map(tuple, second)), [(0.25, 0.25), (0.25, 0.75), (0.75, 0.75)])


def test_views_without_a_pose_are_no_cameras(tmp_path: Path) -> None:
    pose = {"transform": {"center": ["1", "2", "3"]}}
    views = [{"path": "/a/b.jpg", "poseId": "7"}, {"path": "/a/c.jpg", "poseId": "8"}]
    document = {"views": views, "poses": [{"poseId": "7", "pose": pose}]}
    (tmp_path / "cameras.sfm").write_text(json.dumps(document))
    found = read_centers(tmp_path / "cameras.sfm")
    assert list(found) == ["b.jpg"] and found["b.jpg"].tolist() == [1, 2, 3]
    with pytest.raises(BadInput, match="1 of photos of this scene"):
        place(found, found, np.zeros((3, 3)), np.zeros((0, 3)))
