"""The part of the page about photographs, cameras and region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maquette.counting import counted
from maquette.errors import MaquetteError
from maquette.recon.report_page import plan_view
from maquette.recon.report_page.album import Album
from maquette.recon.report_page.markup import Html, bullets, element, figure, joined
from maquette.recon.report_page.plan_view import photo_name
from maquette.scene import colmap_model, originals, transforms
from maquette.scene.finished_work import Work
from maquette.scene.paths import Scene

_MOST_SHOWN, _MOST_UNUSED = 48, 24
_SMALL_PX = 240


@dataclass(frozen=True)
class Photos:
    """The pictures of a scene.

    Attributes:
        used: Names in `images/` of those with a pose.
        unused: Names in `images_raw/` of the others.
        titles: What a person calls each.
    """

    used: tuple[str, ...]
    unused: tuple[str, ...]
    titles: dict[str, str]

    @classmethod
    def of(cls, scene: Scene) -> Photos:
        """Those of a scene that is prepared, or on its way there."""
        titles = originals.titles(scene)
        try:
            posed = {photo_name(frame) for frame in transforms.read(scene.transforms).frames}
        except MaquetteError:
            return cls((), tuple(sorted(titles)), titles)
        names = sorted(titles.keys() | posed)
        titles = {name: titles.get(name, name) for name in names}
        left = tuple(name for name in names if name not in posed)
        return cls(tuple(sorted(posed)), left, titles)


def photographs(scene: Scene, common: Work, album: Album) -> Html:
    """Which photographs count, which do not, and why."""
    photos = Photos.of(scene)
    told = f"{_counts(scene, common, photos)}{_given(common)}"
    parts = [element("h2", "Photographs"), element("p", told)]
    parts.append(bullets(_input_remarks(common)))
    shown = photos.used[:: max(1, -(-len(photos.used) // _MOST_SHOWN))]
    cells = [_cell(scene, name, photos.titles[name], album, is_used=True) for name in shown]
    unused = photos.unused[:_MOST_UNUSED]
    cells += [_cell(scene, name, photos.titles[name], album, is_used=False) for name in unused]
    parts.append(element("div", *cells, class_="photos"))
    hidden = len(photos.used) - len(shown), len(photos.unused) - len(unused)
    if any(hidden):
        parts.append(element("p", f"{sum(hidden):,} more are not shown here.", class_="soft small"))
    return joined(parts)


def _counts(scene: Scene, common: Work, photos: Photos) -> str:
    noun = "frame" if originals.is_video(scene) else "photograph"
    size = common.numbers("frames")
    pixels = f" of {size['width']} × {size['height']} pixels" if "width" in size else ""
    total = len(photos.used) + len(photos.unused)
    if not photos.used:
        return f"{counted(total, noun)}{pixels}; none has a pose yet."
    if not photos.unused:
        return f"{counted(total, noun)}{pixels}, all of them used."
    return (
        f"{len(photos.used):,} of {counted(total, noun)}{pixels} are used. "
        f"No pose was found for the other {len(photos.unused):,}: they show too little of what "
        "the rest shows, or are not sharp enough."
    )


def _given(common: Work) -> str:
    """How many of the input's pictures prepare took, where these are not all, and masks."""
    given, taken = common.numbers("input"), common.numbers("frames").get("images", 0)
    words = ""
    for name, noun in (("frames", "frames of the video"), ("photos", "photographs given")):
        if taken and given.get(name, 0) > taken:
            words += f" Prepare took {taken:,} of the {given[name]:,} {noun}."
    masks = common.numbers("features").get("masks")
    return words + (f" Masks hide parts of {masks:,} of them." if masks else "")


def _input_remarks(common: Work) -> list[str]:
    asked = ("input", "frames")
    return [text for record in common.records if record.stage in asked for text in record.remarks]


