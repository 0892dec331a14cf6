"""The registration gate, and the list of stronger methods tried when a model fails it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from maquette.recon.sfm import (
    capacity,
    colmap,
    features,
    lens,
    mappers,
    matching,
    pairs,
    preemption,
)
from maquette.recon.sfm import principal_point as middle
from maquette.recon.sfm.features import Effort
from maquette.recon.sfm.judging import is_firm, judged, posed
from maquette.recon.sfm.learned import database as learned
from maquette.recon.sfm.learned import weights
from maquette.recon.sfm.masks import for_colmap
from maquette.recon.sfm.refusal import Refusal
from maquette.recon.sfm.rematching import many_pairs, with_other_cameras
from maquette.recon.sfm.workspace import Attempt, Mapper, Workspace

_MANY_FEATURES = 6000  # doubled pictures would give little more than these
_WORTH_MAPPING = 1.2  # times the features that failed
_NEARLY_ALL = 0.9  # of the pictures

Begun = Callable[[], None]


def register(workspace: Workspace) -> Attempt:
    """Map; while the gate fails, try the next stronger method; return the best model.

    Raises:
        BadInput: even the best model does not pass the gate.
    """
    best: Attempt | None = None
    tried: list[str] = []
    for name, sentence, method in METHODS:
        begun = _Begun(workspace, best, sentence)
        attempt = method(workspace, name, begun)
        if attempt is None:
            tried += [name] if begun.is_so else []
            continue
        tried += attempt.tried or (name,)
        if best is None or attempt.quality > best.quality:
            best = attempt
        if best.quality.passes(workspace.options.min_registered):
            return _with_its_principal_point(workspace, _with_its_lens(workspace, best))
    assert best is not None
    options, found = workspace.options, posed(best)
    raise Refusal(
        workspace.scene, best.quality, found, tried, options.min_registered, options.is_video
    ).error()


@dataclass
class _Begun:
    """Says what a method does, once it knows that there is something for it to do."""

    workspace: Workspace
    best: Attempt | None
    sentence: str
    is_so: bool = False

    def __call__(self) -> None:
        self.is_so = True
        if self.best is not None:
            found = self.best.quality
            self.workspace.progress.say(
                f"{found.registered} of {found.images} images have a pose: {self.sentence}"
            )


def _as_matched(workspace: Workspace, name: str, begun: Begun) -> Attempt | None:
    attempt = _mapped_by_size(workspace, name, workspace.scene.database)
    may_lack_pairs = workspace.options.by_look and attempt.quality.ratio < 1
    if not may_lack_pairs or not attempt.quality.passes(workspace.options.min_registered):
        return attempt  # all pairs come next, where it does not pass
    return _with_left_out(workspace, attempt)


def _with_left_out(workspace: Workspace, attempt: Attempt) -> Attempt:
    """Match pictures without a pose with every other and map again; the better of the two."""
    names, database = colmap.image_names(attempt.database), workspace.work / "left-out.db"
    has_pose = set(posed(attempt))
    wanted = [
        (one, other)
        for one, other in pairs.exhaustive(len(names))
        if names[one] not in has_pose or names[other] not in has_pose
    ]
    workspace.progress.say(
        f"{len(has_pose)} of {len(names)} images have a pose: matching the others with every one"
    )
    colmap.copy(attempt.database, database)
    before = matching.counts(database)["pairs_verified"]
    _match(workspace, database, wanted)
    if matching.counts(database)["pairs_verified"] == before:
        return attempt
    other = _mapped_by_size(workspace, "left-out", database)
    tried = (*(attempt.tried or (attempt.method,)), *(other.tried or (other.method,)))
    return replace(other if other.quality > attempt.quality else attempt, tried=tried)


def _exhaustively(workspace: Workspace, name: str, begun: Begun) -> Attempt | None:
    names = colmap.image_names(workspace.scene.database)
    wanted = many_pairs(workspace, workspace.scene.database, names)
    if len(wanted) <= matching.counts(workspace.scene.database)["pairs_matched"]:
        return None  # they were all matched already
    begun()
    database = workspace.work / "exhaustive.db"
    colmap.copy(workspace.scene.database, database)
    matching.match(database, names, wanted, workspace.options.seed, workspace.progress)
    colmap.settle(database)
    return _mapped_by_size(workspace, name, database)


def _without_exif_focal(workspace: Workspace, name: str, begun: Begun) -> Attempt | None:
    """EXIF's focal length is wrong where a picture was cropped, or an old lens told nothing."""
    told = lens.known_focals(workspace.scene.database)
    if not told or workspace.options.mapping.intrinsics_known:
        return None
    begun()
    database = with_other_cameras(workspace, name, workspace.scene.database, lens.forget_focals)
    attempt = _mapped_by_size(workspace, name, database)
    shown = ", ".join(f"{focal:.0f}" for focal in sorted(set(told))[:3])
    attempt.remarks.append(f"EXIF's focal length ({shown} px) does not fit the pictures: left out")
    return attempt


