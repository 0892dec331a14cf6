"""`maquette region` as a person uses it, and that every later step honours what it set."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import trimesh
from PIL import Image

import sparse_models
import synthetic_scene
from command_line import maquette, maquette_here
from maquette.errors import BadInput
from maquette.pipelines.neuralangelo.options import ExtractOptions
from maquette.recon.pictures.framing import set_stage
from maquette.recon.stages.surface import mesh as mesh_stage
from maquette.recon.surface import engine
from maquette.scene import checkpoints, transforms
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.stages.running import run_stages
from turns import linked_copy

CENTER = np.array([3.0, -2.0, 5.0])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with scenes/owl, prepared by COLMAP alone."""
    sketch = sparse_models.around(CENTER, 4.0, 8, sparse_models.ball(900, CENTER, 0.6))
    sparse_models.write_workspace(tmp_path / "scenes" / "owl", sketch)
    return tmp_path


def ask(folder: Path, *words: str) -> dict:
    done = maquette_here(folder, "region", *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_set_show_fit_and_auto(folder: Path) -> None:
    scene = Scene(folder / "scenes" / "owl", "neuralangelo")
    assert ask(folder, "show")["set_by"] == "not saved yet"
    assert not scene.transforms.exists()
    said = ask(folder, "set", "--sphere", "-1,2,3.5,0.25")
    assert (said["center"], said["radius"], said["set_by"]) == ([-1, 2, 3.5], 0.25, "user")
    assert said["box"] == [[-1.25, -0.75], [1.75, 2.25], [3.25, 3.75]]
    said = ask(folder, "set", "--box", "0,1,2,3,4,5")
    assert said["radius"] == 0.25 and said["box"] == [[0, 1], [2, 3], [4, 5]]
    assert transforms.read(scene.transforms).region.box == ((0, 1), (2, 3), (4, 5))
    said = ask(folder, "fit", "--points-inside", "0.9")
    assert 0.9 * 900 <= said["points_inside"] <= 0.93 * 900
    assert ask(folder, "fit", "--cameras")["center"] == pytest.approx(CENTER, abs=1e-6)
    assert ask(folder, "auto")["radius"] == pytest.approx(4.0)  # circled: the cameras' orbit
    said = ask(folder, "auto", "--rule", "view")
    assert said["middle_of_pictures"] == 1.0
    assert said["set_by"] == "auto" and said["points_inside"] == 900
    assert ask(folder, "auto", "--rule", "upstream")["radius"] > 2 * said["radius"]
    with Image.open(scene.stages / "region.png") as picture:
        assert picture.size[0] > 1000
    shown = maquette(folder, "region", "show", "--picture", "mine.png")
    assert "points inside" in shown.stdout and (folder / "mine.png").is_file()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["set"], 2, "nothing to set"), (["set", "--sphere", "1,2,3"], 2, "3 numbers"),
        (["set", "--sphere", "1,2,3,x"], 2, "not a list"),
        (["set", "--sphere", "1,2,3,-1"], 14, "not usable"),
        (["set", "--box", "1,0,0,1,0,1"], 14, "box is empty"),
        (["fit", "--points-inside", "1.2"], 2, "share"),
        (["fit", "--points-inside", "x"], 2, "'--points-inside'"),
        (["auto", "--rule", "foo"], 2, "'--rule': 'foo' is not one of"),
        (["show", "MODEL=nothing"], 13, "`make prepare MODEL=nothing INPUT=…` makes it"),
    ],
)  # fmt: skip
def test_refusals_write_nothing(folder: Path, words: list[str], code: int, says: str) -> None:
    done = maquette_here(folder, "region", *words)
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr
    assert not (folder / "scenes" / "owl" / "transforms.json").exists()


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a scene that was trained for a moment."""
    base = tmp_path_factory.mktemp("trained")
    scene = synthetic_scene.write_posed_scene(base / "scenes" / "ring", 8, 48, 36)
    synthetic_scene.write_landmarks(scene, 300)
    engine.train(
        scene,
        scene.run("experiments"),
        engine.TrainingOptions(iterations=3, preset="preview"),
        Progress(None, StringIO()),
    )
    return base


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> tuple[Path, Scene]:
    """A test's own copy of it, which may change regions, go on and leave meshes."""
    linked_copy(trained_once, tmp_path)
    return tmp_path, Scene(tmp_path / "scenes" / "ring", "neuralangelo")


