"""The dataset: which frames, which pixels, which scenes are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maquette.errors import BadInput
from maquette.recon.surface.dataset import PixelDataset, check, split
from maquette.recon.surface.draws import Draws
from maquette.scene import transforms
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.transforms import Intrinsics
from synthetic_scene import orbit, region, write_posed_scene

CPU = torch.device("cpu")


def test_split_holds_out_every_eighth_by_path() -> None:
    frames = orbit(24, 32, 24)
    kept, held_out = split(frames[::-1])
    assert [frame.file_path for frame in held_out] == [
        "images/0004.png", "images/0012.png", "images/0020.png",
    ]  # fmt: skip
    assert len(kept) == 21 and not {f.file_path for f in kept} & {f.file_path for f in held_out}
    assert split(frames[:11]) == (frames[:11], [])


def coded_scene(root: Path) -> Scene:
    """Two sizes of images whose pixels tell image, column and row."""
    scene = Scene(root, "neuralangelo")
    scene.images.mkdir()
    for index, (width, height) in enumerate([(20, 10), (12, 16), (20, 10)]):
        y, x = np.mgrid[:height, :width]
        pixels = np.stack([np.full_like(x, index), x, y], axis=-1).astype(np.uint8)
        Image.fromarray(pixels).save(scene.images / f"{index:04}.png")
    return scene


def test_pixels_carry_their_own_rays_for_any_image_size(tmp_path: Path) -> None:
    scene, frames = coded_scene(tmp_path), orbit(3, 20, 10)
    own = Intrinsics(12, 16, 15.0, 14.0, 6.5, 7.5)
    frames[1] = replace(frames[1], intrinsics=own)
    dataset = PixelDataset(scene, frames, region(), CPU)
    batch = dataset.draw(500, Draws(torch.Generator().manual_seed(0)))
    code = (batch.colors * 255).round().long()
    assert torch.equal(code[:, 0], batch.image) and set(batch.image.tolist()) == {0, 1, 2}
    again = dataset.cameras.rays(batch.image, code[:, 1:] + 0.5)
    assert torch.allclose(again.directions, batch.rays.directions, atol=1e-6)


def test_masked_pixels_are_never_drawn(tmp_path: Path) -> None:
    scene, frames = coded_scene(tmp_path), orbit(3, 20, 10)
    scene.masks.mkdir()
    mask = np.zeros((10, 20), np.uint8)
    mask[:, 5:] = 255
    Image.fromarray(mask).save(scene.masks / "0000.png")
    dataset = PixelDataset(scene, frames, region(), CPU)
    batch = dataset.draw(2000, Draws(torch.Generator().manual_seed(0)))
    code = (batch.colors * 255).round().long()
    assert int(code[batch.image == 0, 1].min()) == 5
    assert int(code[batch.image == 2, 1].min()) == 0


def test_large_photographs_are_reduced_with_their_cameras(tmp_path: Path) -> None:
    dataset = PixelDataset(coded_scene(tmp_path), orbit(3, 20, 10), region(), CPU, long_side=10)
    lens = dataset.frames[0].intrinsics
    assert (lens.width, lens.height, lens.cx, lens.cy) == (10, 5, 5.0, 2.5)


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


def test_copies_of_one_picture_are_refused(tmp_path: Path) -> None:
    scene = write_posed_scene(tmp_path, 4, 16, 12)
    frames = transforms.read(scene.transforms).frames
    first = (tmp_path / frames[0].file_path).read_bytes()
    for frame in frames[1:]:
        (tmp_path / frame.file_path).write_bytes(first)
    with pytest.raises(BadInput, match="all 4 images are the same picture"):
        PixelDataset(scene, frames, region(), CPU)
