"""A ball textured from photos: near to them, of one exposure, without who walked by; its files."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from maquette.errors import BadInput, ConfigError, NotFound
from maquette.pipelines.photogrammetry.options import ExtractOptions
from maquette.pipelines.texture import TextureOptions
from maquette.recon.evaluate.protocols import NotMeasured
from maquette.recon.mesh.gltf import write_glb
from maquette.recon.mesh.ply import write_ply
from maquette.recon.mesh.triangles import TriangleMesh, vertex_normals
from maquette.recon.mesh.upright import up_direction
from maquette.recon.page_data.layers import glb_facts
from maquette.recon.stages.dense import texture as texture_stage
from maquette.recon.texture import texturing
from maquette.recon.texture.__main__ import main
from maquette.recon.texture.given_mesh import doubt
from maquette.recon.texture.gltf import read_textured_glb
from maquette.recon.texture.options import TexturingOptions
from maquette.recon.texture.publishing import shortfall, write_files
from maquette.recon.texture.renderer import TexturedRenderer, open_renderer
from maquette.recon.texture.texturing import Texturing, texture_mesh
from maquette.recon.views.views import Views
from maquette.scene import stage_records, transforms
from maquette.scene.events import parse_log_line
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord
from maquette.stages.running import run_stages
from texture_scene import CENTER, albedo, ball, frames_around, photo, views_of, write_scene

GAINS = {
    number: np.exp(np.random.default_rng(number).normal(0, 0.12, 3)) for number in range(0, 24, 2)
}
WALKERS = (1, 9, 16)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return write_scene(tmp_path_factory.mktemp("ball"))


@pytest.fixture(scope="module")
def jittered(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Photos of several exposures, in three of which someone walks by."""
    return write_scene(tmp_path_factory.mktemp("jittered"), gains=GAINS, walkers=WALKERS)


@pytest.fixture(scope="module")
def made(scene: Scene) -> Texturing:
    return texture_mesh(ball(), views_of(scene), TexturingOptions())


def colors_at(made: Texturing) -> tuple[np.ndarray, np.ndarray]:
    """Colours [F, 3] of the faces' middles in the texture, and their true ones."""
    textured = made.textured
    places = textured.coordinates[textured.corners].mean(axis=1)
    found = np.empty((len(places), 3))
    for number, page in enumerate(textured.pages):
        height, width = page.shape[:2]
        at = (places * [width, height]).astype(int)
        some = textured.page_of_face == number
        found[some] = page[at[some, 1], at[some, 0]]
    mesh = textured.mesh
    return found, albedo(mesh.vertices[mesh.faces].mean(axis=1))


def psnr(made: Texturing, number: int) -> float:
    frame = frames_around(31)[number]
    drawn, truth = TexturedRenderer(made.textured).render(frame), photo(frame) / 255
    shown = np.isfinite(drawn).all(axis=2)
    return float(-10 * np.log10(((drawn - truth)[shown] ** 2).mean()))


def test_the_ball_looks_as_in_photos_that_were_never_taken(made: Texturing) -> None:
    assert min(psnr(made, number) for number in (1, 8, 15)) > 30
    assert made.numbers["textured_share"] > 0.97
    assert made.numbers["texels_per_pixel"] == 1.0
    assert made.numbers["pages"] == 1 and made.numbers["views_used"] > 16


def test_texels_are_as_the_photos_tell(made: Texturing) -> None:
    found, truth = colors_at(made)
    off = np.abs(found - truth).mean(axis=1)[made.label >= 0]
    assert np.median(off) < 3.5 and np.percentile(off, 99) < 15


def test_what_no_photo_shows_is_coloured_as_its_surroundings(scene: Scene) -> None:
    frames = [f for f in frames_around(24) if f.world_from_cam[2, 3] > CENTER[2]]
    views = views_of(scene)
    above = type(views)(scene, frames)
    made = texture_mesh(ball(), above, TexturingOptions())
    bare = made.label < 0
    assert 0.02 < bare.mean() < 0.5
    found, truth = colors_at(made)
    rim = bare & (np.abs(ball().vertices[ball().faces].mean(axis=1)[:, 2] - CENTER[2]) < 0.85)
    assert found[bare].min() > 20
    assert np.abs(found - truth)[rim].mean() < 30


