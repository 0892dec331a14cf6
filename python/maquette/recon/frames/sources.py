"""Which files an input consists of, and whether they can make a scene."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from maquette.counting import counted
from maquette.errors import BadInput, NotFound
from maquette.recon.frames import content, panorama, photos, video
from maquette.recon.frames.deep import White
from maquette.recon.frames.photos import Photo
from maquette.recon.frames.video import VideoFacts
from maquette.scene import pose_files
from maquette.scene.input_source import files_below
from maquette.scene.paths import IMAGE_SUFFIXES, VIDEO_SUFFIXES

MIN_PHOTOS = 3
_PLAIN = (".jpg", ".jpeg")
_NOUNS = {
    "photo": "photo",
    "raw": "raw file",
    "video": "video",
    "zip": "zip file",
    "other": "other file",
}


@dataclass(frozen=True)
class Source:
    """A usable input: either one video or at least three photos, in the order of their names."""

    photos: tuple[Photo, ...] = ()
    video: Path | None = None
    facts: VideoFacts | None = None
    remarks: tuple[str, ...] = ()

    @property
    def white(self) -> White:
        """What becomes 255 in photos of more than 8 bits: one for all of them."""
        return White.of(photo.depth for photo in self.photos)

    @property
    def is_panoramic(self) -> bool:
        """Whether most photos are 360° panoramas."""
        return 2 * sum(photo.goes_round for photo in self.photos) > len(self.photos)


def examine(folder: Path, shown: str = "") -> Source:
    """Decide what an input folder holds, decoding every photo.

    Args:
        shown: How the person calls the folder, for messages.

    Raises:
        NotFound: it is empty.
        BadInput: it holds neither one video nor three readable photos.
    """
    files = files_below(folder)
    if not files:
        raise NotFound(
            f"the input is empty: `{shown or folder}`",
            hint="set INPUT= to a video or a folder of photos",
        )
    by_kind: dict[str, list[Path]] = {kind: [] for kind in _NOUNS}
    for path in files:
        by_kind[_kind(path)].append(path)
    if len(by_kind["photo"]) >= MIN_PHOTOS:
        return _photo_source(by_kind)
    if len(by_kind["video"]) == 1 and not by_kind["photo"]:
        return _video_source(by_kind["video"][0], by_kind["other"])
    raise _unusable(shown or folder.name, by_kind)


def _kind(path: Path) -> str:
    kind = content.kind_of(path)
    is_named_photo = path.suffix.lower() in IMAGE_SUFFIXES
    if kind == "other" and (is_named_photo or content.looks_like_photo(path)):
        return "photo"  # a damaged one: reading it will say why
    return "video" if kind == "other" and path.suffix.lower() in VIDEO_SUFFIXES else kind


def _photo_source(by_kind: dict[str, list[Path]]) -> Source:
    found, twins = _without_twins(photos.check(by_kind["photo"]))
    remarks = [f"the same photo in another format: not used: {_names(twins)}"] if twins else []
    if by_kind["raw"]:
        names = _names(by_kind["raw"])
        remarks.append(f"{counted(len(by_kind['raw']), 'raw file')} not used: {names}")
    if deep := sum(photo.depth is not None for photo in found):
        remarks.append(f"{counted(deep, 'photo')} of more than 8 bits: brightened by one factor")
    if by_kind["video"]:
        beside = counted(len(by_kind["video"]), "video")
        remarks.append(f"{beside} beside the photos: not used")
    unknown = by_kind["other"] + by_kind["zip"]
    poses = pose_files.among(unknown)
    remarks += _other_remark([path for path in unknown if path not in poses])
    if 2 * sum(photo.goes_round for photo in found) > len(found):
        remarks.append(
            f"the photos look like 360° panoramas: each is cut into {panorama.VIEWS} views of 90° "
            "around the horizon"
        )
    portrait = sum(photo.height > photo.width for photo in found)
    if 0 < portrait < len(found):
        remarks.append(
            f"{portrait} upright and {len(found) - portrait} wide photos: each shape is a camera"
        )
    sizes = Counter((photo.width, photo.height) for photo in found)
    if len(sizes) > 1:
        shown = ", ".join(f"{count} of {w}×{h}" for (w, h), count in sizes.most_common(4))
        remarks.append(f"photos of {len(sizes)} sizes: {shown}")
    return Source(photos=tuple(found), remarks=tuple(remarks))


def _video_source(path: Path, others: list[Path]) -> Source:
    facts = video.read_facts(path)
    if facts.frames < MIN_PHOTOS:
        has = counted(facts.frames, "frame")
        raise BadInput(
            f"the video has {has}, {MIN_PHOTOS} are needed at least: `{path.name}`",
            hint="walk around the object for 20 seconds or more",
        )
    return Source(video=path, facts=facts, remarks=(*facts.remarks, *_other_remark(others)))


def _other_remark(others: list[Path]) -> list[str]:
    if not others:
        return []
    return [f"not used, neither photo nor video: {counted(len(others), 'file')}: {_names(others)}"]


def _without_twins(found: list[Photo]) -> tuple[list[Photo], list[Path]]:
    """Photos, and the second files of those that a camera wrote in two formats."""
    first: dict[tuple[Path, str, int, int], Photo] = {}
    for photo in sorted(found, key=lambda photo: photo.path.suffix.lower() not in _PLAIN):
        key = (photo.path.parent, photo.path.stem.casefold(), photo.width, photo.height)
        first.setdefault(key, photo)
    kept = {photo.path for photo in first.values()}
    twins = [photo.path for photo in found if photo.path not in kept]
    return [photo for photo in found if photo.path in kept], twins


def _names(paths: list[Path]) -> str:
    return ", ".join(path.name for path in paths[:4]) + (" …" if len(paths) > 4 else "")


def _unusable(folder: str, by_kind: dict[str, list[Path]]) -> BadInput:
    counts = ", ".join(
        counted(len(by_kind[kind]), _NOUNS[kind]) for kind in by_kind if by_kind[kind]
    )
    if len(by_kind["video"]) > 1:
        return BadInput(
            f"the input holds {len(by_kind['video'])} videos, a scene is made from one: `{folder}`",
            hint=f"choose one, e.g. INPUT='{by_kind['video'][0].name}'",
        )
    if by_kind["raw"]:
        return BadInput(
            f"raw files must be developed first: `{by_kind['raw'][0].name}`",
            detail=f"found: {counts}",
            hint="write JPEGs beside them, e.g. `darktable-cli IMG.NEF IMG.jpg`, all with the "
            "same settings; then run the same command again",
        )
    if by_kind["photo"]:
        only = counted(len(by_kind["photo"]), "photo")
        return BadInput(
            f"only {only}, at least {MIN_PHOTOS} are needed: `{folder}`",
            detail=f"found: {counts}",
            hint="30 to 150 photos all around the object work well",
        )
    first = next(path for paths in by_kind.values() for path in paths)
    return BadInput(
        f"the input holds neither a video nor photos: `{first.name}`",
        detail=f"found: {counts}",
        hint="set INPUT= to a video, a folder of photos or a .zip of photos",
    )
