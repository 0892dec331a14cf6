"""Sky in photographs: looked up pixel by pixel, and nothing may hide it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maquette.errors import BadInput
from maquette.pipelines.training import parse_overrides
from maquette.recon.mvs.sky_files import read_sky, write_sky
from maquette.recon.surface import losses, merging, sky_in_photos
from maquette.recon.surface.dataset import PixelDataset
from maquette.recon.surface.model import Phase, SurfaceModel
from maquette.recon.surface.working_set import WorkingSet
from maquette.recon.training.draws import Draws
from maquette.recon.views.views import Views
from maquette.scene.paths import Scene
from maquette.scene.transforms import Intrinsics
from synthetic_scene import orbit, region
from tiny_training import TINY

CPU = torch.device("cpu")


def sky_of(width: int, height: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width)) < 0.4


def test_the_file_gives_back_what_it_was_given(tmp_path: Path) -> None:
    file, shown = tmp_path / "sky.npz", {"a.jpg": sky_of(21, 9, 0), "b.png": sky_of(8, 16, 1)}
    assert read_sky(file) == {}
    write_sky(file, shown)
    content, found = file.read_bytes(), read_sky(file)
    assert set(found) == set(shown)
    assert all(np.array_equal(found[name], shown[name]) for name in shown)
    write_sky(file, shown)
    assert file.read_bytes() == content
    middle = len(content) // 4
    turned = content[:middle] + bytes(~byte & 255 for byte in content[middle:][:9])
    for damaged in (content[:-9], b"", b"?", turned + content[middle + 9 :]):
        file.write_bytes(damaged)
        with pytest.raises(BadInput, match=r"sky.npz` is damaged") as caught:
            read_sky(file)
        assert "make process" in caught.value.hint
    write_sky(file, {})
    assert read_sky(file) == {}


@pytest.fixture
def views(tmp_path: Path) -> Views:
    """Photos of two sizes whose green and blue tell the pixel's column and row."""
    scene, frames = Scene(tmp_path, "neuralangelo"), orbit(3, 20, 10)
    frames[1] = replace(frames[1], intrinsics=Intrinsics(12, 16, 15.0, 14.0, 6.5, 7.5))
    scene.images.mkdir()
    for index, frame in enumerate(frames):
        y, x = np.mgrid[: frame.intrinsics.height, : frame.intrinsics.width]
        pixels = np.stack([np.full_like(x, index), x, y], axis=-1).astype(np.uint8)
        Image.fromarray(pixels).save(scene.root / frame.file_path)
    return Views(scene, frames)


@pytest.mark.parametrize("focus", [0.0, 0.5])
@pytest.mark.parametrize("limit", [0, 1])
def test_a_batch_tells_which_of_its_pixels_show_sky(
    views: Views, tmp_path: Path, limit: int, focus: float
) -> None:
    """From maps of half, the same and of another size; the last photo shows none."""
    names = [Path(frame.file_path).name for frame in views.frames]
    shown = {names[0]: sky_of(10, 5, 0), names[1]: sky_of(12, 16, 1), "other.png": sky_of(9, 40, 2)}
    write_sky(tmp_path / "sky.npz", shown)
    sky = sky_in_photos.read(tmp_path / "sky.npz", views.frames, CPU)
    dataset = PixelDataset(views, region(), CPU, limit, sky=sky)
    assert isinstance(dataset.source, WorkingSet) == bool(limit)
    draws, asked = Draws(torch.Generator().manual_seed(0)), set()
    for iteration in range(1, 13):
        batch = dataset.draw(400, draws, focus)
        assert batch.is_sky is not None
        told = (batch.colors * 255).round().int().tolist()
        for (image, x, y), is_sky in zip(told, batch.is_sky.tolist(), strict=True):
            part = 2 if image == 0 else 1
            truth = image < 2 and bool(shown[names[image]][y // part, x // part])
            assert is_sky == truth
            asked.add(image)
        dataset.advance(iteration, 12)
    assert asked == {0, 1, 2}


def test_photos_without_any_are_not_asked(views: Views, tmp_path: Path) -> None:
    write_sky(tmp_path / "sky.npz", {"other.png": sky_of(20, 10, 0)})
    assert sky_in_photos.read(tmp_path / "sky.npz", views.frames, CPU) is None
    batch = PixelDataset(views, region(), CPU).draw(9, Draws(torch.Generator().manual_seed(0)))
    assert batch.is_sky is None


def test_only_what_hides_the_sky_counts() -> None:
    opacity = torch.tensor([0.0, 1.0, 0.5, 1.0])
    is_sky = torch.tensor([True, False, True, True])
    found = losses.hidden_sky(opacity, is_sky)
    assert float(found) == pytest.approx((np.log(2) + np.log(1000)) / 4, rel=0.01)
    assert float(losses.hidden_sky(opacity, torch.zeros(4, dtype=torch.bool))) == 0


def test_the_sky_opens_a_closed_shape(views: Views) -> None:
    config = merging.merge("preview", None, parse_overrides(TINY.partition("=")[2])).model
    model = SurfaceModel(config, len(views), torch.Generator().manual_seed(0))
    phase, draws = Phase(3, 0.4), Draws(torch.Generator().manual_seed(1))
    batch = PixelDataset(views, region(), CPU).draw(64, draws)
    optimizer, seen = torch.optim.Adam(model.sdf.parameters(), lr=0.01), []
    for _ in range(12):
        model.cache.rebuild(lambda points: model.distance(points, phase))
        opacity = model.shade(batch.rays, batch.image, phase, draws).opacity
        is_sky = (seen[0] if seen else opacity) > 0.9
        seen.append(opacity.detach())
        optimizer.zero_grad()
        losses.hidden_sky(opacity, is_sky).backward()
        optimizer.step()
    assert is_sky.sum() > 20 and seen[0][is_sky].min() > 0.9
    assert seen[-1][is_sky].mean() < 0.3
