"""`report.html`: what it tells, and that nothing in a scene breaks it."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sparse_models
from maquette.recon.report_page import composing
from maquette.recon.report_page.__main__ import main
from maquette.recon.report_page.album import Album
from maquette.recon.report_page.composing import compose
from maquette.recon.report_page.markup import Html, element, quantity
from maquette.recon.report_page.writing import write_after, write_page
from maquette.scene import outputs, stage_records
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.stage_records import StageRecord
from maquette.scene.workspace import open_workspace
from turns import linked_copy

PIPELINE = "photogrammetry"
NAME = "a & <b>.jpg"


def record(stage: str, second: int, **fields: object) -> StageRecord:
    at = f"2026-01-02T03:04:{second:02}.000Z"
    told = {"step": "extract", "key": "k", "parameters": {}, "inputs": {}, "outputs": {}}
    return StageRecord(stage=stage, started_at=at, wall_s=float(second), **{**told, **fields})


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Eight photos with poses and one without, prepared and made into a mesh."""
    sketch = sparse_models.around(np.zeros(3), 4.0, 8, sparse_models.ball(300, np.zeros(3), 0.6))
    root = sparse_models.write_workspace(tmp_path / "shoe", sketch)
    open_workspace(root).save(Region.around(np.zeros(3), 1.0))
    found = Scene(root, PIPELINE)
    posed = sorted(path.name for path in found.images.iterdir())
    found.images_raw.mkdir(exist_ok=True)
    Image.new("RGB", (64, 48), "grey").save(found.images_raw / "9999.jpg")
    entries = [{"name": name, "original": f"IMG_{name}", "time_s": None} for name in posed]
    entries.append({"name": "9999.jpg", "original": NAME, "time_s": None})
    mapping = {"source": "photos", "images": entries}
    (root / "images_raw.json").write_text(json.dumps(mapping))
    poses = {"registered": 8, "images": 9, "points": 300, "without_pose": [NAME]}
    for made in (
        record("input", 1, step="prepare", numbers={"photos": 12}, remarks=["not used: notes.txt"]),
        record("frames", 1, step="prepare", numbers={"images": 9, "width": 64, "height": 48}),
        record("poses", 2, step="prepare", numbers=poses, versions={"pycolmap": "4.2"},
               parameters={"min_registered": 0.4, "seed": 0}, peak_bytes=500_000_000),
    ):  # fmt: skip
        stage_records.write(found, "common", made)
    return found


@pytest.fixture
def made(scene: Scene) -> Scene:
    """The same with a mesh, pictures, a page of a texture, and figures of quality."""
    views, page = (f"results/{PIPELINE}/{name}" for name in ("shoe_views.png", "textured.png"))
    scene.results.mkdir(parents=True)
    for path in (views, page, f"results/{PIPELINE}/shoe_held_out.png"):
        Image.new("RGBA", (300, 200), (200, 60, 40, 128)).save(scene.root / path)
    numbers = {"mesher": "tsdf", "faces": 1234567, "unseen_share": 0.0312, "size_bytes": 2_000_000}
    stage_records.write(scene, PIPELINE, record("surface", 5, numbers=numbers,
                        parameters={"resolution": 700}, remarks=["<i>few</i> photos"]))  # fmt: skip
    stage_records.write(scene, PIPELINE, record("texture", 7, outputs={page: 1}))
    stage_records.write(scene, PIPELINE, record("pictures", 9, kinds={views: outputs.PICTURE}))
    found = {"chamfer_relative": 0.00159, "psnr_db": None, "reasons": {"psnr_db": "no view is"}}
    scene.evaluation.write_text(json.dumps(found))
    licences = {"licences": {PIPELINE: {"extract": "maquette: Apache-2.0"}}}
    scene.report.write_text(json.dumps(licences))
    return scene


