"""Batches of pixels: with their own rays, evenly drawn, from all views or from a part at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from maquette.errors import BadInput
from maquette.recon.surface.dataset import PixelDataset
from maquette.recon.surface.pixels import AllPixels
from maquette.recon.surface.working_set import WorkingSet
from maquette.recon.training.draws import Draws
from maquette.recon.views.views import Views
from maquette.scene import transforms
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.transforms import Frame, Intrinsics
from synthetic_scene import orbit, region, write_posed_scene

CPU = torch.device("cpu")


def coded_scene(root: Path) -> Scene:
    """Two sizes of images whose pixels tell image, column and row."""
    scene = Scene(root, "neuralangelo")
    scene.images.mkdir()
    for index, (width, height) in enumerate([(20, 10), (12, 16), (20, 10)]):
        y, x = np.mgrid[:height, :width]
        pixels = np.stack([np.full_like(x, index), x, y], axis=-1).astype(np.uint8)
        Image.fromarray(pixels).save(scene.images / f"{index:04}.png")
    return scene


def coded_frames() -> list[Frame]:
    frames = orbit(3, 20, 10)
    own = Intrinsics(12, 16, 15.0, 14.0, 6.5, 7.5)
    return [frames[0], replace(frames[1], intrinsics=own), frames[2]]


def test_pixels_carry_their_own_rays_for_any_image_size(tmp_path: Path) -> None:
    scene = coded_scene(tmp_path)
    dataset = PixelDataset(Views(scene, coded_frames()), region(), CPU)
    batch = dataset.draw(500, Draws(torch.Generator().manual_seed(0)))
    code = (batch.colors * 255).round().long()
    assert torch.equal(code[:, 0], batch.image) and set(batch.image.tolist()) == {0, 1, 2}
    again = dataset.cameras.rays(batch.image, code[:, 1:] + 0.5)
    assert torch.allclose(again.directions, batch.rays.directions, atol=1e-6)


@pytest.mark.parametrize(("radii_away", "limit"), [(1.0, 0.35), (4.0, 1.0)])
def test_rays_at_the_object_come_first(tmp_path: Path, radii_away: float, limit: float) -> None:
    """From outside the ball, all that meet it; else those near its centre."""
    frames, center = coded_frames(), region().center
    distance = float(np.linalg.norm(frames[0].world_from_cam[:3, 3] - center))
    ball = Region.around(center, distance / radii_away)
    dataset = PixelDataset(Views(coded_scene(tmp_path), frames), ball, CPU)

    def share(focus: float) -> float:
        rays = dataset.draw(2000, Draws(torch.Generator().manual_seed(0)), focus).rays
        away = torch.linalg.cross(rays.origins, rays.directions).norm(dim=1)
        return float((away < limit).float().mean())

    even = share(0.0)
    assert even < 0.8 and share(0.35) == pytest.approx(min(1.0, 2 * even), abs=0.06)


def test_masked_pixels_are_never_drawn(tmp_path: Path) -> None:
    scene = coded_scene(tmp_path)
    scene.masks.mkdir()
    mask = np.zeros((10, 20), np.uint8)
    mask[:, 5:] = 255
    Image.fromarray(mask).save(scene.masks / "0000.png")
    dataset = PixelDataset(Views(scene, coded_frames()), region(), CPU)
    batch = dataset.draw(2000, Draws(torch.Generator().manual_seed(0)))
    code = (batch.colors * 255).round().long()
    assert int(code[batch.image == 0, 1].min()) == 5
    assert int(code[batch.image == 2, 1].min()) == 0


def test_large_photographs_are_reduced_with_their_cameras(tmp_path: Path) -> None:
    views = Views(coded_scene(tmp_path), coded_frames(), long_side=10)
    dataset = PixelDataset(views, region(), CPU)
    lens = dataset.frames[0].intrinsics
    assert (lens.width, lens.height, lens.cx, lens.cy) == (10, 5, 5.0, 2.5)


def test_copies_of_one_picture_are_refused(tmp_path: Path) -> None:
    scene = write_posed_scene(tmp_path, 4, 16, 12)
    frames = transforms.read(scene.transforms).frames
    first = (tmp_path / frames[0].file_path).read_bytes()
    for frame in frames[1:]:
        (tmp_path / frame.file_path).write_bytes(first)
    with pytest.raises(BadInput, match="all 4 images are the same picture"):
        PixelDataset(Views(scene, frames), region(), CPU)


def held_part(scene: Scene, limit: int, state: dict[str, Any] | None = None) -> PixelDataset:
    """A dataset of ten views of 20 × 10 pixels that may take so many bytes."""
    views = Views(scene, orbit(10, 20, 10), limit_bytes=0)
    return PixelDataset(views, region(), CPU, limit, seed=3, state=state)


def numbered_scene(root: Path, masked: bool = False) -> Scene:
    """Ten images that are all of one colour each, their number; mask 4 excludes everything."""
    scene = Scene(root, "neuralangelo")
    scene.images.mkdir()
    for index in range(10):
        pixels = np.full((10, 20, 3), index, np.uint8)
        Image.fromarray(pixels).save(scene.images / f"{index:04}.png")
    if masked:
        scene.masks.mkdir()
        Image.fromarray(np.zeros((10, 20), np.uint8)).save(scene.masks / "0004.png")
    return scene


def walk(dataset: PixelDataset, iterations: range, draws: Draws, total: int) -> list[Any]:
    """What is drawn in some iterations: image numbers, checked against the colours."""
    found = []
    for iteration in iterations:
        batch = dataset.draw(30, draws)
        assert torch.equal((batch.colors[:, 0] * 255).round().long(), batch.image)
        found.append((batch.image.tolist(), batch.rays.directions))
        dataset.advance(iteration + 1, total)
    return found


@pytest.mark.parametrize("masked", [False, True])
def test_more_photographs_than_memory_holds_are_all_drawn_in_turn(
    tmp_path: Path, masked: bool
) -> None:
    limit = 20 * 10 * (7 if masked else 3) * 5
    dataset, draws = held_part(numbered_scene(tmp_path, masked), limit), Draws(torch.Generator())
    assert isinstance(dataset.source, WorkingSet) and dataset.source.window.size == 3
    total, seen = 60, np.zeros(10, int)
    for iteration in range(total):
        ((images, _),) = walk(dataset, range(iteration, iteration + 1), draws, total)
        assert dataset.source.held_bytes <= limit and len(set(images)) <= 3
        seen += np.bincount(images, minlength=10)
    if masked:
        assert seen[4] == 0
        seen = np.delete(seen, 4)
    assert 0.6 * seen.mean() < seen.min() and seen.max() < 1.5 * seen.mean()


def test_a_part_held_is_continued_where_it_was(tmp_path: Path) -> None:
    scene, limit = numbered_scene(tmp_path), 20 * 10 * 3 * 5
    whole, generator = held_part(scene, limit), torch.Generator().manual_seed(1)
    draws = Draws(generator)
    walk(whole, range(11), draws, 30)
    state, random = whole.state(), generator.get_state()
    expected = walk(whole, range(11, 30), draws, 30)
    generator.set_state(random)
    resumed = walk(held_part(scene, 100 * limit, state), range(11, 30), draws, 30)
    assert [images for images, _ in resumed] == [images for images, _ in expected]
    assert all(torch.equal(a[1], b[1]) for a, b in zip(resumed, expected, strict=True))


def test_processes_share_the_draws_of_a_part_held_as_one_has_them(tmp_path: Path) -> None:
    scene, limit = numbered_scene(tmp_path), 20 * 10 * 3 * 5
    seen = []
    for rank, world in ((0, 1), (0, 2), (1, 2)):
        draws = Draws(torch.Generator().manual_seed(1), rank, world)
        dataset, images = held_part(scene, limit), []
        for iteration in range(12):
            images.append(dataset.draw(30 // world, draws).image)
            dataset.advance(iteration + 1, 12)
        seen.append(torch.stack(images))
    whole, first, second = seen
    assert torch.equal(whole[:, 0::2], first) and torch.equal(whole[:, 1::2], second)


def test_photographs_that_fit_are_all_held(tmp_path: Path) -> None:
    dataset = held_part(numbered_scene(tmp_path), 20 * 10 * 3 * 10)
    assert isinstance(dataset.source, AllPixels) and dataset.state() is None
    assert dataset.source.held_bytes == 20 * 10 * 3 * 10


def test_masks_that_exclude_every_pixel_are_refused(tmp_path: Path) -> None:
    scene = numbered_scene(tmp_path, masked=True)
    for index in range(10):
        Image.fromarray(np.zeros((10, 20), np.uint8)).save(scene.masks / f"{index:04}.png")
    for limit in (20 * 10 * 7 * 5, 1 << 20):
        with pytest.raises(BadInput, match="masks exclude every pixel"):
            held_part(scene, limit)
