"""What the input may be, and the sentence for everything else."""

from __future__ import annotations

import io
import shutil
import struct
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_frames_video import texture, write_film

from maquette.errors import BadInput, MaquetteError, NotFound
from maquette.recon.frames import archives, download, intake, sources
from maquette.recon.frames.names import Names, is_noise
from maquette.recon.stages import input as input_stage
from maquette.recon.stages.stage import run_stages
from maquette.scene import stage_records
from maquette.scene.events import Progress
from maquette.scene.options import PrepareOptions
from maquette.scene.paths import Scene

quiet = partial(Progress, None, io.StringIO())


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(tmp_path / "scenes" / "lego")
    scene.stages.mkdir(parents=True)
    return scene


def photo(path: Path, seed: int = 0, size: tuple[int, int] = (96, 64)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    texture(seed).resize(size).save(path)
    return path


def photo_folder(folder: Path, count: int = 4) -> Path:
    for index in range(count):
        photo(folder / f"IMG {index} 'é'.jpg", index)
    return folder


def prepare(scene: Scene, wanted: str) -> stage_records.StageRecord:
    options = PrepareOptions(input=wanted)
    return run_stages([input_stage.STAGE], "prepare", scene, options, quiet())[0]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sources.files_below(folder)}


def test_photos_are_copied_unchanged_under_their_own_names(scene: Scene, tmp_path: Path) -> None:
    folder = photo_folder(tmp_path / "my photos")
    record = prepare(scene, str(folder))
    assert contents(scene.input) == contents(folder)
    assert record.numbers["photos"] == 4


def test_a_video_is_copied(scene: Scene, tmp_path: Path) -> None:
    film = write_film(tmp_path / "ñ film.mov", [texture(seed) for seed in range(8)])
    record = prepare(scene, str(film))
    assert contents(scene.input) == {"ñ film.mov": film.read_bytes()}
    assert (record.numbers["kind"], record.numbers["frames"]) == ("video", 8)


def test_a_moved_scene_keeps_its_key_without_the_source(scene: Scene, tmp_path: Path) -> None:
    folder = photo_folder(tmp_path / "photos")
    key = prepare(scene, str(folder)).key
    shutil.rmtree(folder)
    moved = Scene(tmp_path / "elsewhere")
    shutil.copytree(scene.root, moved.root)
    before = (moved.stages / "input.json").read_bytes()
    assert prepare(moved, "").key == key
    assert (moved.stages / "input.json").read_bytes() == before  # skipped, not done again


def test_a_renamed_source_with_the_same_content_keeps_the_key(scene: Scene, tmp_path: Path) -> None:
    key = prepare(scene, str(photo_folder(tmp_path / "a"))).key
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert prepare(scene, str(tmp_path / "b")).key == key


def test_changed_content_is_taken_over(scene: Scene, tmp_path: Path) -> None:
    folder = photo_folder(tmp_path / "a")
    key = prepare(scene, str(folder)).key
    photo(folder / "new.jpg", 9)
    assert prepare(scene, str(folder)).key != key
    assert contents(scene.input) == contents(folder)


def test_bad_new_input_leaves_the_old_one(scene: Scene, tmp_path: Path) -> None:
    prepare(scene, str(photo_folder(tmp_path / "a")))
    before = contents(scene.input)
    with pytest.raises(BadInput):
        prepare(scene, str(photo_folder(tmp_path / "few", 2)))
    assert contents(scene.input) == before
    assert sorted(path.name for path in scene.root.iterdir()) == ["input", "stages"]


def test_a_kill_between_the_two_renames_is_undone(scene: Scene, tmp_path: Path) -> None:
    prepare(scene, str(photo_folder(tmp_path / "a")))
    before = contents(scene.input)
    scene.input.rename(scene.root / ".old-input")
    (scene.root / ".new-input").mkdir()
    prepare(scene, "")
    assert contents(scene.input) == before
    assert sorted(path.name for path in scene.root.iterdir()) == ["input", "stages"]


def test_what_the_person_laid_into_the_scene_is_used(scene: Scene) -> None:
    photo_folder(scene.input)
    assert prepare(scene, "").numbers["photos"] == 4
    assert prepare(scene, str(scene.input)).numbers["photos"] == 4


def test_nothing_at_all_says_how_to_give_input(scene: Scene) -> None:
    with pytest.raises(NotFound, match="lego") as caught:
        prepare(scene, "")
    assert "INPUT=" in caught.value.hint


def test_content_counts_not_the_name(scene: Scene, tmp_path: Path) -> None:
    folder = photo_folder(tmp_path / "a", 3)
    for path in sorted(folder.iterdir()):
        path.rename(path.with_suffix(".png"))  # still JPEG inside
    (folder / "notes.txt").write_text("bring milk")
    record = prepare(scene, str(folder))
    assert record.numbers["photos"] == 3
    assert "notes.txt" in record.remarks[0]


