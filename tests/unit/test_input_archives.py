"""An input in a zip: what is taken out, and what is refused before it unpacks."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest
from input_scenes import contents, empty_scene, jpeg, prepare, zipped
from test_frames_video import texture, write_film

from maquette.errors import BadInput
from maquette.recon.frames import archives
from maquette.scene.paths import Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return empty_scene(tmp_path)


def test_a_zip_is_flattened_with_unique_names(scene: Scene, tmp_path: Path) -> None:
    members = {"day 1/a.jpg": jpeg(1), "day 2/a.jpg": jpeg(2), "day 2/b.jpg": jpeg(3)}
    noise = {"__MACOSX/day 1/._a.jpg": b"x", ".DS_Store": b"x", "day 1/.hidden": b"x"}
    prepare(scene, str(zipped(tmp_path / "p.zip", members | noise)))
    assert contents(scene.input) == {
        "a.jpg": members["day 1/a.jpg"],
        "day 2_a.jpg": members["day 2/a.jpg"],
        "b.jpg": members["day 2/b.jpg"],
    }


def test_names_in_utf_8_count_also_where_the_packer_did_not_mark_them(
    scene: Scene, tmp_path: Path
) -> None:
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(("Straße.jpg", "plage_été.jpg", "plain.jpg")):
            archive.writestr(name, jpeg(number))
    content = bytearray(path.read_bytes())
    for start in (b"PK\x03\x04", b"PK\x01\x02"):  # take the mark of UTF-8 away again
        at = content.find(start)
        while at >= 0:
            content[at + (6 if start.endswith(b"\x04") else 8) + 1] &= ~0x08
            at = content.find(start, at + 4)
    path.write_bytes(content)
    prepare(scene, str(path))
    assert set(contents(scene.input)) == {"Straße.jpg", "plage_été.jpg", "plain.jpg"}


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
