"""Views: which are held out, which scenes are refused, what is kept in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maquette.errors import BadInput
from maquette.recon.system_memory import memory_bytes
from maquette.recon.views.cache import ArrayCache
from maquette.recon.views.checks import check
from maquette.recon.views.images import read_image, read_mask
from maquette.recon.views.split import split
from maquette.recon.views.views import Views
from maquette.scene import transforms
from maquette.scene.region import Region
from synthetic_scene import orbit, write_posed_scene


def test_split_holds_out_every_eighth_by_path() -> None:
    frames = orbit(24, 32, 24)
    kept, held_out = split(frames[::-1])
    assert [frame.file_path for frame in held_out] == [
        "images/0004.png", "images/0012.png", "images/0020.png",
    ]  # fmt: skip
    assert len(kept) == 21 and not {f.file_path for f in kept} & {f.file_path for f in held_out}
    assert split(frames[:11]) == (frames[:11], [])


def test_unusable_scenes_are_refused_in_words(tmp_path: Path) -> None:
    scene = write_posed_scene(tmp_path, 4, 16, 12)
    cameras = transforms.read(scene.transforms)
    check(scene, cameras.frames, cameras.region)
    with pytest.raises(BadInput, match="only 2 posed images"):
        check(scene, cameras.frames[:2], cameras.region)
    with pytest.raises(BadInput, match="no camera sees the region"):
        check(scene, cameras.frames, Region.around([0, 0, 80.0], 1.0))
    far = Region.around(cameras.region.center, 4 * cameras.region.radius)
    with pytest.raises(BadInput, match="all 4 cameras stand well inside") as caught:
        check(scene, cameras.frames, far)
    assert "SCENE_TYPE=indoor" in caught.value.hint
    check(scene, cameras.frames, far, inside_out=True)
    (scene.images / "0001.png").unlink()
    with pytest.raises(BadInput, match="1 of 4 images"):
        check(scene, cameras.frames, cameras.region)


def test_a_cache_keeps_to_its_limit_and_drops_what_was_not_used_longest() -> None:
    cache, read = ArrayCache(250), []

    def ask(key: int, size: int = 100) -> int:
        def make() -> np.ndarray:
            read.append(key)
            return np.full(size, key, np.uint8)

        found = cache.get(key, make)
        assert cache.held_bytes <= cache.limit_bytes
        return int(found[0])

    assert [ask(key) for key in (1, 2, 1, 3, 1, 2)] == [1, 2, 1, 3, 1, 2]
    assert read == [1, 2, 3, 2] and cache.held_bytes == 200
    assert ask(9, size=251) == 9 and ask(1) == 1  # what is too large displaces nothing
    assert read == [1, 2, 3, 2, 9]


def test_photographs_are_read_when_asked_for_and_kept_while_there_is_room(tmp_path: Path) -> None:
    scene = write_posed_scene(tmp_path, 4, 16, 12)
    frames = transforms.read(scene.transforms).frames
    one = 16 * 12 * 3
    views = Views(scene, frames, limit_bytes=2 * one)
    assert views.cache.held_bytes == 0
    for index in (0, 1, 2, 3, 3):
        assert np.array_equal(views.image(index), read_image(scene, frames[index]))
    assert views.cache.held_bytes == 2 * one
    (scene.root / frames[3].file_path).unlink()
    assert views.image(3).shape == (12, 16, 3)
    with pytest.raises(BadInput, match="can not read the image"):
        views.read_image(3)


def test_a_photo_that_nobody_looks_at_may_lack(tmp_path: Path) -> None:
    scene = write_posed_scene(tmp_path, 4, 16, 12)
    frames = transforms.read(scene.transforms).frames
    whole = Views(scene, frames, 8)
    (scene.images / "0001.png").unlink()
    some = Views(scene, frames, 8, needed={0, 2})
    assert [frame.intrinsics for frame in some.frames] == [f.intrinsics for f in whole.frames]
    with pytest.raises(BadInput, match=r"0001\.png"):
        Views(scene, frames, 8, needed={0, 1})


@pytest.mark.parametrize("suffix", [".png", ".jpg.png"])
def test_a_mask_belongs_to_the_image_of_its_name(tmp_path: Path, suffix: str) -> None:
    scene = write_posed_scene(tmp_path, 4, 16, 12)
    frames = transforms.read(scene.transforms).frames
    assert not Views(scene, frames).has_masks
    scene.masks.mkdir()
    mask = np.zeros((24, 32), np.uint8)
    mask[:12] = 255
    Image.fromarray(mask).save(scene.masks / f"{Path(frames[1].file_path).stem}{suffix}")
    views = Views(scene, frames)
    found = views.mask(1)
    assert views.has_masks and views.mask(0) is None and found is not None
    assert found.shape == (12, 16) and found[:6].all() and not found[6:].any()


def test_a_photo_that_can_not_be_used_is_named_without_the_place_where_it_lies(
    tmp_path: Path,
) -> None:
    scene = write_posed_scene(tmp_path, 4, 16, 12)
    frames = transforms.read(scene.transforms).frames
    path = scene.root / frames[1].file_path
    path.unlink()
    with pytest.raises(BadInput, match=r"can not read .*0001.png`: no such file") as caught:
        Views(scene, frames)
    assert str(tmp_path) not in caught.value.what and "make prepare" in caught.value.hint
    path.write_bytes(b"")
    with pytest.raises(BadInput, match=r"can not read .*0001.png`: it is no picture"):
        Views(scene, frames)
    Image.new("RGB", (12, 16)).save(path)
    with pytest.raises(BadInput, match=r"0001.png` of 12 × 16 pixels has another shape than its"):
        Views(scene, frames)
    Image.new("RGB", (8, 6)).save(path)
    assert Views(scene, frames).size(1) == (8, 6), "smaller copies are fine"


def test_a_mask_that_can_not_be_used_is_named(tmp_path: Path) -> None:
    path = tmp_path / "0001.png"
    path.write_bytes(b"no picture")
    with pytest.raises(BadInput, match=r"can not read the mask `masks/0001.png`: it is no picture"):
        read_mask(path, (16, 12))
    Image.new("L", (12, 16)).save(path)
    with pytest.raises(BadInput, match=r"mask `masks/0001.png` of 12 × 16 .* another shape"):
        read_mask(path, (16, 12))


def test_a_containers_limit_counts_where_it_is_less_than_the_machine_has(tmp_path: Path) -> None:
    whole = memory_bytes(tmp_path)
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_bytes(tmp_path) == whole
    (tmp_path / "memory.max").write_text("1000000\n")
    assert memory_bytes(tmp_path) == 1_000_000