def _with_more_features(workspace: Workspace, name: str, begun: Begun) -> Attempt | None:
    before = features.counts(workspace.scene.database)
    if before["features_per_image"] > _MANY_FEATURES:
        return None
    begun()
    database = _extracted(workspace, name, Effort.doubled())
    if features.counts(database)["features"] < _WORTH_MAPPING * before["features"]:
        return None  # the pictures were doubled before
    return _matched_and_mapped(workspace, name, database)


def _with_faint_features(workspace: Workspace, name: str, begun: Begun) -> Attempt | None:
    begun()
    return _matched_and_mapped(workspace, name, _extracted(workspace, name, Effort.high()))


def _with_learned_features(workspace: Workspace, name: str, begun: Begun) -> Attempt | None:
    """Solved one by one alone: poses from these matches all at once look right and are not."""
    source = workspace.scene.database
    if not weights.are_installed() or learned.is_in(source):
        return None
    from maquette.recon.sfm.learned.matching import complete  # it loads torch

    begun()
    database, names = workspace.work / f"{name}.db", colmap.image_names(source)
    colmap.copy(source, database)
    wanted, seed = many_pairs(workspace, database, names), workspace.options.seed
    with for_colmap(workspace.scene) as masks:
        complete(database, workspace.pictures, wanted, masks, seed, workspace.progress)
    colmap.settle(database)
    return _mapped(workspace, name, database, mappers.incrementally)


Method = Callable[[Workspace, str, Begun], "Attempt | None"]
METHODS: tuple[tuple[str, str, Method], ...] = (
    ("incremental", "", _as_matched),
    ("exhaustive", "matching every picture with every other", _exhaustively),
    ("no-exif-focal", "leaving out the focal length that EXIF tells", _without_exif_focal),
    ("more-features", "looking for smaller features", _with_more_features),
    ("learned-features", "looking for features with a network", _with_learned_features),
    (
        "faint-features",
        "looking for faint and slanted features, which takes longer",
        _with_faint_features,
    ),
)


def _extracted(workspace: Workspace, name: str, effort: Effort) -> Path:
    names, database = colmap.image_names(workspace.scene.database), workspace.work / f"{name}.db"
    with for_colmap(workspace.scene) as mask_folder:
        wanted, told = workspace.options.features, workspace.progress
        features.extract(database, workspace.pictures, names, wanted, effort, mask_folder, told)
    return database


def _matched_and_mapped(workspace: Workspace, name: str, database: Path) -> Attempt:
    _match(workspace, database, many_pairs(workspace, database, colmap.image_names(database)))
    return _mapped_by_size(workspace, name, database)


def _match(workspace: Workspace, database: Path, wanted: list[pairs.Pair]) -> None:
    search = preemption.match if preemption.pays(database, wanted) else matching.match
    names, seed = colmap.image_names(database), workspace.options.seed
    search(database, names, wanted, seed, workspace.progress)
    colmap.settle(database)


