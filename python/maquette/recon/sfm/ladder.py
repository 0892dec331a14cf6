"""The registration gate, and the ladder of stronger methods climbed when a model fails it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maquette.errors import BadInput
from maquette.recon.sfm import engine, features, mapping, masks, matching, pairs
from maquette.recon.sfm.features import Effort, FeatureOptions
from maquette.recon.sfm.mapping import MAX_ERROR_PX, MappingOptions, Quality
from maquette.scene.events import Progress
from maquette.scene.paths import Scene

_EXHAUSTIVE_AT_MOST = 400  # 80,000 pairs; beyond it the next rungs use wider neighbourhoods
_WIDE = 20


@dataclass(frozen=True)
class PoseOptions:
    """Options of finding poses.

    Attributes:
        features: For features that are looked for once more.
        min_registered: The gate: smallest share of the images that must find a pose, 0..1.
        seed: Of every random choice.
    """

    features: FeatureOptions = field(default_factory=FeatureOptions)
    refine_principal_point: bool = False
    min_registered: float = 0.6
    seed: int = 0

    @property
    def mapping(self) -> MappingOptions:
        """The mapper's part."""
        known = bool(self.features.camera_params.strip())
        return MappingOptions(known, self.refine_principal_point, self.seed)


@dataclass
class Attempt:
    """What one rung gave."""

    rung: str
    database: Path
    model: Any
    quality: Quality
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Site:
    """Where the ladder stands: the scene, a folder to work in, and who to tell."""

    scene: Scene
    work: Path
    options: PoseOptions
    progress: Progress

    @property
    def pictures(self) -> Path:
        """The pictures as filmed."""
        return self.scene.images_raw


def climb(site: Site) -> Attempt:
    """Map; while the gate fails, try the next stronger method; return the best model.

    Raises:
        BadInput: even the best model does not pass the gate.
    """
    best: Attempt | None = None
    for name, sentence, rung in RUNGS:
        if best is not None:
            site.progress.say(
                f"{best.quality.registered} of {best.quality.images} images have a pose: {sentence}"
            )
        attempt = rung(site, name, best)
        if attempt is None:
            continue
        if best is None or attempt.quality > best.quality:
            best = attempt
        if best.quality.passes(site.options.min_registered):
            return best
    assert best is not None
    raise _failed(site, best)


def _as_matched(site: Site, name: str, best: Attempt | None) -> Attempt | None:
    return _mapped(site, name, site.scene.database)


def _exhaustively(site: Site, name: str, best: Attempt | None) -> Attempt | None:
    names = engine.image_names(site.scene.database)
    wanted = _many_pairs(site.scene.database, names, site.options.seed)
    if len(wanted) <= matching.counts(site.scene.database)["pairs_matched"]:
        return None  # they were all matched already
    database = site.work / "exhaustive.db"
    engine.copy(site.scene.database, database)
    matching.match(database, names, wanted, site.options.seed, site.progress)
    engine.settle(database)
    return _mapped(site, name, database)


def _with_more_features(site: Site, name: str, best: Attempt | None) -> Attempt | None:
    names, database = engine.image_names(site.scene.database), site.work / "features.db"
    with masks.for_colmap(site.scene) as mask_folder:
        features.extract(
            database,
            site.pictures,
            names,
            site.options.features,
            Effort.high(),
            mask_folder,
            site.progress,
        )
    wanted = _many_pairs(database, names, site.options.seed)
    matching.match(database, names, wanted, site.options.seed, site.progress)
    engine.settle(database)
    return _mapped(site, name, database)


def _globally(site: Site, name: str, best: Attempt | None) -> Attempt | None:
    made = site.work / "features.db"
    database = site.work / "global.db"
    engine.copy(made if made.exists() else site.scene.database, database)
    models = mapping.map_globally(
        database, site.pictures, _folder(site, name), site.options.mapping
    )
    engine.settle(database)
    return _judged(site, name, database, models)


Rung = Callable[[Site, str, "Attempt | None"], "Attempt | None"]
RUNGS: tuple[tuple[str, str, Rung], ...] = (
    ("incremental", "", _as_matched),
    ("exhaustive", "matching every picture with every other", _exhaustively),
    (
        "more-features",
        "looking for fainter and smaller features, which takes longer",
        _with_more_features,
    ),
    ("global", "solving for all poses at once", _globally),
)


def _many_pairs(database: Path, names: list[str], seed: int) -> list[pairs.Pair]:
    if len(names) <= _EXHAUSTIVE_AT_MOST:
        return pairs.exhaustive(len(names))
    wide = pairs.sequential(len(names), _WIDE)
    return pairs.in_tiles({*wide, *matching.propose(database, names, "sequential", seed)})


def _mapped(site: Site, name: str, database: Path) -> Attempt:
    folder = _folder(site, name)
    models = mapping.map_incrementally(
        database, site.pictures, folder, site.options.mapping, site.progress
    )
    return _judged(site, name, database, models)


def _folder(site: Site, name: str) -> Path:
    folder = site.work / name
    folder.mkdir(parents=True)
    return folder


def _judged(site: Site, name: str, database: Path, models: list[Any]) -> Attempt:
    images = len(engine.image_names(database))
    if not models:
        return Attempt(name, database, None, mapping.quality_of(None, images))
    attempt = Attempt(name, database, models[0], mapping.quality_of(models[0], images))
    if len(models) == 1:
        return attempt
    sizes = " + ".join(str(model.num_reg_images()) for model in models)
    joined = mapping.join(
        models, database, site.pictures, site.work / f"{name}-joined", site.options.mapping
    )
    quality = mapping.quality_of(joined, images)
    if quality > attempt.quality and quality.error_px <= MAX_ERROR_PX:
        attempt.model, attempt.quality = joined, quality
        attempt.remarks.append(
            f"{len(models)} separate models ({sizes} pictures) were joined into one"
        )
    else:
        attempt.remarks.append(
            f"{len(models)} separate models ({sizes} pictures): the largest is used"
        )
    site.progress.say(attempt.remarks[-1])
    return attempt


def _failed(site: Site, best: Attempt) -> BadInput:
    quality, gate = best.quality, site.options.min_registered
    detail = f"{100 * quality.ratio:.1f} % registered, gate is {100 * gate:.0f} %"
    if quality.points and quality.error_px > MAX_ERROR_PX:
        detail += f"; reprojection error {quality.error_px:.2f} px, gate is {MAX_ERROR_PX:.0f} px"
    return BadInput(
        f"only {quality.registered} of {quality.images} images found a pose: `{site.scene.name}`",
        detail=f"{detail}\ntried: {', '.join(name for name, _, _ in RUNGS)}",
        hint="sharper or closer frames help; try "
        f"`make prepare MODEL={site.scene.name} FRAMES=200 MATCHER=exhaustive`",
    )
