"""Extract on the synthetic scene, with an analytic surface in place of a trained one."""

import json
import shutil
import zipfile
from functools import partial
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import trimesh
from PIL import Image
from plyfile import PlyData, PlyElement

import synthetic_scene
from maquette.errors import BadInput, ConfigError, JobFailed, NotFound
from maquette.pipelines.neuralangelo.options import ExtractOptions
from maquette.recon.evaluate.evaluation import KEYS
from maquette.recon.evaluate.evaluation import run as evaluate
from maquette.recon.evaluate.findings import SURFACE
from maquette.recon.mvs.fused_files import fused_file, sky_file
from maquette.recon.mvs.sky_files import write_sky
from maquette.recon.pictures import publishing
from maquette.recon.pictures.contact_sheet import draw_sheet
from maquette.recon.stages.surface import mesh as mesh_stage
from maquette.recon.stages.surface import pictures as pictures_stage
from maquette.recon.surface import renderer
from maquette.scene import checkpoints, transforms
from maquette.scene.atomic import write_json
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.stages.running import run_stages

RESOLUTION = 160  # a cell is 2 * 2.5 / 160 = 0.031 world units


class Analytic:
    """What a perfectly trained model of the synthetic scene would answer."""

    def __init__(self, checkpoint, region=None, grown=0.0):
        self.iteration = checkpoints.iteration_of(checkpoint.name)
        self.region = region or synthetic_scene.region()
        self.grown = grown

    def signed_distance(self, points):
        world = self.region.world_from_unit(points)
        return (synthetic_scene.signed_distance(world) - self.grown) / self.region.radius

    def colors(self, points, normals):
        return 0.5 + 0.5 * normals

    def render(self, frame):
        lens = frame.intrinsics
        return np.full((lens.height, lens.width, 3), 0.5, np.float32)


def open_renderer(scene, group):
    return Analytic(checkpoints.newest(scene.run(group)).path)


def add_checkpoint(scene, iteration):
    path = scene.run("experiments") / checkpoints.checkpoint_name(1, iteration)
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", str(iteration))
    checkpoints.write_pointer(path.parent, path.name)
    return path


@pytest.fixture(scope="module")
def posed(tmp_path_factory):
    root = tmp_path_factory.mktemp("posed") / "ring"
    return synthetic_scene.write_posed_scene(root, count=16, width=64, height=48)


@pytest.fixture
def scene(posed, tmp_path):
    made = Scene(tmp_path / "ring", "neuralangelo")
    shutil.copytree(posed.root, made.root)
    add_checkpoint(made, 100)
    return made


def extract(scene, load=Analytic, **options):
    chosen = ExtractOptions(**{"resolution": RESOLUTION, "block_res": 32} | options)
    with patch.object(mesh_stage, "load", lambda checkpoint, device: load(checkpoint)):
        return run_stages([mesh_stage.STAGE], "extract", scene, chosen, progress())[0]


def progress():
    return Progress(None, StringIO())


def write_truth(scene):
    """The truth in a world of its own: turned, moved and three times as large."""
    cameras = transforms.read(scene.transforms)
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
    poses = []
    for frame in cameras.frames:
        pose = np.eye(4)
        pose[:3, :3] = turn @ frame.world_from_cam[:3, :3]
        pose[:3, 3] = 3 * turn @ frame.world_from_cam[:3, 3] + [5, 6, 7]
        poses.append(pose)
    mesh = synthetic_scene.truth_mesh()
    mesh.apply_transform(np.vstack([np.column_stack([3 * turn, [5, 6, 7]]), [0, 0, 0, 1]]))
    scene.ground_truth.mkdir()
    mesh.export(scene.ground_truth / "ground_truth.ply")
    low, high = mesh.bounds[0] - 0.3, mesh.bounds[1] + 0.3
    document = {
        "frames": [{"index": 2 * i, "world_from_cam": p.tolist()} for i, p in enumerate(poses)],
        "evaluation_box": np.stack([low, high], axis=1).tolist(),
        "object_mesh": "ground_truth.ply",
    }
    write_json(scene.ground_truth / "ground_truth.json", document)
    names = [Path(frame.file_path).name for frame in cameras.frames]
    images = [{"name": name, "original": "v.mp4", "index": 2 * i} for i, name in enumerate(names)]
    lost = {"name": "lost.jpg", "original": "v.mp4", "index": 99}
    write_json(scene.root / "images_raw.json", {"images": [*images, lost]})