class Reader(HTMLParser):
    """Checks that elements are closed in order, and collects text and addresses."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def test_the_page_tells_all_of_a_scene_and_asks_for_nothing_outside(made: Scene) -> None:
    page = compose(made)
    read = Reader(page)
    for words in (
        "8 of 9", "Prepare took 9 of the 12 photographs given",
        "1,234,567", "500 MB", NAME, "No pose was found for the other 1",
        "not used: notes.txt", "unseen share 3.12 %", "size 2 MB",
        "<i>few</i> photos", "0.159% of the radius", "no view is", "RESOLUTION=700",
        "maquette: Apache-2.0", "4.2", "Views (shoe_views.png, by stage pictures)",
        "Held out (shoe_held_out.png)", "300 points",
    ):  # fmt: skip
        assert words in read.text, words
    assert "b code" in page and "<b><code>MIN_REGISTERED=0.4" in page
    assert "<b><code>SEED=0" not in page and "textured.png (" not in read.text
    assert read.addresses and all(a.startswith("data:image/jpeg;base64,") for a in read.addresses)
    assert "script" not in read.tags and "link" not in read.tags
    assert not re.search(r"https?:|url\(|@import", page)
    assert read.tags.count("polygon") == 2 * (8 + 1)  # cameras and the box, from two sides
    assert read.tags.count("img") == 8 + 1 + 2


def test_a_scene_that_is_only_prepared_has_a_page(scene: Scene) -> None:
    read = Reader(write_page(scene).read_text("utf-8"))
    assert "Prepared photographs" in read.text and "Cameras and region" in read.text
    scene.transforms.unlink()
    read = Reader(write_page(scene).read_text("utf-8"))
    assert "none has a pose yet" in read.text


def test_what_is_damaged_is_named_and_the_rest_is_told(made: Scene) -> None:
    (made.results / "shoe_views.png").write_bytes(b"\x89PNG\r\n\x1a\n half of it")
    (made.records(PIPELINE) / "fuse.json").write_text('{"stage": "fu')
    stage_records.write(made, PIPELINE, record("texture", 7, numbers=["of another program"]))
    made.evaluation.write_text("{")
    (made.sparse / "points3D.bin").write_bytes(b"\xff" * 20)
    read = Reader(compose(made))
    for words in (
        "shoe_views.png` can not be shown: it is damaged", "1,234,567", "The points are not shown",
        f"results/{PIPELINE}/evaluation.json", "Held out",
    ):  # fmt: skip
        assert words in read.text, words
    for stage in ("fuse", "texture"):
        assert f"stages/{PIPELINE}/{stage}.json is damaged" in read.text


def test_a_part_that_fails_says_so_in_its_place(
    made: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Html:
        raise RuntimeError("of <all> things")

    monkeypatch.setattr(composing.photo_part, "cameras", fail)
    read = Reader(compose(made))
    assert "`cameras` could not be made: RuntimeError: of <all> things" in read.text
    assert "1,234,567" in read.text


def test_it_is_written_again_only_for_news_and_is_the_same_anywhere(
    made: Scene, tmp_path: Path
) -> None:
    path = write_page(made)
    first, content = path.stat(), path.read_bytes()
    write_page(made)
    assert path.stat().st_ino == first.st_ino
    copy = linked_copy(made.root, tmp_path / "elsewhere" / "shoe")
    (copy / "report.html").unlink()
    assert write_page(Scene(copy, PIPELINE)).read_bytes() == content
    path.write_bytes(content[:-3])
    assert write_page(made).read_bytes() == content
    surface = stage_records.read(made, "surface")
    assert surface is not None
    stage_records.write(made, PIPELINE, replace(surface, numbers={"faces": 7654321}))
    assert "7,654,321" in write_page(made).read_text("utf-8")


def test_a_page_that_can_not_be_written_is_a_warning(made: Scene) -> None:
    made.report_page.mkdir()
    log = io.StringIO()
    write_after(made, Progress(log=log))
    assert "report.html was not written" in log.getvalue() and '"warning"' in log.getvalue()


def test_pictures_share_a_room_that_has_a_limit(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    album = Album(300_000)
    shown = [album.picture(tmp_path / "noise.png", f"{n}.png", "", 400) for n in range(6)]
    assert 0 < sum(map(len, shown)) < 301_000 and not shown[-1]
    assert "`5.png` is left out" in album.missing[-1]
    narrow = album.picture(tmp_path / "noise.png", "small", "", 40)
    assert 'width="40" height="30"' in narrow


def test_text_is_escaped_unless_it_is_markup() -> None:
    inner = element("b", "<1>", title='"&')
    assert element("p", inner, " & ", class_="x") == (
        '<p class="x"><b title="&quot;&amp;">&lt;1&gt;</b> &amp; </p>'
    )
    assert inner + "<" == '<b title="&quot;&amp;">&lt;1&gt;</b>&lt;'
    assert quantity("rays_per_s", 3.5) == "3.5" and quantity("seconds", 61) == "1 min 01 s"
    assert quantity("watertight", False) == "no"


def test_the_command_of_the_data_plane_writes_it_anew(made: Scene) -> None:
    assert main(["--scene", str(made.root), "--pipeline", PIPELINE]) == 0
    assert made.report_page.read_text("utf-8").endswith("</html>\n")
