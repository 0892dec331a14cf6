"""The photos of a scene that a mesh is refined with, and those that each is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
    ) -> ScenePhotos | None:
        """Those of a scene, as the points say that they share; None where there are none.

        Args:
            frames: Of all photos.
            long_side: Larger photos are reduced to this, pixels.
            effort: Tells which photos are taken, and how many each is compared with.

        Raises:
            BadInput: a photo or the sparse model is missing or damaged.
        """
        if not all((scene.sparse / name).is_file() for name in colmap_model.FILES):
            return None
        ordered = sorted(frames, key=lambda frame: frame.file_path)
        tracks = colmap_model.read_tracks(scene.sparse)
        if tracks.names != tuple(Path(frame.file_path).name for frame in ordered):
            return None
        pairs = sources_among(taken_views(len(ordered), effort), tracks, ordered, effort.sources)
        taken = [number for number, found in enumerate(pairs) if found]
        if not taken:
            return None
        views = Views(scene, [ordered[number] for number in taken], long_side)
        place = {number: at for at, number in enumerate(taken)}
        return cls(
            Pictures(views.frames, GreyViews(views)),
            [[place[other] for other, _ in pairs[number] if other in place] for number in taken],
        )
