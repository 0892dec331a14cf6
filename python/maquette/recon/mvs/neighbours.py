"""Which views help to find a view's depths, and between which depths to look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maquette.errors import BadInput
from maquette.scene.atomic import write_text
from maquette.scene.colmap_model import Tracks
from maquette.scene.transforms import Frame

Floats = NDArray[np.float64]
Pairs = list[list[tuple[int, float]]]


@dataclass(frozen=True)
class Scoring:
    """How much a shared point is worth, by the angle at which two views see it, degrees.

    It is most at `best`, and falls off as a Gaussian with a deviation of its own on each side;
    at angles below `least` and above `most` it is 0.
    Source: Y. Yao et al., "MVSNet", ECCV 2018, section 4.1, where best = 5, below = 1, above = 10.
    """

    best: float = 12.0
    below: float = 5.0
    above: float = 15.0
    least: float = 3.0
    most: float = 60.0

    def of(self, angles: Floats) -> Floats:
        """Worth of points [N] seen at these angles."""
        deviation = np.where(angles <= self.best, self.below, self.above)
        worth = np.exp(-0.5 * ((angles - self.best) / deviation) ** 2)
        return np.where((angles >= self.least) & (angles <= self.most), worth, 0.0)


MVSNET = Scoring(5.0, 1.0, 10.0, 0.0, 180.0)


def sources_among(
    taken: Sequence[int], tracks: Tracks, frames: Sequence[Frame], count: int
) -> Pairs:
    """The source views of some views, out of these alone; see `choose_sources`.

    Args:
        taken: Their numbers; the other views have no sources.
    """
    kept = np.zeros(len(frames), bool)
    kept[list(taken)] = True
    seen = kept[tracks.image]
    part = Tracks(
        tracks.names, tracks.points, tracks.errors, tracks.point[seen], tracks.image[seen]
    )
    centers = np.stack([frame.world_from_cam[:3, 3] for frame in frames])
    return choose_sources(part, centers, count)


def share_seen_by(count: int, views: Sequence[int], tracks: Tracks) -> float:
    """The share of a view's points that so many of some views see, as a median over these.

    Args:
        count: The view itself included.
        views: Their numbers.
    """
    is_chosen = np.zeros(len(tracks.names), bool)
    is_chosen[list(views)] = True
    chosen = is_chosen[tracks.image]
    seen = np.bincount(tracks.point[chosen], minlength=len(tracks.points))
    enough = seen[tracks.point[chosen]] >= count
    image = tracks.image[chosen]
    own = np.bincount(image, minlength=len(is_chosen))[list(views)]
    shared = np.bincount(image, enough, minlength=len(is_chosen))[list(views)]
    return float(np.median(shared / np.maximum(own, 1)))


def choose_sources(
    tracks: Tracks, centers: Floats, count: int = 8, scoring: Scoring | None = None
) -> Pairs:
    """The source views of each view, the best first, with their scores.

    Args:
        centers: [N, 3] where the cameras stand, in the order of the tracks' names.
        count: Most source views of a view. Views without a useful shared point have none.
    """
    scoring, first = (
        scoring or Scoring(),
        np.searchsorted(tracks.point, np.arange(len(tracks.points) + 1)),
    )
    order = np.argsort(tracks.image, kind="stable")
    edges = np.searchsorted(tracks.image[order], np.arange(len(centers) + 1))
    pairs: Pairs = []
    for view, center in enumerate(centers):
        seen = np.unique(tracks.point[order[edges[view] : edges[view + 1]]])
        lengths = first[seen + 1] - first[seen]
        begins = np.cumsum(lengths) - lengths
        rows = np.repeat(first[seen] - begins, lengths) + np.arange(lengths.sum())
        points, others = tracks.points[tracks.point[rows]], tracks.image[rows]
        angles = _angles(center - points, centers[others] - points)
        worth = np.where(others == view, 0.0, scoring.of(angles))
        scores = np.bincount(others, worth, minlength=len(centers))
        best = np.argsort(-scores, kind="stable")[:count]
        pairs.append([(int(i), float(scores[i])) for i in best if scores[i] > 0])
    return pairs


def depth_spans(
    tracks: Tracks, frames: Sequence[Frame], margin: float = 0.25, share: float = 0.01
) -> list[tuple[float, float] | None]:
    """Least and largest depth at which to look, in each view.

    Args:
        margin: How far beyond the depths of the visible points, relative.
        share: Of the points at each end, which do not count.

    Returns:
        None for views that see no point in front of them.
    """
    spans: list[tuple[float, float] | None] = []
    for view in range(len(frames)):
        depths = visible_points(tracks, frames, view)[:, 2]
        if not len(depths):
            spans.append(None)
            continue
        low, high = np.quantile(depths, [share, 1 - share])
        spans.append((float(low / (1 + margin)), float(high * (1 + margin))))
    return spans


def visible_points(tracks: Tracks, frames: Sequence[Frame], view: int) -> Floats:
    """Pixel (x, y) and depth of the points that a view is known to see, [P, 3]."""
    frame, lens = frames[view], frames[view].intrinsics
    points = tracks.points[tracks.point[tracks.image == view]]
    local = (points - frame.world_from_cam[:3, 3]) @ frame.world_from_cam[:3, :3]
    local = local[local[:, 2] > 0]
    x = lens.fl_x * local[:, 0] / local[:, 2] + lens.cx
    y = lens.fl_y * local[:, 1] / local[:, 2] + lens.cy
    return np.stack([x, y, local[:, 2]], axis=1)


def write_pairs(path: Path, pairs: Pairs) -> None:
    """Write MVSNet's `pair.txt`: views by number, each with its sources and their scores."""
    lines = [str(len(pairs))]
    for view, sources in enumerate(pairs):
        words = [str(len(sources)), *(f"{number} {score:.6g}" for number, score in sources)]
        lines += [str(view), " ".join(words)]
    write_text(path, "\n".join(lines) + "\n")


def read_pairs(path: Path) -> Pairs:
    """Read MVSNet's `pair.txt`.

    Raises:
        BadInput: it does not say what it should.
    """
    try:
        words = path.read_text(encoding="utf-8").split()
        total, at = int(words[0]), 1
        pairs: Pairs = [[] for _ in range(total)]
        for _ in range(total):
            view, count = int(words[at]), int(words[at + 1])
            entries = words[at + 2 : at + 2 + 2 * count]
            found = [(int(n), float(s)) for n, s in zip(entries[::2], entries[1::2], strict=True)]
            if len(found) != count or not all(
                0 <= n < total for n in (view, *(n for n, _ in found))
            ):
                raise ValueError(f"view {view} is told of wrongly")
            pairs[view] = found
            at += 2 + 2 * count
    except (OSError, ValueError, IndexError) as error:
        raise BadInput(f"`{path}` is no list of view pairs: {error}") from error
    return pairs


def _angles(one: Floats, other: Floats) -> Floats:
    """Degrees between vectors [N, 3], [N]."""
    length = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    cosine = (one * other).sum(1) / np.maximum(length, 1e-300)
    return np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
