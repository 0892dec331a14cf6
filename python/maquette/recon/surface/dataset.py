"""Photographs in memory as bytes, and seeded batches of pixels from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from maquette.errors import BadInput
from maquette.recon.geometry.rays import Cameras, Rays, pixel_centers, sphere_span
from maquette.recon.surface.draws import Draws
from maquette.scene.paths import Scene
from maquette.scene.region import Region
from maquette.scene.transforms import Frame

_HELD_OUT_EVERY, _HELD_OUT_FIRST, _HELD_OUT_FROM = 8, 4, 12
_BYTES_LIMIT = 1_500_000_000  # of all photographs together
_MIN_FRAMES = 3
_OUTSIDE = 0.7  # unit space; the rule for objects lets cameras stand a little inside


def split(frames: Sequence[Frame]) -> tuple[list[Frame], list[Frame]]:
    """Training and held-out frames: by path, every 8th is held out when there are 12 or more."""
    ordered = sorted(frames, key=lambda frame: frame.file_path)
    if len(ordered) < _HELD_OUT_FROM:
        return ordered, []
    held_out = ordered[_HELD_OUT_FIRST::_HELD_OUT_EVERY]
    kept = [f for i, f in enumerate(ordered) if i % _HELD_OUT_EVERY != _HELD_OUT_FIRST]
    return kept, held_out


@dataclass(frozen=True)
class Batch:
    """Rays with their photographed colours [R, 3] 0..1 and their image numbers [R] int64."""

    rays: Rays
    colors: Tensor
    image: Tensor


class PixelDataset:
    """All training pixels, drawn with replacement.

    Args:
        scene: Where the photographs lie; `masks/` beside them excludes black pixels.
        frames: The training frames.
        long_side: Larger photographs are reduced to this; None = as they are.
    """

    def __init__(
        self, scene: Scene, frames: Sequence[Frame], region: Region, device: torch.device,
        long_side: int | None = None,
    ) -> None:  # fmt: skip
        scale = _memory_scale(frames)
        images = [read_image(scene, frame, long_side, scale) for frame in frames]
        self.frames = [sized(f, image) for f, image in zip(frames, images, strict=True)]
        _refuse_copies(images)
        widths = [image.shape[1] for image in images]
        sizes = [image.shape[0] * image.shape[1] for image in images]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        self.pixels = torch.from_numpy(np.concatenate([image.reshape(-1, 3) for image in images]))
        self.pixels = self.pixels.to(device)
        self.starts = torch.from_numpy(starts).to(device)
        self.widths = torch.tensor(widths, device=device)
        self.cameras = Cameras.of(self.frames, region, device)
        self.valid = _valid_pixels(scene, self.frames)
        if self.valid is not None:
            self.valid = self.valid.to(device)

    def __len__(self) -> int:
        return len(self.frames)

    def draw(self, count: int, draws: Draws, focus: float = 0.0) -> Batch:
        """Draw `count` pixels of all photographs.

        Args:
            focus: Twice as many are drawn, and those whose rays pass the unit ball's centre
                within this distance are preferred; 0 = all pixels equally likely.
        """
        batch = self._draw_evenly(2 * count if focus > 0 else count, draws)
        if focus <= 0:
            return batch
        rays = batch.rays
        along = -(rays.origins * rays.directions).sum(1, keepdim=True)
        nearest = (rays.origins + along * rays.directions).norm(dim=1)
        central = (nearest < focus) & (along[:, 0] > 0)
        kept = torch.argsort(~central, stable=True)[:count]
        chosen = Rays(rays.origins[kept], rays.directions[kept], rays.cosines[kept])
        return Batch(chosen, batch.colors[kept], batch.image[kept])

    def _draw_evenly(self, count: int, draws: Draws) -> Batch:
        total = len(self.pixels) if self.valid is None else len(self.valid)
        index = draws.integers(total, count)
        if self.valid is not None:
            index = self.valid[index]
        image = torch.searchsorted(self.starts, index, right=True) - 1
        within = index - self.starts[image]
        width = self.widths[image]
        pixels = torch.stack([within % width, within // width], dim=-1) + 0.5
        colors = self.pixels[index].float() / 255.0
        return Batch(self.cameras.rays(image, pixels), colors, image)


def check(scene: Scene, frames: Sequence[Frame], region: Region, inside_out: bool = False) -> None:
    """Refuse scenes that can not be trained, before any work.

    Raises:
        BadInput: too few images, files that are missing, a region no camera sees, or cameras
            that stand inside what they should look at from outside.
    """
    if len(frames) < _MIN_FRAMES:
        raise BadInput(
            f"only {len(frames)} posed images, at least {_MIN_FRAMES} are needed: `{scene.root}`",
            hint="add photos and run `make prepare` again",
        )
    missing = [f.file_path for f in frames if not (scene.root / f.file_path).is_file()]
    if missing:
        raise BadInput(
            f"{len(missing)} of {len(frames)} images that transforms.json names are missing",
            detail=", ".join(missing[:5]) + (" …" if len(missing) > 5 else ""),
            hint="run `make prepare` again",
        )
    if not any(_sees(frame, region) for frame in frames):
        raise BadInput(
            f"no camera sees the region (center {region.center}, radius {region.radius:g})",
            hint="check the region with `make view`, or let `make prepare` set it again",
        )
    centers = region.unit_from_world(np.stack([frame.world_from_cam[:3, 3] for frame in frames]))
    if not inside_out and bool((np.linalg.norm(centers, axis=1) < _OUTSIDE).all()):
        raise BadInput(
            f"all {len(frames)} cameras stand well inside the region (radius {region.radius:g}), "
            "but the scene is meant to be seen from outside",
            hint="for a room use SCENE_TYPE=indoor; else choose a smaller region",
        )


def _refuse_copies(images: Sequence[NDArray[np.uint8]]) -> None:
    first = images[0]
    if all(image.shape == first.shape and np.array_equal(image, first) for image in images[1:]):
        raise BadInput(
            f"all {len(images)} images are the same picture",
            hint="photograph the object from all sides, and run `make prepare` again",
        )


def read_image(
    scene: Scene, frame: Frame, long_side: int | None = None, scale: float = 1.0
) -> NDArray[np.uint8]:
    """Read a photograph as [H, W, 3] uint8 sRGB, reduced when asked.

    Raises:
        BadInput: the file is no readable image.
    """
    path = scene.root / frame.file_path
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except OSError as error:
        raise BadInput(f"can not read the image `{frame.file_path}`: {error}") from error
    if long_side:
        scale = min(scale, long_side / max(image.size))
    if scale < 1.0:
        size = tuple(max(1, round(side * scale)) for side in image.size)
        image = image.resize((size[0], size[1]), Image.Resampling.BOX)
    return np.asarray(image)


def sized(frame: Frame, image: NDArray[np.uint8]) -> Frame:
    """The frame with its camera scaled to the picture's real size."""
    height, width = image.shape[:2]
    return replace(frame, intrinsics=frame.intrinsics.scaled(width, height))