def test_exposures_are_equalled_out(jittered: Scene) -> None:
    views = views_of(jittered)
    raw = TexturingOptions(compensate=False, level=False, blend=False, mixed_views=1)
    errors = {}
    for name, options in {"raw": raw, "all": TexturingOptions()}.items():
        made = texture_mesh(ball(), views, options)
        found, truth = colors_at(made)
        ratio = (found / truth)[made.label >= 0]
        errors[name] = float(np.std(ratio))
        if name == "all":
            true = np.stack([GAINS.get(number, np.ones(3)) for number in range(24)])
            true /= np.exp(np.log(true).mean(axis=0))
            np.testing.assert_allclose(made.gains * true, 1.0, atol=0.02)
    assert errors["raw"] > 0.08 and errors["all"] < 0.03


class Tinted(Views):
    """Photos with a little of another colour each."""

    def image(self, index: int) -> np.ndarray:
        tint = np.random.default_rng(index).normal(0, 12, 3)
        return np.clip(np.rint(super().image(index) + tint), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("views_a_face", "least"), [(1, 0.25), (10, 0.35)])
def test_steps_at_seams_become_small(scene: Scene, views_a_face: int, least: float) -> None:
    """By levelling, where one photo makes a face; by the mean of many, where they share it."""
    views = Tinted(scene, transforms.read(scene.transforms).frames)
    off = TexturingOptions(compensate=False, level=False, blend=False, mixed_views=1)
    made = texture_mesh(ball(), views, off)
    floor = step_at_seams(texture_mesh(ball(), views_of(scene), off))
    treated = texture_mesh(ball(), views, replace(off, level=True, mixed_views=views_a_face))
    assert step_at_seams(treated) - floor < least * (step_at_seams(made) - floor)


def step_at_seams(made: Texturing) -> float:
    """Mean difference of what neighbours of two views have, beyond what they truly differ."""
    from maquette.recon.texture.face_graph import face_neighbours

    faces = made.textured.mesh.faces
    neighbours = face_neighbours(faces)
    found, truth = colors_at(made)
    face, side = np.nonzero(made.label[neighbours] != made.label[:, None])
    other = neighbours[face, side]
    both = (made.label[face] >= 0) & (made.label[other] >= 0)
    step = (found[face] - truth[face]) - (found[other] - truth[other])
    return float(np.abs(step[both]).mean())


def test_who_walks_by_is_not_in_the_texture(jittered: Scene) -> None:
    red = []
    for drop in (False, True):
        options = TexturingOptions(drop_outliers=drop, mixed_views=1)
        found, truth = colors_at(texture_mesh(ball(), views_of(jittered), options))
        red.append(float(((found - truth)[:, 0] > 60).mean()))
    assert red[0] > 0.02 and red[1] < 0.001


def test_masked_pixels_colour_nothing(jittered: Scene, tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "masked", 8, walkers=tuple(range(8)))
    scene.masks.mkdir()
    for path in scene.images.iterdir():
        picture = np.asarray(Image.open(path)).astype(int)
        is_red = (picture[..., 0] > 200) & (picture[..., 1] < 40)
        near = np.pad(is_red, 2)
        grown = sum(
            near[2 + r : 2 + r + is_red.shape[0], 2 + c : 2 + c + is_red.shape[1]]
            for r in (-2, 0, 2) for c in (-2, 0, 2)
        )  # fmt: skip
        Image.fromarray(np.where(grown > 0, 0, 255).astype(np.uint8)).save(scene.masks / path.name)
    found, truth = colors_at(texture_mesh(ball(), views_of(scene), TexturingOptions()))
    assert ((found - truth)[:, 0] > 60).mean() < 0.002