def test_extract_gives_the_surface_in_world_units(scene):
    numbers = extract(scene, unseen="keep").numbers
    loaded = trimesh.load(scene.results / "ring.ply", process=False)
    off = synthetic_scene.signed_distance(np.asarray(loaded.vertices))
    assert 1e-6 < np.abs(off).max() < 0.02  # the crease between ball and ring is the worst
    assert np.abs(off).mean() < 1e-3
    assert loaded.is_watertight
    assert loaded.volume > 0
    assert (numbers["vertices"], numbers["faces"]) == (len(loaded.vertices), len(loaded.faces))
    assert numbers["watertight"] is True
    assert numbers["components"] == 1
    assert numbers["iteration"] == 100
    np.testing.assert_allclose(numbers["extent"], loaded.extents, atol=1e-4)
    assert numbers["size_bytes"] == (scene.results / "ring.ply").stat().st_size
    glb = trimesh.load(scene.results / "ring.glb")
    assert glb.extents[1] == pytest.approx(loaded.extents[2], abs=1e-3)  # the world's z is up


def test_the_mesh_is_pictured(scene, monkeypatch):
    monkeypatch.setattr(publishing, "draw_sheet", partial(draw_sheet, tile_px=96))
    extract(scene)
    (record,) = run_stages([pictures_stage.STAGE], "extract", scene, ExtractOptions(), progress())
    with Image.open(scene.results / "ring_views.png") as sheet:
        assert sheet.size == (record.numbers["width"], record.numbers["height"])


def test_a_second_run_is_skipped_and_a_newer_checkpoint_is_not(scene):
    """A5-11: after more training, extract must not keep the old mesh."""
    first = extract(scene)
    again = extract(scene)
    assert again.started_at == first.started_at
    add_checkpoint(scene, 200)
    later = extract(scene)
    assert later.numbers["iteration"] == 200
    assert later.numbers["checkpoint"] == checkpoints.checkpoint_name(1, 200)


def test_an_intermediate_checkpoint_can_be_chosen(scene):
    add_checkpoint(scene, 200)
    record = extract(scene, checkpoint="100")
    assert record.numbers["iteration"] == 100


def test_a_damaged_pointer_is_said(scene):
    newest = add_checkpoint(scene, 200)
    newest.write_bytes(newest.read_bytes()[:40])
    record = extract(scene)
    assert record.numbers["iteration"] == 100
    assert "damaged" in record.remarks[0]


def test_without_a_checkpoint_the_reason_is_said(scene):
    for path in scene.run("experiments").iterdir():
        path.unlink()
    with pytest.raises(NotFound, match="no checkpoint"):
        extract(scene)


def test_a_checkpoint_outside_the_scene_is_refused(scene, tmp_path):
    stray = tmp_path / "stray.pt"
    stray.write_bytes(b"x")
    with pytest.raises(ConfigError, match="outside the scene"):
        extract(scene, checkpoint=str(stray))


def test_a_changed_region_is_refused(scene):
    other = Region.around(synthetic_scene.CENTER, 2.0)
    with pytest.raises(BadInput) as caught:
        extract(scene, load=partial(Analytic, region=other))
    assert "FRESH=1" in caught.value.hint
    assert "radius 2," in caught.value.detail


def test_an_empty_model_is_said(scene):
    with pytest.raises(JobFailed, match="no surface inside the region"):
        extract(scene, load=partial(Analytic, grown=-9.0))
    assert not (scene.results / "ring.ply").exists()


def test_unusable_limits_are_refused(scene):
    with pytest.raises(ConfigError, match="grid is not usable"):
        extract(scene, resolution=4)


def test_parts_are_told_and_the_largest_kept_on_request(scene):
    class WithFloater(Analytic):
        def signed_distance(self, points):
            floater = np.linalg.norm(points - [0.0, 0.0, 0.3], axis=1) - 0.04
            return np.minimum(super().signed_distance(points), floater)

    record = extract(scene, load=WithFloater, unseen="keep")
    assert record.numbers["components"] == 2
    assert "the mesh has 2 separate parts; the second has" in record.remarks[0]
    assert "before you use KEEP_LCC=1" in record.remarks[0]
    record = extract(scene, load=WithFloater, keep_lcc=True, unseen="keep")
    assert record.numbers["components"] == 1
    assert not record.remarks


