"""The gallery of `make view`: what it tells of scenes, and what it hands out to nobody."""

from __future__ import annotations

import io
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maquette.errors import BadInput
from maquette.scene import outputs, stage_records
from maquette.scene.paths import Scene
from maquette.scene.stage_records import StageRecord

pytest.importorskip("trimesh", reason="pip install -e 'python[view]'")

from maquette.viewer import notes
from maquette.viewer.gallery import models, runs, small_pictures
from maquette.viewer.gallery.server import Gallery

PIPELINE = "photogrammetry"


def write_picture(path: Path, color: tuple[int, int, int] = (9, 9, 9)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48), color).save(path)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A scene with a mesh, a photo, a run, and things that are nobody's business."""
    made = Scene(tmp_path / "scenes" / "shoe", PIPELINE)
    write_picture(made.images / "000001.jpg", (200, 0, 0))
    mesh = f"results/{PIPELINE}/mesh.ply"
    (made.root / mesh).parent.mkdir(parents=True)
    (made.root / mesh).write_bytes(b"ply\n")
    record = StageRecord(
        "surface", "extract", "k", {}, {}, {}, "2026", 65.0, kinds={mesh: outputs.MESH}
    )
    stage_records.write(made, PIPELINE, record)
    previews = made.root / "runs/splat/first/previews"
    write_picture(previews / "iteration_000000250.png")
    (previews.parent / "metrics.jsonl").write_text('{"iteration": 5, "loss": 0.5}\n{"iter')
    (previews.parent / "secret_checkpoint.pt").write_bytes(b"x")
    (made.root / "settings.yaml").write_text("prepare: {input: /home/me}")
    return made


@pytest.fixture
def gallery(scene: Scene, tmp_path: Path) -> Iterator[str]:
    page = tmp_path / "page"
    page.mkdir()
    (page / "index.html").write_text("the page")
    (tmp_path / "scenes" / "secret.txt").write_text("x")
    server = Gallery(tmp_path / "scenes", page)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    server.server_close()