def test_small_pages_are_many_or_coarse(scene: Scene) -> None:
    many = texture_mesh(ball(), views_of(scene), TexturingOptions(size=96, pages=20))
    assert len(many.textured.pages) > 2 and many.numbers["texels_per_pixel"] == 1.0
    one = texture_mesh(ball(), views_of(scene), TexturingOptions(size=128, pages=1))
    assert len(one.textured.pages) == 1 and 0.2 < one.numbers["texels_per_pixel"] < 0.95
    assert not shortfall(many.numbers) and "TEXTURE_SIZE" in shortfall(one.numbers)
    for made, limit in ((many, 96), (one, 128)):
        assert all(max(page.shape[:2]) <= limit for page in made.textured.pages)
        assert made.textured.coordinates.min() >= 0 and made.textured.coordinates.max() <= 1
        found, truth = colors_at(made)
        assert np.median(np.abs(found - truth)) < 6


def test_a_texture_larger_than_memory_is_refused(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texturing, "memory_bytes", lambda: 100_000)
    with pytest.raises(ConfigError, match="memory") as caught:
        texture_mesh(ball(), views_of(scene), TexturingOptions())
    assert "TEXTURE_SIZE=4096" in caught.value.hint


def test_pages_too_few_for_the_margins_of_charts_are_refused(scene: Scene) -> None:
    with pytest.raises(ConfigError, match=r"pieces of the texture do not fit on 1 of 16") as caught:
        texture_mesh(ball(), views_of(scene), TexturingOptions(size=16, pages=1))
    assert "TEXTURE_SIZE=256" in caught.value.hint


def test_masks_that_hide_all_are_named(scene: Scene, tmp_path: Path) -> None:
    hidden = write_scene(tmp_path / "hidden", 3)
    hidden.masks.mkdir()
    for picture in hidden.images.iterdir():
        Image.new("L", (96, 72)).save(hidden.masks / picture.name)
    with pytest.raises(BadInput, match=r"none of 3 photos shows any .* `masks/`"):
        texture_mesh(ball(2), views_of(hidden), TexturingOptions())


