"""Masks: which file belongs to which picture, and which is used by every step."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from input_scenes import empty_scene, jpeg, zipped
from PIL import ExifTags, Image

from maquette.recon.frames import given_masks, pictures, sources
from maquette.recon.frames.intake import bring_in
from maquette.scene import masks
from maquette.scene.events import Progress
from maquette.scene.input_names import Names, smaller_copies
from maquette.scene.input_source import files_below, masks_below
from maquette.scene.paths import Scene


def silent() -> Progress:
    return Progress()


def names_of(scene: Scene, originals: list[str]) -> None:
    images = [
        {"name": f"{number:06}.jpg", "original": original}
        for number, original in enumerate(originals, start=1)
    ]
    document = {"source": "photos", "images": images}
    (scene.root / "images_raw.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    "name",
    ["IMG_7.png", "img_7.PNG", "IMG_7.JPG.png", "IMG_7_mask.png", "IMG_7.mask.png",
     "IMG_7.HEIC.png", "000001.png", "000001.jpg.png"],
)  # fmt: skip
def test_a_mask_is_known_by_every_usual_name(tmp_path: Path, name: str) -> None:
    pictures_names = {"000001.jpg": ["000001.jpg", "IMG_7.JPG"], "000002.jpg": ["IMG_70.JPG"]}
    assert dict(masks.match([tmp_path / name], pictures_names).by_picture) == {
        "000001.jpg": tmp_path / name
    }


def test_masks_that_belong_to_no_photo_or_are_no_png_are_named(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    names_of(scene, ["IMG_0.jpg", "IMG_2.jpg", "IMG_4.jpg"])
    scene.masks.mkdir()
    for name in ("IMG_0.png", "IMG2.png", "IMG_4.jpg"):
        Image.new("L", (4, 4)).save(scene.masks / name)
    remarks = " ".join(masks.raw(scene).remarks())
    assert "IMG2.png" in remarks and "IMG_4.jpg" in remarks and "IMG_0" not in remarks


def test_the_files_of_masks_are_all_that_tell_of_them(tmp_path: Path) -> None:
    scene, other = empty_scene(tmp_path / "scene"), Scene(tmp_path / "other")
    names_of(scene, ["IMG_7.JPG", "IMG_8.JPG"])
    assert masks.files(scene) == []
    for folder, name in ((scene.masks, "IMG_7.png"), (scene.masks_input, "000002.png")):
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(name.encode())
    found = masks.raw(scene).by_picture
    scene.masks_undistorted.mkdir()
    (scene.masks_undistorted / "000001.png").write_bytes(b"warped")
    masks.note_sources(scene.masks_undistorted, found)
    for path in masks.files(scene):
        target = other.root / path.relative_to(scene.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    pictures = ["000001.jpg", "000002.jpg"]
    ours, theirs = (masks.straight(each, pictures) for each in (scene, other))
    assert ours["000001.jpg"] == scene.masks_undistorted / "000001.png"
    assert {name: path.relative_to(other.root) for name, path in theirs.items()} == {
        name: path.relative_to(scene.root) for name, path in ours.items()
    }


def test_a_mask_of_a_photo_that_several_pictures_were_cut_from_is_nobodys(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    names_of(scene, ["round.jpg", "round.jpg", "IMG_4.jpg"])
    scene.masks.mkdir()
    for name in ("round.png", "IMG_4.png"):
        Image.new("L", (4, 4)).save(scene.masks / name)
    found = masks.raw(scene)
    assert list(found.by_picture) == ["000003.jpg"] and found.strangers[0].name == "round.png"


def test_every_step_uses_the_mask_that_prepare_undistorted_until_the_person_changes_it(
    tmp_path: Path,
) -> None:
    scene = Scene(tmp_path)
    names_of(scene, ["IMG_7.JPG", "IMG_8.JPG"])
    scene.masks.mkdir()
    Image.new("L", (4, 4)).save(scene.masks / "IMG_7.png")
    found = masks.raw(scene).by_picture
    scene.masks_undistorted.mkdir()
    Image.new("L", (4, 4)).save(scene.masks_undistorted / "000001.png")
    masks.note_sources(scene.masks_undistorted, found)
    wanted = ["000001.jpg", "000002.jpg"]
    assert masks.straight(scene, wanted) == {"000001.jpg": scene.masks_undistorted / "000001.png"}
    Image.new("L", (4, 4), 255).save(scene.masks / "IMG_7.png")
    assert masks.straight(scene, wanted) == {"000001.jpg": scene.masks / "IMG_7.png"}
    (scene.masks / "IMG_7.png").unlink()
    assert masks.straight(scene, wanted) == {}


def taken(scene: Scene) -> tuple[dict[str, Path], list[str]]:
    source = sources.examine(scene.input)
    scene.images_raw.mkdir()
    scene.masks_input.mkdir()
    made = pictures.from_photos(source, 0, scene.images_raw, scene.masks_input, silent())
    remarks = given_masks.take(scene.input, made, scene.images_raw, scene.masks_input)
    return {path.name: path for path in scene.masks_input.iterdir()}, remarks


def png(path: Path, values: np.ndarray) -> bytes:
    Image.fromarray(values).save(path, format="PNG")
    return path.read_bytes()


@pytest.mark.parametrize("separator", ["/", "\\"])
def test_masks_in_a_zip_belong_to_its_photos(tmp_path: Path, separator: str) -> None:
    scene = empty_scene(tmp_path)
    black = png(tmp_path / "m", np.zeros((10, 10), np.uint8))
    members = {
        f"shoe/{side}/IMG_{number}.JPG": jpeg(number) for side in ("left", "right")
        for number in (1, 2)
    }  # fmt: skip
    members |= {"shoe/masks/left/IMG_1.png": black, "shoe/Thumbs.db": b"x",
                "__MACOSX/shoe/._IMG_1.JPG": b"x"}  # fmt: skip
    path = zipped(tmp_path / "p.zip", {})
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            item = zipfile.ZipInfo("x")
            item.filename = item.orig_filename = name.replace("/", separator)
            archive.writestr(item, content)
    bring_in(scene, str(path), silent())
    assert sorted(found.name for found in files_below(scene.input)) == [
        "IMG_1.JPG", "IMG_2.JPG", "right_IMG_1.JPG", "right_IMG_2.JPG"
    ]  # fmt: skip
    assert [found.name for found in masks_below(scene.input)] == ["IMG_1.png"]
    found, remarks = taken(scene)
    assert list(found) == ["000001.png"] and remarks == []
    with (
        Image.open(found["000001.png"]) as mask,
        Image.open(scene.images_raw / "000001.jpg") as raw,
    ):
        assert mask.size == raw.size and mask.getextrema() == (0, 0)


def test_a_mask_of_a_photo_as_stored_turns_with_it(tmp_path: Path) -> None:
    scene = empty_scene(tmp_path)
    (scene.input / "masks").mkdir(parents=True)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    for number in range(3):
        Image.new("RGB", (60, 40)).save(scene.input / f"{number}.jpg", exif=exif.tobytes())
    mask = np.full((40, 60), 1, np.uint8)  # 0 and 1, as some programs write
    mask[:, :20] = 0
    Image.fromarray(mask).save(scene.input / "masks" / "1.png")
    found, _ = taken(scene)
    with Image.open(found["000002.png"]) as turned:
        assert turned.size == (40, 60)
        assert turned.getpixel((20, 5)) == 0 and turned.getpixel((20, 50)) == 255


def test_smaller_copies_of_pictures_are_left_out() -> None:
    folders = {"images": 4, "images_2": 4, "images_8": 3, "images_9": 4, "walk_2": 4}
    paths = [Path(folder) / f"{n}.jpg" for folder, count in folders.items() for n in range(count)]
    assert {path.parent.name for path in smaller_copies(paths)} == {"images_2", "images_8"}


def test_names_that_no_file_system_takes_are_shortened_and_stay_apart() -> None:
    names = Names()
    first, second = (names.unique(Path(f"{'ä' * 140}{end}.JPG")) for end in "ab")
    assert first != second and first.endswith(".JPG")
    assert len(first.encode()) < 255