def status(url: str, data: bytes | None = None, **fields: str) -> int:
    request = urllib.request.Request(url, data, fields, method="PUT" if data else "GET")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def read(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.loads(answer.read())


def test_every_scene_is_listed_with_what_a_person_asks_first(gallery: str) -> None:
    [told] = read(f"{gallery}/scenes.json")["scenes"]
    assert (told["name"], told["photos"], told["size_bytes"]) == ("shoe", 1, 4)
    assert set(told["pipelines"]) == {PIPELINE, "splat"}
    assert told["has_cover"]
    assert status(f"{gallery}/scenes/shoe/cover.jpg") == 200
    assert status(f"{gallery}/") == status(f"{gallery}/scenes/shoe/") == 200


def test_a_scene_tells_results_runs_photos_and_times(gallery: str) -> None:
    told = read(f"{gallery}/scenes/shoe/state.json")
    shown = {one["name"]: one for one in told["pipelines"]}
    assert [file["name"] for file in shown[PIPELINE]["files"]] == ["mesh.ply"]
    assert told["photos"] == ["images/000001.jpg"]
    assert [(one["stage"], one["time"]) for one in told["stages"]] == [("surface", "1 min 05 s")]
    [run] = told["runs"]
    assert [one["iteration"] for one in run["previews"]] == [250]
    assert ["loss", "0.5"] in run["figures"]


def test_only_what_a_page_shows_is_handed_out(gallery: str) -> None:
    base = f"{gallery}/scenes/shoe"
    for shown in ("images/000001.jpg", f"results/{PIPELINE}/mesh.ply",
                  "runs/splat/first/previews/iteration_000000250.png"):  # fmt: skip
        assert status(f"{base}/{shown}") == 200
    for hidden in ("settings.yaml", "stages/layout.json", "runs/splat/first/metrics.jsonl",
                   "runs/splat/first/secret_checkpoint.pt", "images/..%2Fsettings.yaml",
                   "images/%2e%2e/%2e%2e/secret.txt"):  # fmt: skip
        assert status(f"{base}/{hidden}") == 404, hidden
    assert status(f"{gallery}/scenes/..%2Fpage/state.json") == 404
    assert status(f"{gallery}/page/..%2F..%2Fscenes/secret.txt") == 404
    assert status(f"{gallery}/scenes/gone/state.json") == 404


def test_a_file_that_has_not_changed_is_not_sent_again(gallery: str) -> None:
    address = f"{gallery}/scenes/shoe/images/000001.jpg"
    with urllib.request.urlopen(address, timeout=60) as answer:
        when = answer.headers["Last-Modified"]
    assert status(address, **{"If-Modified-Since": when}) == 304


def test_notes_of_the_page_are_kept_and_nothing_else_is_written(gallery: str, scene: Scene) -> None:
    mark = {"title": "crack", "text": "here", "position": [1, 2, 3], "more": "dropped"}
    content = json.dumps({"annotations": [mark]}).encode()
    assert status(f"{gallery}/scenes/shoe/annotations.json", content) == 200
    assert notes.read(scene) == [{"title": "crack", "text": "here", "position": [1, 2, 3]}]
    assert status(f"{gallery}/scenes/shoe/settings.yaml", content) == 404
    assert status(f"{gallery}/scenes/shoe/annotations.json", b"[1]") == 422
    assert len(notes.read(scene)) == 1


def test_without_a_scene_the_page_shows_the_sample(gallery: str) -> None:
    told = read(f"{gallery}/page/manifest.json")
    with urllib.request.urlopen(f"{gallery}/page/{told['meshes'][0]['url']}", timeout=60) as answer:
        assert answer.read(4) == b"glTF"


def test_a_curve_of_many_points_is_thinned_by_means(tmp_path: Path) -> None:
    folder = tmp_path / "shoe" / "runs" / "splat" / "first"
    folder.mkdir(parents=True)
    rows = [{"iteration": n, "loss": float(n % 2)} for n in range(2400)]
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)))
    [run] = runs.runs(Scene(tmp_path / "shoe"))
    curve = run["curves"]["loss"]
    assert len(curve) == 240
    assert {value for _, value in curve} == {0.5}
    assert curve[-1][0] == 2399


def test_a_depth_map_is_light_where_it_is_near(tmp_path: Path) -> None:
    depth = np.linspace(1, 2, 12, dtype="<f4").reshape(3, 4)
    depth[0, 0] = 0
    path = tmp_path / "photo.jpg.geometric.bin"
    path.write_bytes(b"4&3&1&" + depth.tobytes())
    with Image.open(io.BytesIO(small_pictures.depth_picture(path))) as picture:
        assert picture.size == (4, 3)
    path.write_bytes(b"4&3&1&" + depth.tobytes()[:-8])
    with pytest.raises(BadInput, match="no depth map"):
        small_pictures.depth_picture(path)


def test_a_preview_of_splats_is_shown_as_such(scene: Scene) -> None:
    model = scene.root / "runs/splat/first/previews/iteration_000000250.ply"
    model.write_bytes(b"ply\nproperty float opacity\nend_header\n")
    told = models.preview_manifest(scene, model, {"up": [0, 0, 1], "title": "shoe"})
    assert told["formats"] == {"ply": scene.relative(model)}
    assert told["up"] == [0, 0, 1]


def test_a_preview_of_a_mesh_stands_upright(scene: Scene) -> None:
    import trimesh

    model = scene.root / "runs/splat/first/previews/iteration_000000250.ply"
    box = trimesh.creation.box(extents=(1, 2, 4))
    box.export(model)
    told = models.preview_manifest(scene, model, {"up": [0, 0, 1]})
    [shown] = told["meshes"]
    made = trimesh.load_mesh(scene.root / shown["url"], process=False)
    assert np.allclose(sorted(made.extents), [1, 2, 4])
    assert made.extents[1] == pytest.approx(4)
    model.write_bytes(b"ply\nnothing")
    with pytest.raises(BadInput, match="damaged"):
        models.preview_manifest(scene, model, {})