def mask_path(scene: Scene, frame: Frame) -> Path | None:
    """The mask of a frame: `masks/` with the image's stem, or None."""
    stem = Path(frame.file_path).stem
    found = sorted(scene.masks.glob(f"{stem}.*")) if scene.masks.is_dir() else []
    return found[0] if found else None


def _valid_pixels(scene: Scene, frames: Sequence[Frame]) -> Tensor | None:
    """Numbers of the pixels that no mask excludes, or None when there are no masks."""
    paths = [mask_path(scene, frame) for frame in frames]
    if not any(paths):
        return None
    kept = [_read_mask(path, frame) for path, frame in zip(paths, frames, strict=True)]
    valid = np.nonzero(np.concatenate(kept))[0]
    if not len(valid):
        raise BadInput("the masks exclude every pixel", hint="black means ignore, white means use")
    return torch.from_numpy(valid)


def _read_mask(path: Path | None, frame: Frame) -> NDArray[np.bool_]:
    size = (frame.intrinsics.width, frame.intrinsics.height)
    if path is None:
        return np.ones(size[0] * size[1], dtype=bool)
    try:
        with Image.open(path) as opened:
            mask = opened.convert("L").resize(size, Image.Resampling.NEAREST)
    except OSError as error:
        raise BadInput(f"can not read the mask `{path.name}`: {error}") from error
    kept: NDArray[np.bool_] = np.asarray(mask).reshape(-1) >= 128
    return kept


def _memory_scale(frames: Sequence[Frame]) -> float:
    """Factor on the photographs' sides that keeps all of them within _BYTES_LIMIT."""
    total = sum(3 * frame.intrinsics.width * frame.intrinsics.height for frame in frames)
    return min(1.0, float(np.sqrt(_BYTES_LIMIT / max(total, 1))))


def _sees(frame: Frame, region: Region) -> bool:
    """Whether any of 16 × 16 pixels looks into the region's sphere."""
    small = replace(frame, intrinsics=frame.intrinsics.scaled(16, 16))
    cpu = torch.device("cpu")
    pixels = pixel_centers(16, 16, cpu)
    rays = Cameras.of([small], region, cpu).rays(torch.zeros(len(pixels), dtype=torch.long), pixels)
    near, far = sphere_span(rays.origins, rays.directions)
    return bool((far > near).any())
