"""Filling `images_raw/` with numbered, upright pictures, and noting where each came from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from maquette.recon.frames import content, panorama, photos, video
from maquette.recon.frames.deep import White
from maquette.recon.frames.sharpness import sharpness
from maquette.recon.frames.sources import Source
from maquette.recon.frames.video import VideoFrame
from maquette.scene.events import Progress


@dataclass(frozen=True)
class Picture:
    """Where one picture came from; index and time are a video frame's."""

    name: str
    original: str
    sharpness: float
    index: int | None = None
    time_s: float | None = None
    remark: str = ""


def picture_name(position: int) -> str:
    """The name of the picture at `position` (from 0): 000001.jpg …"""
    return f"{position + 1:06d}.jpg"


def from_photos(
    source: Source, count: int, folder: Path, masks: Path, progress: Progress
) -> list[Picture]:
    """Write `count` of the photos (0: all), evenly chosen, to `folder`.

    Args:
        masks: Where the masks of photos with transparent pixels are written.
    """
    chosen = [source.photos[index].path for index in photos.evenly(len(source.photos), count)]
    if source.is_panoramic:
        return list(_from_panoramas(chosen, folder, progress))
    made: list[Picture] = []
    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
        targets = [folder / picture_name(position) for position in range(len(chosen))]
        write = partial(_from_photo, masks=masks, white=source.white)
        for picture in pool.map(write, chosen, targets):
            made.append(picture)
            progress.step("photos", len(made), len(chosen))
    return made


def _from_panoramas(chosen: list[Path], folder: Path, progress: Progress) -> Iterator[Picture]:
    """Write usual views of each panorama."""
    for done, path in enumerate(chosen):
        with Image.open(path, formats=content.PHOTO_FORMATS) as image:
            cut = list(panorama.views(image))
        for number, view in enumerate(cut):
            name = picture_name(done * panorama.VIEWS + number)
            view.save(folder / name, quality=photos.JPEG_QUALITY)
            yield Picture(name, path.name, round(sharpness(view), 3))
        progress.step("panoramas", done + 1, len(chosen))


def from_video(
    source: Source, rate: int, count: int, seed: int, folder: Path, progress: Progress
) -> list[Picture]:
    """Write every `rate`-th frame, or the `count` sharpest ones if `count` is given."""
    assert source.video is not None and source.facts is not None
    total = source.facts.frames
    frames: Iterator[VideoFrame] = (
        video.sharpest(source.video, count, total, seed)
        if count
        else video.decode(source.video, rate)
    )
    expected = min(count, total) if count else -(-total // rate)
    made: list[Picture] = []
    for frame in frames:
        name = picture_name(len(made))
        frame.image.save(folder / name, quality=photos.JPEG_QUALITY)
        made.append(
            Picture(
                name,
                source.video.name,
                round(frame.sharpness, 3),
                frame.index,
                round(frame.time_s, 6),
            )
        )
        progress.step("frames", min(len(made), expected), expected)
    return made


def as_document(source: Source, made: list[Picture]) -> dict[str, object]:
    """The content of `images_raw.json`."""
    kind = "video" if source.video else "photos"
    images = [asdict(picture) for picture in made]
    for image in images:
        del image["remark"]  # of the one run that made the pictures
    document: dict[str, object] = {"schema_version": 1, "source": kind, "images": images}
    sides = {photo.height for photo in source.photos if source.is_panoramic}
    if len(sides) == 1:
        model, params = panorama.camera(panorama.side(sides.pop()))
        document["camera"] = {"model": model, "params": params}
    return document


def _from_photo(path: Path, target: Path, masks: Path, white: White) -> Picture:
    normalised = photos.write_normalised(path, target, white)
    if normalised.mask is not None:
        normalised.mask.save(masks / f"{target.stem}.png")
    with Image.open(target) as image:
        image.draft("L", (480, 480))
        sharp = round(sharpness(image), 3)
    remark = f"`{path.name}`: {normalised.remark}" if normalised.remark else ""
    return Picture(target.name, path.name, sharp, remark=remark)
