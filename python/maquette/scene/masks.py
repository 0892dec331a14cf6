"""Masks of a scene: which file belongs to which picture. Black is not used.

`masks/` holds what a person laid there, `masks_input/` what came with the photos (a folder of
masks, or their transparency), both of pictures as they were taken; `masks_undistorted/` what
prepare made of them for its undistorted pictures, with a note of what it was made from.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from maquette.counting import counted
from maquette.errors import BadInput
from maquette.scene.atomic import write_json
from maquette.scene.paths import IMAGE_SUFFIXES, Scene

SUFFIX = ".png"
_ENDINGS = (".mask", "_mask", "-mask")  # what other programs add to a photo's name
_SOURCES = "sources.json"
_SHOWN = 6


@dataclass(frozen=True)
class Matched:
    """Masks by the names of their pictures, and files that are no mask of any."""

    by_picture: Mapping[str, Path]
    strangers: tuple[Path, ...] = ()
    not_png: tuple[Path, ...] = ()

    def remarks(self) -> list[str]:
        """What a person should know of files that are not used."""
        found = []
        if self.strangers:
            found.append(f"masks without a photo of their name: {_shown(self.strangers)}")
        if self.not_png:
            found.append(f"masks that are not PNG: not used: {_shown(self.not_png)}")
        return found


def match(files: Iterable[Path], names: Mapping[str, Sequence[str]]) -> Matched:
    """Find the mask of each picture.

    `000001.jpg.png` (COLMAP's way), `000001.png`, `IMG_7.JPG.png`, `IMG_7.png` and `IMG_7_mask.png`
    are understood, in any case.

    Args:
        names: What each picture may be called, by its name.
    """
    pictures: dict[str, str] = {}
    for called in (str, _stem):
        for picture, others in names.items():
            for name in others:
                pictures.setdefault(called(name).casefold(), picture)
    found: dict[str, Path] = {}
    strangers: list[Path] = []
    not_png: list[Path] = []
    for path in sorted(files):
        owner = _picture(path, pictures)
        if path.suffix.lower() != SUFFIX:
            not_png.append(path)
        elif owner is None:
            strangers.append(path)
        else:
            found.setdefault(owner, path)
    return Matched(found, tuple(strangers), tuple(not_png))


def raw(scene: Scene) -> Matched:
    """Masks of the pictures of `images_raw/`.

    Raises:
        BadInput: there are masks, but none belongs to a picture.
    """
    given = _files(scene.masks_input)
    own = _files(scene.masks)
    if not given and not own:
        return Matched({})
    names = _names(scene)
    matched = match(own, names)
    if own and not matched.by_picture:
        raise BadInput(
            f"of {counted(len(own), 'mask')} none belongs to a picture: `{scene.masks}`",
            hint="name a mask after its photo, e.g. IMG_7.png for IMG_7.JPG; black is ignored",
        )
    found = {path.with_suffix(".jpg").name: path for path in given}
    return Matched(found | dict(matched.by_picture), matched.strangers, matched.not_png)


def straight(scene: Scene, pictures: Iterable[str]) -> dict[str, Path]:
    """Masks of pictures of `images/`, by their names.

    What was changed since prepare undistorted it counts as it is now.
    """
    wanted = {picture: (picture,) for picture in pictures}
    if not (scene.root / "images_raw.json").is_file():
        return dict(match(_files(scene.masks), wanted).by_picture)
    found = dict(raw(scene).by_picture)
    sources = _sources(scene)
    for picture, path in found.items():
        warped = scene.masks_undistorted / f"{PurePath(picture).stem}{SUFFIX}"
        if warped.is_file() and sources.get(picture) == _digest(path):
            found[picture] = warped
    return {picture: path for picture, path in found.items() if picture in wanted}


def files(scene: Scene) -> list[Path]:
    """All files that tell which pixels of the pictures are used; none without masks."""
    folders = (scene.masks, scene.masks_input, scene.masks_undistorted)
    found = [path for folder in folders for path in _files(folder)]
    return [*found, scene.root / "images_raw.json"] if found else []


def note_sources(folder: Path, found: Mapping[str, Path]) -> None:
    """Note in a folder of undistorted masks what they were made from."""
    write_json(folder / _SOURCES, {picture: _digest(path) for picture, path in found.items()})


def _sources(scene: Scene) -> dict[str, str]:
    try:
        found = json.loads((scene.masks_undistorted / _SOURCES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _names(scene: Scene) -> dict[str, list[str]]:
    """What each picture may be called: by its own name and, of photos, by the photo's."""
    mapping = json.loads((scene.root / "images_raw.json").read_text(encoding="utf-8"))
    own = {entry["name"]: [entry["name"]] for entry in mapping["images"]}
    if mapping["source"] != "photos":
        return own
    originals = by_original((entry["name"], entry["original"]) for entry in mapping["images"])
    return {picture: [*names, *originals[picture]] for picture, names in own.items()}


def by_original(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The photo's name of each picture, unless more pictures were cut from the same photo.

    Args:
        pairs: Each picture's name and its photo's.
    """
    known = list(pairs)
    count = Counter(original for _, original in known)
    return {picture: [original] * (count[original] == 1) for picture, original in known}


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")
    )


def _picture(path: Path, pictures: Mapping[str, str]) -> str | None:
    stem = path.stem.casefold()
    stems = [stem, *(stem.removesuffix(ending) for ending in _ENDINGS)]
    if PurePath(stem).suffix in IMAGE_SUFFIXES:
        stems.append(_stem(stem))  # of the same photo in another format
    return next((pictures[each] for each in stems if each in pictures), None)


def _stem(name: str) -> str:
    return PurePath(name).stem


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _shown(paths: Sequence[Path]) -> str:
    names = ", ".join(path.name for path in paths[:_SHOWN])
    return names + (f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else "")
