"""The photos of a scene that a mesh is refined with, and those that each is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maquette.errors import BadInput
from maquette.recon.mesh_refinement.pictures import Pictures
from maquette.recon.mvs.grey_views import GreyViews
from maquette.recon.mvs.neighbours import sources_among
from maquette.recon.mvs.plan import Effort, taken_views
from maquette.recon.views.views import Views
from maquette.scene import colmap_model
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame


@dataclass(frozen=True)
class ScenePhotos:
    """Photos with the numbers of those that each is compared with."""

    pictures: Pictures
    pairs: Sequence[Sequence[int]]

    @classmethod
    def of(
        cls, scene: Scene, frames: Sequence[Frame], long_side: int, effort: Effort
    ) -> ScenePhotos:
        """Those of a scene, as its sparse points say that they show the same.

        Args:
            frames: Of all photos.
            long_side: Larger photos are reduced to this, pixels.
            effort: Tells which photos are taken, and how many each is compared with.

        Raises:
            BadInput: a photo is missing or damaged, or nothing tells which show the same.
        """
        ordered = sorted(frames, key=lambda frame: frame.file_path)
        has_points = all((scene.sparse / name).is_file() for name in colmap_model.FILES)
        tracks = colmap_model.read_tracks(scene.sparse) if has_points else None
        if tracks is None or tracks.names != tuple(Path(f.file_path).name for f in ordered):
            raise _untold(scene)
        pairs = sources_among(taken_views(tracks, effort), tracks, ordered, effort.sources)
        taken = [number for number, found in enumerate(pairs) if found]
        if not taken:
            raise _untold(scene)
        views = Views(scene, [ordered[number] for number in taken], long_side)
        place = {number: at for at, number in enumerate(taken)}
        return cls(
            Pictures(views.frames, GreyViews(views)),
            [[place[other] for other, _ in pairs[number] if other in place] for number in taken],
        )


def _untold(scene: Scene) -> BadInput:
    return BadInput(
        f"no points of `{scene.relative(scene.sparse)}` tell which photos show the same",
        hint="leave out REFINE=1, or run `make prepare` again with FORCE_STAGE=undistort",
    )
