"""What the input may be, and the sentence for everything else."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from input_scenes import contents, empty_scene, photo, photo_folder, prepare
from PIL import Image
from test_frames_video import texture, write_film

from maquette.errors import BadInput, NotFound
from maquette.recon.frames import gathering
from maquette.scene import layout
from maquette.scene.input_names import Names, is_noise
from maquette.scene.paths import Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return empty_scene(tmp_path)


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
    record = moved.records("common") / "input.json"
    before = record.read_bytes()
    assert prepare(moved, "").key == key
    assert (
        moved.records("common") / "input.json"
    ).read_bytes() == before  # skipped, not done again


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


def other_scene(path: Path) -> None:
    (path / "input").mkdir(parents=True)
    for number in range(3):
        photo(path / "input" / f"{number}.jpg")
    layout.mark(Scene(path))


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
        (other_scene, "a scene, not the photos"),
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


def test_the_source_is_not_read_again_while_it_stands_unchanged(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = photo_folder(tmp_path / "a")
    prepare(scene, str(folder))
    monkeypatch.setattr(gathering, "_gather", lambda *args: pytest.fail("gathered again"))
    prepare(scene, str(folder))
    assert any(scene.input.iterdir())
