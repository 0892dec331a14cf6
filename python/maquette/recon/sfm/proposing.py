"""The pairs to match of all pictures of a database, and what to try where these do not suffice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maquette.recon.sfm import pairs, retrieval
from maquette.recon.sfm.pairs import Method, Pair, Ranked
from maquette.scene.array_files import NOT_READABLE
from maquette.scene.atomic import replacing

_EARTH_M = 6_371_000.0  # mean radius
_MORE = 2  # times the pictures by look that are matched first are remembered


@dataclass(frozen=True)
class Proposal:
    """What to match.

    Attributes:
        pairs: Positions among the pictures, in tiles.
        alike: Of each picture others in the order of likeness, for where the pairs leave the view
            graph weak; nothing, [0, 0], in small sets.
        of: What it was made from and how; another one does not count.
    """

    pairs: list[Pair]
    alike: Ranked
    of: str = ""

    def write(self, path: Path) -> None:
        """Keep it: made again on another machine, it might differ by a rounding."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, open(temporary, "wb") as file:
            listed = np.array(self.pairs, np.int32).reshape(-1, 2)
            np.savez(file, pairs=listed, alike=self.alike, of=np.array(self.of))

    @classmethod
    def read(cls, path: Path, of: str) -> Proposal | None:
        """The one that was kept, if it is of these pictures and this method."""
        try:
            with np.load(path) as content:
                if str(content["of"]) != of:
                    return None
                listed = [(int(one), int(other)) for one, other in content["pairs"]]
                return cls(listed, content["alike"], of)
        except NOT_READABLE:
            return None


def propose(
    database: Path,
    names: list[str],
    method: Method,
    seed: int,
    is_video: bool = True,
    places: NDArray[np.float64] | None = None,
) -> Proposal:
    """List the pairs to match: all, or each picture's neighbours in order, by look and by place.

    By `alike`, each with the next in order and the likest: the first of two rounds, for partners
    of partners are known after it (`view_graph.friends`).

    Args:
        is_video: The pictures are in the order in which they were taken.
        places: Where each was taken, [N, 2] metres; NaN: not known.
    """
    none = np.zeros((0, 0), np.int32)
    if method == "exhaustive":
        return Proposal(pairs.exhaustive(len(names)), none)
    descriptors = retrieval.global_descriptors(database, names, seed)
    if method == "alike":
        ranked = pairs.ranked_by_look(descriptors, _MORE * pairs.BY_LOOK, gap=0)
        near = pairs.neighbours_in_order(len(names), 1)
        likest = pairs.of_ranked(ranked[:, : pairs.ALIKE])
        return Proposal(pairs.in_tiles({*near, *likest}), ranked)
    if is_video and len(names) <= pairs.FEW_FRAMES:
        alike = pairs.similar(descriptors)
        return Proposal(pairs.in_tiles({*pairs.sequential(len(names)), *alike}), none)
    gap = pairs.OVERLAP
    ranked = pairs.ranked_by_look(descriptors, _MORE * pairs.BY_LOOK, gap)
    near = pairs.neighbours_in_order(len(names), gap)
    wanted = {*near, *pairs.of_ranked(ranked[:, : pairs.BY_LOOK])}
    if places is not None:
        wanted.update(pairs.of_ranked(pairs.ranked_by_place(places, pairs.BY_PLACE)))
    return Proposal(pairs.in_tiles(wanted), ranked)


def on_a_plane(degrees: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """Metres east and north, [N, 2], of latitudes and longitudes that lie near one another.

    NaN stays NaN. Good to some metres over kilometres, which is enough to tell who is near.
    """
    angles = np.radians(np.asarray(degrees, np.float64).reshape(-1, 2))
    known = np.isfinite(angles).all(axis=1)
    origin = angles[np.argmax(known)]
    east = np.remainder(angles[:, 1] - origin[1] + np.pi, 2 * np.pi) - np.pi
    return _EARTH_M * np.stack([east * np.cos(origin[0]), angles[:, 0] - origin[0]], axis=1)