@pytest.mark.parametrize("page", ["view", "adjust"])
def test_a_page_of_nothing_says_how_to_make_it(tmp_path: Path, page: str) -> None:
    done = maquette(tmp_path, page, "MODEL=nothing", "VIEW=browser")
    assert (done.returncode, done.stdout) == (13, "")
    assert "`make prepare MODEL=nothing INPUT=…` makes it" in done.stderr


def test_training_and_extraction_stop_when_the_region_changed(
    trained: tuple[Path, Scene],
) -> None:
    base, scene = trained
    checkpoint = checkpoints.chosen(scene.run("experiments")).path
    before = transforms.read(scene.transforms).region
    assert engine.load(checkpoint).region == before  # training space is this region's
    assert checkpoints.mentions(checkpoint, before.sphere_digest)
    said = ask(base, "set", "MODEL=ring", "--sphere", "0.4,-0.3,0.5,1.2")
    assert "make process MODEL=ring GROUP=experiments FRESH=1" in said["run_again"][0]
    progress = Progress(None, StringIO())
    with pytest.raises(BadInput, match="sphere was changed after training"):
        engine.train(
            scene,
            scene.run("experiments"),
            engine.TrainingOptions(iterations=6, preset="preview"),
            progress,
        )
    with pytest.raises(BadInput, match="region changed"):
        run_stages([mesh_stage.STAGE], "extract", scene, ExtractOptions(resolution=16), progress)
    restored = ask(base, "set", "MODEL=ring", *as_words(before))
    assert restored["digest"] == before.digest and restored["run_again"] == []


def test_another_box_costs_an_extraction_only(trained: tuple[Path, Scene]) -> None:
    base, scene = trained
    before = transforms.read(scene.transforms).region
    x, y, z = synthetic_scene.CENTER
    extraction = ["make extract MODEL=ring GROUP=experiments"]
    for low, high, made in ((x - 2, x, []), (x, x + 2, extraction)):
        box = ",".join(f"{n:g}" for n in (low, high, y - 2, y + 2, z - 2, z + 2))
        sphere = as_words(before)[:2]
        told = ask(base, "set", "MODEL=ring", *sphere, "--box", box)["run_again"]
        assert [sentence.split("`")[1] for sentence in told] == made
        mesh = ring_mesh(scene, before)
        assert low - 0.01 <= mesh.vertices[:, 0].min() and mesh.vertices[:, 0].max() <= high + 0.01
    told = engine.train(
        scene,
        scene.run("experiments"),
        engine.TrainingOptions(iterations=4, preset="preview"),
        Progress(None, StringIO()),
    )
    assert told["iterations"] == 4


def as_words(region: Region) -> list[str]:
    sphere = ",".join(map(repr, [*region.center, region.radius]))
    return ["--sphere", sphere, "--box", ",".join(repr(float(x)) for x in np.ravel(region.box))]


