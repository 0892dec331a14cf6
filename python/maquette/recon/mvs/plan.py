"""What dense stereo is to do in a workspace, decided once: on any machine it goes on alike."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from maquette.errors import BadInput
from maquette.recon.mvs.neighbours import Pairs, read_pairs, share_seen_by, write_pairs
from maquette.recon.views.split import held_out_of
from maquette.scene.atomic import write_json
from maquette.scene.colmap_model import Tracks

PAIRS, VIEWS = "pair.txt", "views.json"


@dataclass(frozen=True)
class Effort:
    """How much is computed.

    Attributes:
        every: Every n-th view has a depth map, where there are enough.
        sources: Source views of each.
        sweeps: At each level, from the coarsest to the maps' own size.
        scale: Of the long side that the machine suggests.
        least_side: Pixels: smaller maps lose more than they save.
        is_judged: Photos that are held out of training have no part in it.
        shared: Views are left out only where three of those that stay see this share of a view's
            points.
    """

    every: int
    sources: int
    sweeps: tuple[int, ...]
    scale: float
    least_side: int = 360
    is_judged: bool = False
    shared: float = 0.0


STANDARD = Effort(1, 6, (3, 3, 2), 1.0)
PREVIEW = Effort(2, 4, (3, 2), 0.5)
# What a training begins with; all photos of a walk along a street.
TRAINING = Effort(2, 4, (3, 2), 0.4, 480, is_judged=True, shared=0.75)
PRESETS = {"auto": STANDARD, "standard": STANDARD, "preview": PREVIEW}
_ON_CPU, _ON_GPU = 1200, 2000  # pixels
_LEAST_VIEWS = 12  # for each that is left out between two: fewer overlap too little
_AGREEING = 3  # views that a point needs


@dataclass(frozen=True)
class Plan:
    """Views, their sources and where to look; see `PAIRS` and `VIEWS` for the files.

    Attributes:
        long_side: Of the depth maps, pixels; smaller pictures stay as they are.
        sweeps: At each level.
        names: The pictures' file names, in the order of the scene's frames.
        spans: Least and largest depth of each; None for a view that gets no depth map.
        pairs: The source views of each, with their scores.
    """

    long_side: int
    sweeps: tuple[int, ...]
    names: tuple[str, ...]
    spans: tuple[tuple[float, float] | None, ...]
    pairs: Pairs

    @property
    def views(self) -> list[int]:
        """The numbers of the views that get a depth map."""
        return [number for number, span in enumerate(self.spans) if span is not None]

    def sources(self, view: int) -> list[int]:
        """The numbers of a view's source views, the best first."""
        return [number for number, _ in self.pairs[view]]


def taken_views(tracks: Tracks, effort: Effort) -> list[int]:
    """The numbers of the views that get a depth map."""
    count = len(tracks.names)
    left_out = held_out_of(count) if effort.is_judged else ()
    views = [number for number in range(count) if number not in left_out]
    every = max(1, min(effort.every, len(views) // _LEAST_VIEWS))
    while every > 1 and share_seen_by(_AGREEING, views[::every], tracks) < effort.shared:
        every -= 1
    return views[::every]


def suggested_side(is_on_gpu: bool) -> int:
    """The long side of photos that is worth a machine's time, pixels."""
    return _ON_GPU if is_on_gpu else _ON_CPU


def long_side(suggested: int, effort: Effort) -> int:
    """The long side of the maps, pixels: an effort's part of what suits photos and machine."""
    return min(suggested, max(round(suggested * effort.scale), effort.least_side))


def write_plan(folder: Path, plan: Plan) -> list[Path]:
    """Write `pair.txt`, and what it does not say as `views.json`; returns both."""
    content = asdict(plan)
    del content["pairs"]
    write_pairs(folder / PAIRS, plan.pairs)
    write_json(folder / VIEWS, content)
    return [folder / PAIRS, folder / VIEWS]


def read_plan(folder: Path) -> Plan:
    """Read what `write_plan` wrote.

    Raises:
        BadInput: a file is missing or damaged.
    """
    pairs = read_pairs(folder / PAIRS)
    try:
        content = json.loads((folder / VIEWS).read_text(encoding="utf-8"))
        spans = tuple(None if s is None else (float(s[0]), float(s[1])) for s in content["spans"])
        plan = Plan(
            int(content["long_side"]), tuple(content["sweeps"]), tuple(content["names"]), spans,
            pairs,
        )  # fmt: skip
        known = [span for span in spans if span is not None]
        if not len(plan.names) == len(spans) == len(pairs):
            raise ValueError("its lists differ in length")
        if not all(0 < low < high < math.inf for low, high in known):
            raise ValueError("a span of depths is empty")
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise BadInput(
            f"`{folder / VIEWS}` is no plan of dense stereo: {error}",
            hint="run `make process` again with FORCE_STAGE=neighbours",
        ) from error
    return plan