def test_mixed_shapes_are_remarked(scene: Scene, tmp_path: Path) -> None:
    folder = photo_folder(tmp_path / "a", 3)
    photo(folder / "upright.jpg", 5, (64, 96))
    remarks = prepare(scene, str(folder)).remarks
    assert any("1 upright and 3 wide" in remark for remark in remarks)


def empty_folder(folder: Path) -> None:
    folder.mkdir()


def two_photos(folder: Path) -> None:
    photo_folder(folder, 2)


def truncated_photo(folder: Path) -> None:
    photo_folder(folder)
    noise = np.random.default_rng(0).integers(0, 255, (400, 600, 3), np.uint8)
    Image.fromarray(noise).save(folder / "cut.jpg")
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:9000])


def empty_photo(folder: Path) -> None:
    photo_folder(folder)
    (folder / "void.jpg").touch()


def text_named_photo(folder: Path) -> None:
    photo_folder(folder)
    (folder / "fake.jpg").write_text("I am no picture")


def two_films(folder: Path) -> None:
    folder.mkdir()
    for name in ("a.mp4", "b.mp4"):
        write_film(folder / name, [texture(seed) for seed in range(4)])


def text_only(folder: Path) -> None:
    folder.mkdir()
    (folder / "readme.txt").write_text("hello")


def short_film(folder: Path) -> None:
    folder.mkdir()
    write_film(folder / "a.mp4", [texture(0), texture(1)])


def broken_film(folder: Path) -> None:
    folder.mkdir()
    (folder / "a.mp4").write_bytes(struct.pack(">I", 24) + b"ftypisom" + b"\0" * 900)


def one_photo_file(path: Path) -> None:
    photo(path.with_suffix(".jpg")).rename(path)


def text_file(path: Path) -> None:
    path.write_text("just words " * 500)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (empty_folder, "empty"),
        (two_photos, "only 2 photos, at least 3"),
        (truncated_photo, "cut.jpg"),
        (empty_photo, "void.jpg"),
        (text_named_photo, "fake.jpg"),
        (two_films, "2 videos"),
        (text_only, "neither a video nor photos"),
        (short_film, "2 frames"),
        (broken_film, "a.mp4"),
        (one_photo_file, "one photo is no scene"),
        (text_file, "neither a video nor photos"),
    ],
)
def test_bad_input_is_named_before_any_work(
    scene: Scene, tmp_path: Path, make: Callable[[Path], None], sentence: str
) -> None:
    make(given := tmp_path / "given")
    with pytest.raises(BadInput, match=sentence) as caught:
        prepare(scene, str(given))
    assert caught.value.hint
    assert not scene.input.exists()


def test_a_missing_source_is_not_found(scene: Scene) -> None:
    with pytest.raises(NotFound, match="no such"):
        prepare(scene, "/no such/folder")


def zipped(path: Path, members: dict[str, bytes], **kwargs: int) -> Path:
    with zipfile.ZipFile(path, "w", **kwargs) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, kwargs.get("compression"))
    return path


def jpeg(seed: int) -> bytes:
    texture(seed).save(stream := io.BytesIO(), format="JPEG")
    return stream.getvalue()


def test_a_zip_is_flattened_with_unique_names(scene: Scene, tmp_path: Path) -> None:
    members = {"day 1/a.jpg": jpeg(1), "day 2/a.jpg": jpeg(2), "day 2/b.jpg": jpeg(3)}
    noise = {"__MACOSX/day 1/._a.jpg": b"x", ".DS_Store": b"x", "day 1/.hidden": b"x"}
    prepare(scene, str(zipped(tmp_path / "p.zip", members | noise)))
    assert contents(scene.input) == {
        "a.jpg": members["day 1/a.jpg"],
        "day 2_a.jpg": members["day 2/a.jpg"],
        "b.jpg": members["day 2/b.jpg"],
    }


def test_a_zip_may_hold_one_video(scene: Scene, tmp_path: Path) -> None:
    film = write_film(tmp_path / "f.mp4", [texture(seed) for seed in range(5)])
    record = prepare(scene, str(zipped(tmp_path / "p.zip", {"clip/f.mp4": film.read_bytes()})))
    assert record.numbers["kind"] == "video"


@pytest.mark.parametrize(
    "name", ["../evil.jpg", "a/../../evil.jpg", "/etc/evil.jpg", "C:\\evil.jpg", "..\\evil.jpg"]
)
def test_zip_members_that_point_outside_are_refused(
    scene: Scene, tmp_path: Path, name: str
) -> None:
    archive = zipped(tmp_path / "p.zip", {name: jpeg(0), "b.jpg": jpeg(1), "c.jpg": jpeg(2)})
    with pytest.raises(BadInput, match="outside"):
        prepare(scene, str(archive))
    assert not list(tmp_path.rglob("evil.jpg"))


