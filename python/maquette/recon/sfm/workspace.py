"""What the search for poses works with: its options, its place, and what a method gave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from maquette.recon.sfm.features import FeatureOptions
from maquette.recon.sfm.mapping import MappingOptions, Quality
from maquette.scene.events import Progress
from maquette.scene.paths import Scene

PrincipalPoint = bool | Literal["auto"]


@dataclass(frozen=True)
class PoseOptions:
    """Options of finding poses.

    Attributes:
        features: For features that are looked for once more.
        refine_principal_point: Whether it may move; `auto`: where the pictures tell that it is
            off their middle.
        min_registered: The gate: smallest share of the images that must find a pose, 0..1.
        is_video: The pictures are frames of a video, of which more can be taken.
        seed: Of every random choice.
        cluster_size: Photos that are mapped together at most; 0: by their number and the memory.
        workers: Processes that map clusters side by side.
        by_look: Pictures were matched with those that look alike, so that a pair may be missing
            which one that is left out needs.
    """

    features: FeatureOptions = field(default_factory=FeatureOptions)
    refine_principal_point: PrincipalPoint = "auto"
    min_registered: float = 0.6
    seed: int = 0
    is_video: bool = True
    cluster_size: int = 0
    workers: int = 1
    by_look: bool = False

    @property
    def mapping(self) -> MappingOptions:
        """The mapper's part."""
        known = bool(self.features.camera_params.strip())
        return MappingOptions(known, self.refine_principal_point is True, self.seed)


@dataclass
class Attempt:
    """What one method gave.

    Attributes:
        database: Whose pictures and features the model has.
        mapper: What made the models of that database.
        tried: All methods that the same matches were given to, where there was more than one.
    """

    method: str
    database: Path
    model: Any
    quality: Quality
    remarks: list[str] = field(default_factory=list)
    mapper: Mapper | None = None
    tried: tuple[str, ...] = ()


@dataclass(frozen=True)
class Workspace:
    """Where the poses are found: the scene, a folder to work in, and who to tell.

    Attributes:
        kept: Where a long search leaves what it goes on from after a kill; None: nowhere.
    """

    scene: Scene
    work: Path
    options: PoseOptions
    progress: Progress
    kept: Path | None = None

    @property
    def pictures(self) -> Path:
        """The pictures as filmed."""
        return self.scene.images_raw


Mapper = Callable[[Workspace, str, Path], list[Any]]