def test_other_programs_read_the_files_with_the_right_colours(
    made: Texturing, scene: Scene, tmp_path: Path
) -> None:
    frames = transforms.read(scene.transforms).frames
    obj, glb = tmp_path / "textured.obj", tmp_path / "ball.glb"
    files = write_files(made.textured, frames, obj, glb, "ball")
    assert [path.name for path in files] == [
        "textured.obj", "textured.mtl", "textured.png", "ball.glb",
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(p.name for p in files)
    up = up_direction(frames)
    for path in (obj, glb):
        mesh = trimesh.load_mesh(path, process=False)
        picture = material_picture(mesh)
        height, width = picture.shape[:2]
        u, v = mesh.visual.uv[mesh.faces].mean(axis=1).T  # trimesh's v runs upwards
        found = picture[((1 - v) * height).astype(int), (u * width).astype(int)]
        world = mesh.vertices
        if path is glb:
            assert np.isclose(world[:, 1].max(), (ball().vertices @ up).max(), atol=1e-3)
            world = read_textured_glb(glb).mesh.vertices
            assert len(world) == len(mesh.vertices)
        truth = albedo(world[mesh.faces].mean(axis=1))
        assert np.median(np.abs(found - truth)) < 3


def material_picture(mesh: trimesh.Trimesh) -> np.ndarray:
    material = mesh.visual.material
    picture = getattr(material, "baseColorTexture", None) or material.image
    return np.asarray(picture.convert("RGB")).astype(float)


def test_pages_of_an_earlier_texture_go(made: Texturing, scene: Scene, tmp_path: Path) -> None:
    frames = transforms.read(scene.transforms).frames
    for name in ("textured_1.png", "textured_2.png", "textured_notes.png"):
        (tmp_path / name).write_bytes(b"old")
    write_files(made.textured, frames, tmp_path / "textured.obj", tmp_path / "b.glb", "ball")
    left = {path.name for path in tmp_path.glob("*.png")}
    assert left == {"textured.png", "textured_notes.png"}


def test_several_pages_are_materials_of_one_obj(scene: Scene, tmp_path: Path) -> None:
    made = texture_mesh(ball(3), views_of(scene), TexturingOptions(size=96, pages=20))
    frames = transforms.read(scene.transforms).frames
    obj, glb = tmp_path / "t.obj", tmp_path / "t.glb"
    write_files(made.textured, frames, obj, glb, "ball")
    count = len(made.textured.pages)
    assert obj.read_text().count("usemtl ") == count
    assert (tmp_path / "t.mtl").read_text().count("map_Kd t_") == count
    again = read_textured_glb(glb)
    assert len(again.pages) == count
    assert [page.shape for page in again.pages] == [p.shape for p in made.textured.pages]
    assert len(again.mesh.faces) == len(made.textured.mesh.faces)


def recorded(scene: Scene, name: str, stage: str, mesh: TriangleMesh) -> None:
    """A mesh among the results, and the record of the stage that made it."""
    path = scene.results / name
    write_ply(path, mesh)
    outputs = {scene.relative(path): path.stat().st_size}
    record = StageRecord(stage, "extract", "key", {}, {}, outputs, "2026-01-01T00:00:00Z", 1.0)
    stage_records.write(scene, scene.pipeline, record)


def test_the_stage_takes_the_mesh_that_came_last_and_is_skipped_the_next_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = write_scene(tmp_path / "ball", count=8)
    with pytest.raises(NotFound, match="no mesh to texture"):
        texture_stage.chosen_mesh(scene)
    with pytest.raises(NotMeasured):
        open_renderer(scene, "experiments")
    recorded(scene, "mesh.ply", "surface", ball(2))
    recorded(scene, "smoothed.ply", "filtered", ball(3))
    (scene.results / "refined.ply").write_bytes(b"of no stage")
    from maquette.scene.events import Progress

    stages, options = [texture_stage.STAGE], ExtractOptions(texture_size=512)
    (record,) = run_stages(stages, "extract", scene, options, Progress())
    assert record.numbers["mesh"] == "smoothed.ply" and record.numbers["psnr_inside_db"] > 25
    assert sorted(record.kinds) == [
        "results/photogrammetry/ball.glb", "results/photogrammetry/textured.obj",
    ]  # fmt: skip
    capsys.readouterr()
    run_stages(stages, "extract", scene, options, Progress())
    events = [parse_log_line(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events if event] == ["skipped"]
    drawn = open_renderer(scene, "experiments").render(frames_around(8)[0])
    assert 0.1 < np.isfinite(drawn).all(axis=2).mean() < 0.9


def run_command(scene: Scene, capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    """The last event of `python -m maquette.recon.texture`."""
    code = main(["--scene", str(scene.root), "--pipeline", scene.pipeline, *words])
    events = [parse_log_line(line) for line in capsys.readouterr().out.splitlines()]
    event = events[-1]
    assert event and (code == 0) == (event["event"] == "finished")
    return event


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A scene of another pipeline, for the command."""
    return write_scene(tmp_path_factory.mktemp("own") / "ball", 8, pipeline="neuralangelo")


def test_a_mesh_that_a_person_edited_is_textured(
    own: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mesh = ball(3)
    edited = replace(mesh, vertices=mesh.vertices * 1.0)
    write_ply(tmp_path / "edited.ply", edited)
    options = json.dumps(asdict(TextureOptions(texture_size=256)))
    words = ["--mesh", str(tmp_path / "edited.ply"), "--options", options]
    numbers = run_command(own, capsys, *words)["numbers"]
    assert numbers["files"][0] == "results/neuralangelo/edited_textured.obj"
    assert all((own.root / name).is_file() for name in numbers["files"])
    assert numbers["psnr_inside_db"] > 25


def test_a_mesh_may_have_any_name(
    own: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ply(tmp_path / "Löwe 2.ply", ball(2))
    numbers = run_command(own, capsys, "--mesh", str(tmp_path / "Löwe 2.ply"))["numbers"]
    painted = trimesh.load(own.root / numbers["files"][0], process=False)
    assert painted.visual.material.image.size == tuple(numbers["page_size"])


def test_a_mesh_that_photos_do_not_agree_on_is_painted_with_a_warning(
    own: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mesh = ball(2)
    mesh = replace(mesh, vertices=mesh.vertices[:, [0, 2, 1]] * [1, -1, 1])
    write_ply(tmp_path / "edited.ply", mesh)
    words = ["--scene", str(own.root), "--pipeline", "neuralangelo"]
    code = main([*words, "--mesh", str(tmp_path / "edited.ply")])
    told = [parse_log_line(line) for line in capsys.readouterr().out.splitlines()]
    (warning,) = [event["text"] for event in told if event and event["event"] == "warning"]
    assert code == 0 and "of the faces of `edited.ply`" in warning and "turned" in warning


def test_a_mesh_that_photos_show_and_match_is_not_doubted() -> None:
    assert not doubt("edited.ply", 0.4, 24.0)
    assert "show 12% of the faces" in doubt("edited.ply", 0.12, 24.0)
    assert "match them to 15.0 dB" in doubt("edited.ply", 0.9, 15.0)


def test_an_edited_gltf_is_turned_back_into_the_scenes_world(
    own: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mesh = ball(3)
    mesh = replace(mesh, normals=vertex_normals(mesh))
    up = up_direction(transforms.read(own.transforms).frames)
    write_glb(tmp_path / "edited.glb", mesh, up, "edited")
    numbers = run_command(own, capsys, "--mesh", str(tmp_path / "edited.glb"))["numbers"]
    assert numbers["psnr_inside_db"] > 25 and numbers["faces"] == len(mesh.faces)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v * 1000, "not in this scene's world"),
        (lambda v: v + np.array([50, 0, 0]), "not in this scene's world"),
        (
            lambda v: (v - CENTER) * 0.05 + CENTER + np.array([0, 0, 3.3]),
            "shows? any|hardly in this",
        ),
    ],
)
def test_a_mesh_of_another_world_is_refused(
    own: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str], change, said
) -> None:
    mesh = ball(2)
    write_ply(tmp_path / "far.ply", TriangleMesh(change(mesh.vertices), mesh.faces))
    event = run_command(own, capsys, "--mesh", str(tmp_path / "far.ply"))
    assert event["code"] == BadInput.exit_code
    assert re.search(said, event["what"]) and event["hint"]


def test_without_any_mesh_the_command_says_how_to_get_one(
    own: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = write_scene(tmp_path / "bare", 3)
    event = run_command(scene, capsys)
    assert event["code"] == NotFound.exit_code and "make extract" in event["hint"]


def test_the_page_shows_textured_meshes_in_the_scenes_world(
    made: Texturing, tmp_path: Path
) -> None:
    scene = write_scene(tmp_path / "ball", 3)
    frames = transforms.read(scene.transforms).frames
    write_ply(scene.results / "mesh.ply", ball(1))
    write_glb(scene.results / "plain.glb", ball(1), up_direction(frames), "plain")
    obj, glb = scene.results / "textured.obj", scene.results / "ball.glb"
    write_files(made.textured, frames, obj, glb, "ball")
    plain, textured = glb_facts(scene.results / "plain.glb"), glb_facts(glb)
    assert plain and not plain["textured"]
    assert textured and textured["textured"]
    (part,) = trimesh.load_scene(glb, process=False).geometry.values()
    low, high = ball().vertices.min(axis=0), ball().vertices.max(axis=0)
    np.testing.assert_allclose(part.bounds, [low, high], atol=1e-5)
    assert part.visual.material.baseColorTexture is not None