def test_a_loose_part_at_the_rim_is_dropped_and_told(scene):
    class WithShard(Analytic):
        def signed_distance(self, points):
            shard = np.linalg.norm(points - [0.25, 0.25, 0.33], axis=1) - 0.025
            return np.minimum(super().signed_distance(points), shard)

    record = extract(scene, load=WithShard)
    assert record.numbers["components"] == 1
    assert record.numbers["loose_parts_dropped"] == 1
    assert any("dropped 1 loose part" in remark for remark in record.remarks)


def seen_from_above(points):
    """Whether the ring of cameras can see points [N, 3], roughly: the upper part of the object."""
    return points[:, 2] > synthetic_scene.CENTER[2] + synthetic_scene.RING_HEIGHT


def test_what_no_photo_saw_is_dropped_and_told(scene):
    whole = extract(scene, unseen="keep")
    assert "unseen_share" not in whole.numbers
    closed = trimesh.load(scene.results / "ring.ply", process=False)
    record = extract(scene)
    left = trimesh.load(scene.results / "ring.ply", process=False)
    faces = whole.numbers["faces"] - record.numbers["dropped_faces"]
    assert len(left.faces) == record.numbers["faces"] == faces
    assert 0.2 < record.numbers["unseen_share"] < 0.6
    assert not record.numbers["watertight"]
    assert record.numbers["largest_component_share"] > 0.9
    above = [mesh.area_faces[seen_from_above(mesh.triangles_center)].sum()
             for mesh in (left, closed)]  # fmt: skip
    assert above[0] == pytest.approx(above[1], rel=0.01)
    assert left.bounds[0][2] > closed.bounds[0][2] + 0.05  # the underside is gone
    (remark,) = record.remarks
    assert "was dropped; UNSEEN=fill keeps a closed model" in remark


def test_fill_marks_what_no_photo_saw_and_stays_closed(scene):
    record = extract(scene, unseen="fill")
    vertices = PlyData.read(scene.results / "ring.ply")["vertex"]
    seen = vertices["seen"] == 1
    colors = np.stack([vertices[name] for name in ("red", "green", "blue")], axis=1)
    assert 0.2 < 1 - seen.mean() < 0.6
    assert (colors[~seen] == 128).all()
    assert (colors[seen] != 128).any(axis=1).mean() > 0.99
    assert record.numbers["watertight"]
    assert "grey" in record.remarks[0]
    glb = trimesh.load(scene.results / "ring.glb", process=False)
    (mesh,) = glb.geometry.values()
    np.testing.assert_array_equal(mesh.vertex_attributes["_SEEN"].ravel() == 1, seen)


def test_what_only_masked_pixels_saw_is_unseen(scene):
    scene.masks.mkdir()
    mask = Image.fromarray(np.repeat(np.uint8([[255, 0]]), 32, axis=1).repeat(48, axis=0))
    for path in scene.images.iterdir():
        mask.save(scene.masks / f"{path.stem}.png")
    masked = extract(scene).numbers["unseen_share"]
    for path in scene.masks.iterdir():
        Image.new("L", (64, 48)).save(path)
    record = extract(scene)
    assert 0.2 < masked < record.numbers["unseen_share"] == 1.0
    assert record.numbers["watertight"]  # nothing seen: kept whole
    assert "no photo sees this mesh" in record.remarks[0]


def test_what_shows_as_sky_is_no_part_of_the_mesh(scene):
    """Photos show sky but for their left quarter: what only is there was seen by none."""
    seen = extract(scene).numbers["unseen_share"]
    names = [path.name for path in scene.images.iterdir()]
    sky = np.broadcast_to(np.arange(64) >= 16, (48, 64))
    file = sky_file(fused_file(scene.dense("experiments"), is_for_training=True))
    file.parent.mkdir(parents=True)
    write_sky(file, dict.fromkeys(names[1:], sky))
    under_sky = extract(scene).numbers["unseen_share"]
    assert file in mesh_stage.STAGE.files(scene, ExtractOptions())
    assert seen + 0.1 < under_sky < 1
    scene.masks.mkdir()
    mask = Image.fromarray(np.where(sky[::2, ::2], 255, 0).astype(np.uint8))
    for name in names:
        mask.save(scene.masks / f"{name.partition('.')[0]}.png")
    assert extract(scene).numbers["unseen_share"] == 1.0  # the rest is masked
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(BadInput, match=r"sky.npz` is damaged"):
        extract(scene)


