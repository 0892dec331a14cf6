"""Masks that a person laid into `masks/`: black pixels are not used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory

from PIL import Image

from maquette.counting import counted
from maquette.errors import BadInput
from maquette.scene.paths import Scene


def files(scene: Scene) -> list[Path]:
    """The mask files, sorted."""
    if not scene.masks.is_dir():
        return []
    return sorted(path for path in scene.masks.iterdir() if path.suffix.lower() == ".png")


def by_picture(scene: Scene) -> dict[str, Path]:
    """Find the mask of each picture, named after the picture or its original.

    `000001.jpg.png` (COLMAP's way), `000001.png`, `IMG_7.JPG.png` and `IMG_7.png` are understood.

    Raises:
        BadInput: there are masks, but none belongs to a picture.
    """
    masks = {path.stem.casefold(): path for path in files(scene)}
    if not masks:
        return {}
    mapping = json.loads((scene.root / "images_raw.json").read_text(encoding="utf-8"))
    found = {}
    for entry in mapping["images"]:
        names = [entry["name"]] + [entry["original"]] * (mapping["source"] == "photos")
        candidates = [key.casefold() for name in names for key in (name, PurePath(name).stem)]
        match = next((masks[key] for key in candidates if key in masks), None)
        if match:
            found[entry["name"]] = match
    if not found:
        raise BadInput(
            f"of {counted(len(masks), 'mask')} none belongs to a picture: `{scene.masks}`",
            hint="name a mask after its photo, e.g. IMG_7.png for IMG_7.JPG; black is ignored",
        )
    return found


@contextmanager
def for_colmap(scene: Scene) -> Iterator[Path | None]:
    """Yield a folder with one mask a picture under COLMAP's names, or None without masks."""
    found = by_picture(scene)
    if not found:
        yield None
        return
    with TemporaryDirectory(prefix="maquette-masks-") as name:
        folder = Path(name)
        for picture in sorted(scene.images_raw.glob("*.jpg")):
            _write(found.get(picture.name), picture, folder / f"{picture.name}.png")
        yield folder


def _write(mask: Path | None, picture: Path, target: Path) -> None:
    with Image.open(picture) as image:
        size = image.size
    if mask is None:
        Image.new("L", size, 255).save(target)
        return
    with Image.open(mask) as image:
        image.convert("L").resize(size, Image.Resampling.NEAREST).save(target)