class Ring:
    """A perfectly trained model of the synthetic scene, in whatever region it is asked for."""

    def __init__(self, checkpoint: Path, region: Region) -> None:
        self.iteration, self.region = checkpoints.iteration_of(checkpoint.name), region

    def signed_distance(self, points: np.ndarray) -> np.ndarray:
        world = self.region.world_from_unit(points)
        return synthetic_scene.signed_distance(world) / self.region.radius

    def colors(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        return 0.5 + 0.5 * normals


def ring_mesh(scene: Scene, trained_in: Region) -> trimesh.Trimesh:
    """What extraction makes of a perfectly trained model."""
    options = ExtractOptions(resolution=96, block_res=32, refine="0")
    with patch.object(mesh_stage, "load", lambda checkpoint, device: Ring(checkpoint, trained_in)):
        run_stages([mesh_stage.STAGE], "extract", scene, options, Progress(None, StringIO()))
    return trimesh.load(scene.results / "ring.ply", process=False)


def test_extraction_keeps_to_sphere_and_box_and_to_world_units(
    trained: tuple[Path, Scene],
) -> None:
    _, scene = trained
    kept = transforms.read(scene.transforms)
    x, y, z = synthetic_scene.CENTER
    region = Region.around(
        synthetic_scene.CENTER, 0.7, [[x, x + 2], [y - 2, y + 2], [z - 2, z + 2]]
    )
    transforms.write(scene.transforms, replace(kept, region=region))
    mesh = ring_mesh(scene, region)
    away = np.linalg.norm(mesh.vertices - synthetic_scene.CENTER, axis=1)
    assert away.max() <= 0.7 + 1e-3  # the ring reaches 0.79: cut at the sphere
    assert mesh.vertices[:, 0].min() >= x - 2 * 0.7 / 96  # and at the box
    off = np.abs(synthetic_scene.signed_distance(np.asarray(mesh.vertices)))
    assert off.max() < 0.02  # world units, not shifted or scaled


def test_pictures_frame_what_lies_in_the_region() -> None:
    from maquette.recon.mesh.triangles import TriangleMesh

    near = trimesh.creation.icosphere(radius=0.3)
    far = trimesh.creation.icosphere(radius=0.3)
    far.apply_translation([6.0, 0, 0])
    both = trimesh.util.concatenate([near, far])
    mesh = TriangleMesh(np.asarray(both.vertices), np.asarray(both.faces), None, None)
    up, front = np.array([0, 0, 1.0]), np.array([0, -5.0, 0])
    first = set_stage(mesh, Region.around([0, 0, 0], 1.0), up, front)
    second = set_stage(mesh, Region.around([6.0, 0, 0], 1.0), up, front)
    half = len(near.vertices)
    assert first.subject[:half].all() and not first.subject[half:].any()
    assert second.subject[half:].all() and not second.subject[:half].any()


def test_evaluation_measures_in_the_regions_radius(tmp_path: Path) -> None:
    from maquette.recon.evaluate.evaluation import run as evaluate
    from maquette.recon.mesh.ply import write_ply
    from maquette.recon.mesh.triangles import TriangleMesh

    scene = synthetic_scene.write_posed_scene(tmp_path / "ring", 6, 48, 36)
    truth = synthetic_scene.truth_mesh(48)
    scene.ground_truth.mkdir()
    truth.export(scene.ground_truth / "t.ply")
    frames = transforms.read(scene.transforms).frames
    poses = [
        {"name": Path(frame.file_path).name, "world_from_cam": frame.world_from_cam.tolist()}
        for frame in frames
    ]
    document = {"frames": poses, "object_mesh": "t.ply"}
    (scene.ground_truth / "ground_truth.json").write_text(json.dumps(document))
    images = [{"name": pose["name"], "original": pose["name"], "index": None} for pose in poses]
    (scene.root / "images_raw.json").write_text(json.dumps({"images": images}))
    vertices = np.add(truth.vertices, (0.02, 0, 0))
    mesh = TriangleMesh(vertices, np.asarray(truth.faces), np.asarray(truth.vertex_normals), None)
    write_ply(scene.results / "ring.ply", mesh, ())
    measured = []
    for radius in (1.0, 2.0):
        region = Region.around(synthetic_scene.CENTER, radius)
        transforms.write(
            scene.transforms, replace(transforms.read(scene.transforms), region=region)
        )
        result = evaluate(scene, "experiments", Progress(None, StringIO()), samples=4000)
        measured.append(result["chamfer_relative"])
    assert measured[0] == pytest.approx(2 * measured[1], rel=1e-4)
