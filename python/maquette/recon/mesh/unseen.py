"""What becomes of the part of a mesh that no camera saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from maquette.recon.mesh.clipping import clip_to_positive
from maquette.recon.mesh.seen_part import seen_part
from maquette.recon.mesh.triangles import TriangleMesh
from maquette.recon.mesh.vertex_graph import VertexGraph
from maquette.recon.mesh.visibility import Mask, Told, count_views
from maquette.scene.transforms import Frame

Treatment = Literal["drop", "keep", "fill"]
_GREY = 0.5  # sRGB
_ENOUGH_VIEWS = 2  # one view alone tells no depth
_WORTH_SAYING = 0.05  # share of the area


@dataclass(frozen=True)
class Treated:
    """A mesh after its unseen part was dropped, or marked.

    Attributes:
        numbers: For a report; `unseen_share` is of the area, before holes were closed.
        remark: A sentence where it is worth one.
        is_blind: Nothing was seen, and the mesh is as it was.
    """

    mesh: TriangleMesh
    numbers: dict[str, Any] = field(default_factory=dict)
    remark: str = ""
    is_blind: bool = False


def treat_unseen(
    mesh: TriangleMesh,
    treatment: Treatment,
    frames: Sequence[Frame],
    mask: Mask,
    tolerance: float,
    told: Told = lambda done, total: None,
) -> Treated:
    """Drop what fewer than two cameras saw, or mark it in `seen`, or leave all as it is.

    Args:
        mesh, frames, mask, tolerance, told: See `count_views`.
    """
    if treatment == "keep":
        return Treated(mesh)
    enough = min(_ENOUGH_VIEWS, len(frames))
    views = count_views(mesh, frames, mask, tolerance=tolerance, enough=enough, told=told)
    seen, graph = views >= max(enough, 1), VertexGraph(mesh)
    inside = seen_part(mesh, graph, seen)
    share = _share(graph.areas, ~seen)
    numbers = {"unseen_share": round(share, 4)}
    if not (inside > 0).any():
        return Treated(mesh, numbers, _BLIND, is_blind=True)
    if treatment == "fill":
        return Treated(replace(mesh, seen=inside > 0), numbers, _remark(share, _FILLED))
    left = clip_to_positive(mesh, inside)
    numbers |= {
        "dropped_faces": len(mesh.faces) - len(left.faces),
        "dropped_share": round(1 - len(left.faces) / len(mesh.faces), 4),
    }
    return Treated(left, numbers, _remark(_share(graph.areas, inside <= 0), _DROPPED))


def grey_where_unseen(mesh: TriangleMesh) -> TriangleMesh:
    """The mesh with grey in place of the colours that were made up."""
    if mesh.seen is None or mesh.colors is None:
        return mesh
    return replace(mesh, colors=np.where(mesh.seen[:, None], mesh.colors, np.float32(_GREY)))


_BLIND = (
    "no photo sees this mesh, so nothing was dropped: are cameras and region those of the photos?"
)
_DROPPED = (
    "was seen by no photo, or by one alone, and was dropped; UNSEEN=fill keeps a closed model"
)
_FILLED = "was seen by no photo, or by one alone; there the model is made up, and grey"


def _remark(share: float, words: str) -> str:
    return f"{share:.0%} of the surface {words}" if share >= _WORTH_SAYING else ""


def _share(areas: np.ndarray, chosen: np.ndarray) -> float:
    return float(areas[chosen].sum() / max(areas.sum(), 1e-30))
