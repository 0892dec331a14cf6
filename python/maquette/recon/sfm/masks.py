"""Masks as COLMAP wants them: one a picture, under its name; black is not used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from maquette.scene import masks
from maquette.scene.paths import Scene


@contextmanager
def for_colmap(scene: Scene, names: Sequence[str] | None = None) -> Iterator[Path | None]:
    """Yield a folder with one mask a picture under COLMAP's names, or None without masks.

    Args:
        names: The pictures; None: all of `images_raw/`.
    """
    found = masks.raw(scene).by_picture
    if not found:
        yield None
        return
    if names is None:
        names = sorted(picture.name for picture in scene.images_raw.glob("*.jpg"))
    with TemporaryDirectory(prefix="maquette-masks-") as place:
        folder = Path(place)
        for name in names:
            _write(found.get(name), scene.images_raw / name, folder / f"{name}.png")
        yield folder


def _write(mask: Path | None, picture: Path, target: Path) -> None:
    with Image.open(picture) as image:
        size = image.size
    if mask is None:
        Image.new("L", size, 255).save(target)
        return
    with Image.open(mask) as image:
        image.convert("L").resize(size, Image.Resampling.NEAREST).save(target)