def _mapped_by_size(workspace: Workspace, name: str, database: Path) -> Attempt:
    """One by one; all at once first where that would be long; in clusters what is too large.

    Raises:
        JobFailed: the memory does not suffice.
    """
    images = len(colmap.image_names(database))
    matches = matching.counts(database)["matches"]
    if capacity.cluster_size(images, matches, workspace.options.cluster_size):
        return _mapped(workspace, _large(name, "clusters"), database, mappers.in_clusters)
    if images <= capacity.ONE_BY_ONE:
        return _mapped_both_ways(workspace, name, database)
    attempt = _mapped(workspace, _large(name, "global"), database, mappers.globally)
    if is_firm(attempt.quality) and attempt.quality.passes(_NEARLY_ALL):
        return attempt
    other = _mapped(workspace, name, database, mappers.incrementally)
    better = attempt if is_firm(attempt.quality) and attempt.quality > other.quality else other
    return replace(better, tried=(attempt.method, other.method))


def _large(name: str, way: str) -> str:
    """What a method is called where it maps a large set in its usual way."""
    return way if name == "incremental" else f"{name}-{way}"


def _mapped_both_ways(workspace: Workspace, name: str, database: Path) -> Attempt:
    """Where pictures are left out, solve for all poses at once too: it takes seconds."""
    attempt = _mapped(workspace, name, database, mappers.incrementally)
    if attempt.quality.passes(_NEARLY_ALL):
        return attempt
    other = _mapped(workspace, f"{name}-global", database, mappers.globally)
    better = other if is_firm(other.quality) and other.quality > attempt.quality else attempt
    return replace(better, tried=(attempt.method, other.method))


def _mapped(workspace: Workspace, name: str, database: Path, mapper: Mapper) -> Attempt:
    attempt = judged(workspace, name, database, mapper(workspace, name, database))
    attempt.mapper = mapper
    return attempt


def _with_its_lens(workspace: Workspace, attempt: Attempt) -> Attempt:
    """Map again with a fisheye, where the lens that was found bends too much for a usual one."""
    is_known = workspace.options.mapping.intrinsics_known
    if attempt.mapper is None or is_known or lens.is_fisheye(attempt.model):
        return attempt
    wide = lens.widening(attempt.model)
    if wide <= lens.BENDS:
        return attempt
    name = f"{attempt.method}-fisheye"
    workspace.progress.say("the lens seems to be a fisheye's: trying that")
    database = with_other_cameras(workspace, name, attempt.database, lens.take_for_fisheye)
    found = _mapped(workspace, name, database, attempt.mapper)
    if found.quality > attempt.quality:
        found.remarks.append(f"the lens is a fisheye's: taken as CAMERA_MODEL={lens.FISHEYE}")
        found = replace(found, method=attempt.method)
    else:
        found = attempt
        if wide > lens.IMPOSSIBLE:
            found.remarks.append(
                f"no lens bends like the one that was found (straight pictures would be "
                f"{wide:.1f} times as large): the poses are hardly right"
            )
    if found.remarks:
        workspace.progress.say(found.remarks[-1])
    return found


def _with_its_principal_point(workspace: Workspace, attempt: Attempt) -> Attempt:
    """Map again with a free principal point, where it is told to be off the middle."""
    options = workspace.options
    if options.refine_principal_point != "auto" or attempt.mapper is None:
        return attempt
    evidence = middle.evidence(attempt.model, options.mapping)
    if evidence is None or not evidence.is_clear:
        return attempt
    free = replace(workspace, options=replace(options, refine_principal_point=True))
    found = _mapped(free, f"{attempt.method}-free", attempt.database, attempt.mapper)
    if found.quality.registered < attempt.quality.registered:
        return attempt
    right, down = middle.offset(found.model)
    found.remarks.append(
        f"the principal point is off the pictures' middle by {right:.0f}, {down:.0f} px "
        "(right, down), as after cropping"
    )
    workspace.progress.say(found.remarks[-1])
    return replace(found, method=attempt.method)