def test_links_in_a_zip_are_refused(scene: Scene, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.jpg")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(BadInput, match="is a link"):
        prepare(scene, str(tmp_path / "p.zip"))


def test_zip_bombs_are_refused_before_they_unpack(scene: Scene, tmp_path: Path) -> None:
    bomb = zipped(
        tmp_path / "p.zip", {"a.jpg": b"\0" * (12 << 20)}, compression=zipfile.ZIP_DEFLATED
    )
    assert bomb.stat().st_size < 1 << 20
    with pytest.raises(BadInput, match="zip bomb"):
        prepare(scene, str(bomb))


def test_a_zip_larger_than_the_disk_is_refused(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(BadInput, match="1000 are free"):
        prepare(scene, str(zipped(tmp_path / "p.zip", {f"{i}.jpg": jpeg(i) for i in range(3)})))


def test_an_encrypted_zip_is_refused(scene: Scene, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "p.zip", {"a.jpg": jpeg(0)})
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    with pytest.raises(BadInput, match="encrypted"):
        prepare(scene, str(archive))


def test_a_damaged_zip_is_refused(scene: Scene, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "p.zip", {f"{i}.jpg": jpeg(i) for i in range(3)})
    data = bytearray(archive.read_bytes())
    data[100:140] = b"\xff" * 40
    archive.write_bytes(data)
    with pytest.raises(BadInput, match="damaged"):
        prepare(scene, str(archive))


def test_a_truncated_zip_is_refused(scene: Scene, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "p.zip", {f"{i}.jpg": jpeg(i) for i in range(3)})
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(BadInput):
        prepare(scene, str(archive))


def test_names_stay_unique_whatever_comes() -> None:
    names = Names()
    given = ["a.jpg", "x/a.jpg", "y/x/A.JPG", "x_a.jpg", "a.jpg", "x/a.jpg", "2_a.jpg"]
    made = [names.unique(Path(name)) for name in given]
    assert len({name.casefold() for name in made}) == len(given)
    assert all("/" not in name for name in made)


@pytest.mark.parametrize("name", ["__MACOSX/a.jpg", ".git/a.jpg", "a/.b.jpg", "Thumbs.db"])
def test_leftovers_are_noise(name: str) -> None:
    assert is_noise(Path(name))
    assert not is_noise(Path("dir/a.jpg"))


class Shop(BaseHTTPRequestHandler):
    """Serves one body; `breaks` times it hangs up half way. Understands Range."""

    body = b""
    breaks = 0

    def do_GET(self) -> None:
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        if self.path.startswith("/away"):
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
            return
        rest = type(self).body[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if type(self).breaks:
            type(self).breaks -= 1
            rest = rest[: len(rest) // 2]
        self.wfile.write(rest)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def shop() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_url_is_fetched_and_a_broken_line_taken_up(
    scene: Scene, tmp_path: Path, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = zipped(tmp_path / "p.zip", {f"{i}.jpg": jpeg(i) for i in range(3)})
    monkeypatch.setattr(Shop, "body", archive.read_bytes())
    monkeypatch.setattr(Shop, "breaks", 2)
    key = prepare(scene, f"{shop}/my%20photos.zip?signature=secret").key
    assert set(contents(scene.input)) == {"0.jpg", "1.jpg", "2.jpg"}
    assert prepare(scene, "").key == key


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("file:///etc/passwd", "only http"),
        ("ftp://x/y.mp4", "only http"),
        ("{shop}/missing.mp4", "404"),
        ("{shop}/away.mp4", "302|redirects"),
    ],
)
def test_bad_addresses(scene: Scene, shop: str, address: str, sentence: str) -> None:
    with pytest.raises(MaquetteError, match=sentence):
        prepare(scene, address.format(shop=shop))
    assert sorted(path.name for path in scene.root.iterdir()) == ["stages"]


def test_a_download_larger_than_the_limit_is_refused(
    scene: Scene, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shop, "body", b"x" * 5000)
    monkeypatch.setattr(download, "MAX_BYTES", 4000)
    with pytest.raises(BadInput, match="5000"):
        prepare(scene, f"{shop}/a.mp4")


def test_secrets_of_an_address_are_not_shown() -> None:
    shown = download.without_secrets("https://me:pw@host/a.zip?sig=1#x")
    assert shown == "https://host/a.zip"


def test_the_source_is_not_read_again_while_it_stands_unchanged(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photo_folder(tmp_path / "a")
    prepare(scene, str(folder))
    monkeypatch.setattr(intake, "_gather", lambda *args: pytest.fail("gathered again"))
    prepare(scene, str(folder))
    assert any(scene.input.iterdir())