def _cell(scene: Scene, name: str, title: str, album: Album, *, is_used: bool) -> Html:
    path = (scene.images if is_used else scene.images_raw) / name
    if not is_used and not path.is_file():  # pruned
        return Html("")
    words = title if is_used else f"{title}: no pose"
    picture = album.picture(path, f"{path.parent.name}/{name}", words, _SMALL_PX, part=0.1)
    return figure(picture, words, "used" if is_used else "unused") if picture else Html("")


def cameras(scene: Scene, common: Work, album: Album) -> Html:
    """Where the photographs were taken, what they see, and the region."""
    poses = common.numbers("poses")
    try:
        read = transforms.read(scene.transforms)
    except MaquetteError:
        told = "can not be read" if scene.transforms.is_file() else "is not there yet"
        words = f"`{scene.transforms.name}`, which holds them, {told}."
        return joined([element("h2", "Cameras and region"), element("p", words)])
    points, colors = np.zeros((0, 3)), np.zeros((0, 3), np.uint8)
    missing = ""
    try:
        model = colmap_model.read(scene.sparse)
        points, colors = model.points, model.colors
    except (MaquetteError, OSError):
        missing = f"The points are not shown: `{scene.relative(scene.sparse)}` can not be read."
    frames = sorted(read.frames, key=lambda frame: frame.file_path)
    titles = originals.titles(scene)
    names = [titles.get(photo_name(frame), photo_name(frame)) for frame in frames]
    drawing = plan_view.draw(frames, names, read.region, points, colors, album, read.up)
    above = "From above" if read.up is not None else "From above, if the photos' upper edges are up"
    caption = (
        f"{above}, and below that from the side: cameras in "
        "blue, points in the photos' colours, the region's sphere in orange and its box dashed."
    )
    parts = [
        element("h2", "Cameras and region"),
        element("p", _poses_told(poses)) if poses else "",
        figure(drawing, caption, "plan"),
        element("p", missing) if missing else "",
        element("p", _region_told(common, read)),
        element("p", place) if (place := _place_told(common)) else "",
    ]
    return joined(parts)


def _poses_told(poses: dict[str, object]) -> str:
    facts = {
        "points": "{:,} points", "mean_track_length": "each seen by {:.1f} photos",
        "mean_reprojection_error_px": "{:.2f} pixels off on average",
    }  # fmt: skip
    told = [words.format(poses[name]) for name, words in facts.items() if name in poses]
    lens = f"; lens {poses['camera_model']}" if "camera_model" in poses else ""
    focal = f", focal length {poses['focal_px']:,.0f} pixels" if "focal_px" in poses else ""
    return ", ".join(told) + lens + focal + "."


def _place_told(common: Work) -> str:
    """What is known of scale, up and place on Earth."""
    found = common.numbers("georeference")
    told = []
    if "epsg" in found:
        by = "ground control points" if "gcp" in found else "the photos' GPS"
        off = found.get("gcp_rms_m", found.get("gps_rms_m"))
        told.append(
            f"placed on Earth by {by}, which it meets to {off:.3g} m (EPSG:{found['epsg']})"
        )
    if "check_rms_m" in found:
        told.append(f"check points are met to {found['check_rms_m']:.3g} m")
    if "metres_per_unit" in found:
        told.append(f"a unit is {found['metres_per_unit']:.5g} m")
    if "height_over_ground_m" in found:
        told.append(f"the cameras stand {found['height_over_ground_m']:.3g} m above the ground")
    if not told:
        return ""
    return f"The place: {', '.join(told)}."


def _region_told(common: Work, read: transforms.Transforms) -> str:
    middle = ", ".join(f"{value:.4g}" for value in read.region.center)
    found = common.numbers("region")
    inside = found.get("points_inside")
    share = ""
    if isinstance(inside, int) and (all_points := inside + int(found.get("points_outside", 0))):
        share = f" {inside:,} of {all_points:,} points lay in the one that prepare chose."
    return f"The region: a sphere of radius {read.region.radius:.4g} around ({middle}).{share}"
