"""Stage `neighbours`: which photos each photo is matched with, and at which depths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maquette.counting import counted
from maquette.errors import BadInput, ConfigError
from maquette.recon import gpus
from maquette.recon.mvs.neighbours import Pairs, Scoring, depth_spans, sources_among
from maquette.recon.mvs.plan import (
    PRESETS,
    TRAINING,
    Effort,
    Plan,
    long_side,
    suggested_side,
    taken_views,
    write_plan,
)
from maquette.recon.stages.dense import STAGES
from maquette.scene import colmap_model, transforms
from maquette.scene.colmap_model import Tracks
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.scene.transforms import Frame
from maquette.stages.stage import DeclaredOptions, Report

STAGE = STAGES["neighbours"]

_LEAST = 32  # of it: less holds few windows to compare
_NAMED = 5  # photos that are skipped


def run(scene: Scene, options: DeclaredOptions, progress: Progress) -> Report:
    """Write `pair.txt` and `views.json` of the dense workspace.

    Raises:
        BadInput: the photos can not show depth.
        ConfigError: DENSE_SIZE is too small.
    """
    frames = sorted(transforms.read(scene.transforms).frames, key=lambda frame: frame.file_path)
    tracks = _tracks(scene, frames)
    effort = TRAINING if options.is_for_training else PRESETS[options.preset]
    taken = taken_views(tracks, effort)
    if len(taken) <= options.min_views:
        raise BadInput(
            f"{counted(len(frames), 'photo')} with a pose: a point counts when "
            f"{counted(options.min_views, 'other photo')} agree with it (MIN_VIEWS)",
            hint=f"film it from {options.min_views + 1} sides or more, and `make prepare` again",
        )
    pairs = _pairs(tracks, frames, taken, options.source_views or effort.sources)
    spans = [
        span if pairs[number] else None for number, span in enumerate(depth_spans(tracks, frames))
    ]
    plan = Plan(
        _long_side(frames, options, effort), _sweeps(options, effort), _names(frames),
        tuple(spans), pairs,
    )  # fmt: skip
    files = write_plan(scene.dense(options.group), plan)
    numbers = _numbers(plan)
    alone = [plan.names[number] for number in taken if plan.spans[number] is None]
    remarks = [f"{_listed(alone)} without a neighbour: no depth map"] if alone else []
    if not options.dense_size and effort.scale == 1.0:
        remarks += filter(None, [size_remark(plan.long_side, _largest(frames))])
    for remark in remarks:
        progress.say(remark)
    return Report(files, numbers=numbers, remarks=remarks)


def _listed(names: list[str]) -> str:
    """How many photos, and the names of some."""
    more = " …" if len(names) > _NAMED else ""
    return f"{counted(len(names), 'photo')} ({', '.join(names[:_NAMED])}{more})"


def _tracks(scene: Scene, frames: list[Frame]) -> Tracks:
    tracks = colmap_model.read_tracks(scene.sparse)
    if tracks.names != _names(frames):
        raise BadInput(
            f"the cameras of `{scene.transforms.name}` and of `{scene.relative(scene.sparse)}` "
            f"are not those of the same photos: {len(frames)} and {len(tracks.names)}",
            hint="run `make prepare` again with FORCE_STAGE=undistort",
        )
    return tracks


def _names(frames: list[Frame]) -> tuple[str, ...]:
    return tuple(Path(frame.file_path).name for frame in frames)


def _pairs(tracks: Tracks, frames: list[Frame], taken: list[int], count: int) -> Pairs:
    """The source views of the taken views, all taken ones too.

    Raises:
        BadInput: no photo has any.
    """
    pairs = sources_among(taken, tracks, frames, count)
    if not any(pairs):
        scoring = Scoring()
        raise BadInput(
            f"of {counted(len(taken), 'photo')} no two show the same points from directions "
            f"{scoring.least:g} to {scoring.most:g} degrees apart: they can not show depth",
            hint="move the camera sideways between photos, and `make prepare` again",
        )
    return pairs


def _long_side(frames: list[Frame], options: DeclaredOptions, effort: Effort) -> int:
    """DENSE_SIZE, or what suits the machine, of which a preset may take a part.

    Raises:
        ConfigError: DENSE_SIZE is too small to match anything.
    """
    if options.dense_size:
        if options.dense_size < _LEAST:
            raise ConfigError(
                f"DENSE_SIZE={options.dense_size} is too small to match photos, "
                f"at least {_LEAST} pixels are needed",
                hint="leave it out, or try DENSE_SIZE=800",
            )
        return int(options.dense_size)
    suggested = suggested_side(gpus.device_of(options.gpus).type == "cuda")
    return long_side(min(suggested, _largest(frames)), effort)


def _largest(frames: list[Frame]) -> int:
    return max(max(frame.intrinsics.width, frame.intrinsics.height) for frame in frames)


def size_remark(chosen: int, largest: int) -> str:
    """What to say where depth maps are smaller than the photos and nobody asked for that.

    Args:
        chosen: Their long side, pixels.
        largest: The photos'.
    """
    if chosen >= largest:
        return ""
    return (
        f"depth maps of {chosen:,} pixels along the long side, the photos have {largest:,}: "
        f"DENSE_SIZE={largest} uses them whole, and takes longer"
    )


def _sweeps(options: DeclaredOptions, effort: Effort) -> tuple[int, ...]:
    return tuple(int(word) for word in options.sweeps.split()) or effort.sweeps


def _numbers(plan: Plan) -> dict[str, Any]:
    sources = [len(plan.pairs[view]) for view in plan.views]
    return {
        "views": len(plan.views),
        "sources": round(sum(sources) / len(sources), 2),
        "long_side": plan.long_side,
    }