def test_untextured_meshes_have_no_colours(scene):
    extract(scene, textured=False)
    header = (scene.results / "ring.ply").read_bytes()[:600]
    assert b"property float nx" in header
    assert b"red" not in header


@pytest.mark.parametrize("grown", [0.0, 0.05])
def test_evaluation_finds_the_known_error(scene, grown):
    load = partial(Analytic, grown=grown)
    extract(scene, load=load, unseen="keep")
    write_truth(scene)
    result = evaluate(scene, "experiments", progress(), None, open_renderer, samples=20_000)
    assert set(result) == {*KEYS, "reasons", "details"}
    assert result["reasons"] == {}
    assert json.loads(scene.evaluation.read_text()) == result
    assert result["registered_ratio"] == round(16 / 17, 4)
    assert result["camera_error_relative"] < 1e-6
    expected, slack = grown / 2.5, 1.5e-3
    assert abs(result["accuracy_relative"] - expected) < slack
    assert abs(result["completeness_relative"] - expected) < slack
    assert result["f_score"] == pytest.approx(1.0 if grown == 0 else 0.0, abs=0.05)
    assert 0.97 < result["normal_consistency"] < 1
    photos = [np.asarray(Image.open(scene.root / path)) / 255 for path in
              result["details"]["held_out_views"]]  # fmt: skip
    psnr = np.mean([-10 * np.log10(((photo - 0.5) ** 2).mean()) for photo in photos])
    assert result["psnr_db"] == pytest.approx(psnr, abs=1e-3)
    assert 0 <= result["ssim"] < 1
    assert (scene.results / "ring_held_out.png").is_file()


def test_without_truth_only_the_rest_is_measured(scene):
    result = evaluate(scene, "experiments", progress(), None, open_renderer)
    assert result["psnr_db"] is not None
    missing = {key for key in KEYS if result[key] is None}
    assert missing == {"registered_ratio", "camera_error_relative", *SURFACE}
    reasons = result["reasons"]
    assert set(reasons) == missing
    assert "are not in the scene" in reasons.pop("registered_ratio")
    assert set(reasons.values()) == {"the scene has no ground truth: GROUND_TRUTH=folder names one"}


def test_what_can_not_be_measured_says_why(scene):
    write_truth(scene)
    reasons = evaluate(scene, "experiments", progress())["reasons"]
    assert (
        reasons["chamfer_relative"]
        == "neuralangelo has made no mesh and no points yet: `make extract`"
    )
    assert reasons["psnr_db"] == "this pipeline renders no views"
    reasons = evaluate(scene, "other", progress(), None, renderer.open_renderer)["reasons"]
    assert reasons["ssim"] == "no training run of group other yet: `make process`"
    mapping = json.loads((scene.root / "images_raw.json").read_text())
    write_json(scene.root / "images_raw.json", {"images": mapping["images"][:2]})
    reasons = evaluate(scene, "experiments", progress())["reasons"]
    assert "knows 2 of the scene's cameras, 3 are needed" in reasons["camera_error_relative"]


@pytest.mark.parametrize("with_normals", [True, False])
def test_points_are_measured_in_place_of_a_mesh(scene, with_normals):
    write_truth(scene)
    mesh = synthetic_scene.truth_mesh()
    points, faces = trimesh.sample.sample_surface(mesh, 40_000, seed=0)
    columns = dict(zip("xyz", points.T, strict=True))
    if with_normals:
        columns |= dict(zip(("nx", "ny", "nz"), mesh.face_normals[faces].T, strict=True))
    table = np.rec.fromarrays(list(columns.values()), names=list(columns))
    scene.results.mkdir(parents=True)
    PlyData([PlyElement.describe(table, "vertex")]).write(scene.results / "ring.ply")
    result = evaluate(scene, "experiments", progress(), samples=20_000)
    assert result["accuracy_relative"] < 1e-5  # they lie on the surface …
    assert 1e-4 < result["completeness_relative"] < 0.01  # … with gaps between them
    assert result["f_score"] > 0.95
    if with_normals:
        assert 0.97 < result["normal_consistency"] <= 1
    else:
        assert result["normal_consistency"] is None
        assert result["reasons"]["normal_consistency"] == "the points have no normals"
