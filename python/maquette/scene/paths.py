"""Where everything of a scene lies."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path

from maquette.pipelines.pipeline import COMMON

OWN_FOLDER = ".maquette"  # bookkeeping of this machine, which never moves to another
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".heic", ".mpo"})
VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".mkv", ".webm", ".m4v", ".avi"})


@dataclass(frozen=True)
class Scene:
    """One folder `scenes/<MODEL>/`, as one of its pipelines sees it.

    Attributes:
        pipeline: Whose runs and results these are; COMMON for who looks at none.
    """

    root: Path
    pipeline: str = COMMON

    @property
    def name(self) -> str:
        return self.root.resolve().name

    @property
    def input(self) -> Path:
        return self.root / "input"

    @property
    def images_raw(self) -> Path:
        return self.root / "images_raw"

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def masks(self) -> Path:
        return self.root / "masks"

    @property
    def masks_input(self) -> Path:
        """Masks that came with the photos, made by prepare, named after its pictures."""
        return self.root / "masks_input"

    @property
    def masks_undistorted(self) -> Path:
        """Masks of the undistorted pictures, made by prepare."""
        return self.root / "masks_undistorted"

    @property
    def database(self) -> Path:
        return self.root / "database.db"

    @property
    def sparse(self) -> Path:
        """The undistorted COLMAP model, beside `images/`."""
        return self.root / "sparse" / "0"

    @property
    def distorted(self) -> Path:
        """The COLMAP model as mapped, beside `images_raw/`."""
        return self.root / "sparse_raw" / "0"

    @property
    def transforms(self) -> Path:
        return self.root / "transforms.json"

    @property
    def georeference(self) -> Path:
        """Where the scene lies on Earth, its scale and its up, where these are known."""
        return self.root / "georeference.json"

    @property
    def config(self) -> Path:
        return self.root / "config.yaml"

    @property
    def settings(self) -> Path:
        """What the scene's steps were told, for the commands after."""
        return self.root / "settings.yaml"

    @property
    def results(self) -> Path:
        """What the pipeline gives a person: meshes, splats, pictures, and `outputs.json`."""
        return self.root / "results" / self._owner()

    @property
    def runs(self) -> Path:
        """The folder of the pipeline's training runs, one a group."""
        return self.root / "runs" / self._owner()

    @property
    def stages(self) -> Path:
        return self.root / "stages"

    def records(self, owner: str) -> Path:
        """The folder of the records of a pipeline's stages, or of the COMMON ones."""
        return self.stages / owner

    def options_file(self, owner: str, step: str) -> Path:
        """What the newest job of a step was told."""
        return self.records(owner) / "options" / f"{step}.json"

    @property
    def events(self) -> Path:
        return self.stages / "events.jsonl"

    @property
    def report(self) -> Path:
        return self.root / "report.json"

    @property
    def report_page(self) -> Path:
        """The same for the eye: one file that opens in any browser."""
        return self.root / "report.html"

    @property
    def evaluation(self) -> Path:
        return self.results / "evaluation.json"

    @property
    def ground_truth(self) -> Path:
        """Truth copied from the input, when there is one (cameras and surface)."""
        return self.root / "ground_truth"

    def run(self, group: str) -> Path:
        """The folder of a training run: checkpoints, settings, metrics, previews."""
        return self.runs / group

    def dense(self, group: str) -> Path:
        """The folder of the pipeline's dense stereo: a COLMAP dense workspace, one a group."""
        return self.root / "dense" / self._owner() / group

    def dense_of_any(self, group: str) -> list[Path]:
        """The dense workspaces of a group, whatever pipelines made them, by their names."""
        return sorted(self.root.glob(f"dense/*/{glob.escape(group)}/"))

    def of(self, pipeline: str) -> Scene:
        """The same scene as another pipeline sees it."""
        return Scene(self.root, pipeline)

    def relative(self, path: Path) -> str:
        """Write a path inside the scene without the machine's part."""
        return path.relative_to(self.root).as_posix()

    def _owner(self) -> str:
        if self.pipeline == COMMON:
            raise ValueError("runs and results are those of a pipeline: name it")
        return self.pipeline
