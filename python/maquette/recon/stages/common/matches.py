"""Stage `matches`: verified matches of picture pairs in `database.db`; by 2,000 pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from maquette.counting import counted
from maquette.errors import BadInput
from maquette.pipelines.pipeline import COMMON
from maquette.pipelines.prepare import PrepareOptions
from maquette.recon.frames.folders import replacing_file
from maquette.recon.places import positions
from maquette.recon.sfm import (
    colmap,
    completion,
    matching,
    pairs,
    plausibility,
    preemption,
    proposing,
    shards,
    view_graph,
)
from maquette.recon.sfm.learned import database as learned
from maquette.recon.sfm.pairs import Pair
from maquette.recon.sfm.proposing import Proposal
from maquette.recon.stages.common import STAGES
from maquette.scene import originals, stage_records
from maquette.scene.atomic import replacing
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.stage import Report

STAGE = STAGES["matches"]

_NAME = STAGE.name
_PAIRS = 2000
_WAYS = {
    "exhaustive": "matching every picture with every other",
    "alike": "matching pictures that look alike, then those that share a partner",
    "sequential": "matching neighbours in order and pictures that look alike",
}
_STILL = (
    "most of what the pictures share stands still: the camera did not move, or an object turned "
    "before a background that stands; masks of the object help (docs/inputs.md)"
)


def split(scene: Scene, options: PrepareOptions) -> list[dict[str, Any]]:
    """The pairs of each shard, and whether a trial comes first."""
    _leave_out_learned(scene)
    proposal = _proposal(scene, options)
    tries = options.matcher == "auto" and preemption.pays(scene.database, proposal.pairs)
    of = _short(proposal.of)
    return [
        {"number": number, "of": of, "pairs": [list(pair) for pair in share], "tries": tries}
        for number, share in enumerate(pairs.batches(proposal.pairs, _PAIRS))
    ]


def run(
    scene: Scene, options: PrepareOptions, item: dict[str, Any], progress: Progress
) -> Sequence[Path]:
    """Match some pairs, into a database of their own; of a trial also what it found.

    A kill costs a batch of pairs: the database that is not finished is gone on with.
    """
    names, processes = colmap.image_names(scene.database), shards.threads_of(options.workers)
    wanted = [(one, other) for one, other in item["pairs"]]
    target = _database_of(scene, item["number"])
    if item["number"] == 0:
        progress.say(f"{_WAYS[_method(scene, options, names)]}: {len(names)} pictures")
    unfinished = target.with_name(f"{item['number']}-of-{item['of']}.db")
    trial = _trial_file(unfinished)
    if item["tries"]:
        if not trial.exists():
            work = unfinished.with_suffix(".trial")
            found = preemption.trial(
                scene.database, names, wanted, options.seed, progress, work, processes
            )
            _write_trial(trial, wanted, found)
        wanted = pairs.in_tiles(preemption.worth(_read_trial(trial, wanted)))
    if not unfinished.exists():
        colmap.create(unfinished)
    matching.match(
        scene.database,
        names,
        wanted,
        options.seed,
        progress,
        into=unfinished,
        processes=processes,
    )
    colmap.settle(unfinished)
    unfinished.replace(target)
    if not item["tries"]:
        _trial_file(target).unlink(missing_ok=True)  # of another key
        return [target]
    trial.replace(_trial_file(target))
    return [target, _trial_file(target)]


def inputs(
    scene: Scene, options: PrepareOptions, items: Sequence[dict[str, Any]]
) -> list[list[Path]]:
    """The features of all pictures, and whether these come from a video."""
    return [[scene.database, scene.root / "images_raw.json"]] * len(items)


def merge(scene: Scene, options: PrepareOptions, progress: Progress) -> Report:
    """Join the matches to a copy of the database that then takes its place, and complete them.

    Raises:
        BadInput: no two pictures show the same thing, or the camera only turned.
    """
    names, proposal = colmap.image_names(scene.database), _proposal(scene, options)
    method = _method(scene, options, names)
    parts = pairs.batches(proposal.pairs, _PAIRS)
    with replacing_file(scene.database) as database:
        colmap.copy(scene.database, database)
        matching.clear(database)
        likelihood = {}
        for number, part in enumerate(parts):
            file = _database_of(scene, number)
            shards.join_pairs(database, file)
            likelihood.update(_read_trial(_trial_file(file), part))
        search = completion.Search(database, names, options.seed, progress)
        matched = set(matching.matches(database, names))
        if likelihood:
            preemption.complete(search, likelihood, matched)
        tried = {*matched, *proposal.pairs}
        if method == "alike":
            tried |= _match_friends(scene, search, tried, proposal.of)
        if len(proposal.alike):
            completion.strengthen(search, tried, proposal.alike)
        colmap.settle(database)
        moved, found = plausibility.motion(database), matching.counts(database)
        numbers = {
            "matcher": method,
            "preemptive": bool(likelihood),
            "pairs": len(proposal.pairs),
            "pairs_in_all": len(names) * (len(names) - 1) // 2,
            **found,
        }
    remarks = _remarks(found["pairs_verified"], len(names), moved)
    for remark in remarks:
        progress.say(remark)
    return Report((), mutable=[scene.database], numbers=numbers, remarks=remarks)


def _match_friends(scene: Scene, search: completion.Search, tried: set[Pair], of: str) -> set[Pair]:
    """The second round: pairs that share a partner. A kill costs a batch, as in a shard."""
    found = matching.inliers(search.database, search.names)
    friends = view_graph.friends(found, tried, pairs.FRIENDS)
    file = _database_of(scene, f"friends-of-{_short(of)}")
    if not file.exists():
        colmap.create(file)
    matching.match(
        search.database,
        search.names,
        pairs.in_tiles(friends),
        search.seed,
        search.progress,
        into=file,
    )
    colmap.settle(file)
    shards.join_pairs(search.database, file)
    return friends


def _remarks(verified: int, pictures: int, moved: plausibility.Motion) -> list[str]:
    if verified == 0:
        raise BadInput(
            f"no two of the {pictures} pictures show the same thing",
            hint="pictures must overlap by two thirds; check that INPUT is one scene",
        )
    if moved.only_turns:
        raise BadInput(
            f"the camera only turned on the spot: its {pictures} pictures show no depth",
            detail=f"a turn explains all {counted(moved.pairs, 'pair')}, "
            f"with a focal length near {moved.focal_px:.0f} px",
            hint="walk around the object, or sideways along it, and film again",
        )
    return [_STILL] if moved.stands_still else []


def _proposal(scene: Scene, options: PrepareOptions) -> Proposal:
    """The pairs to match, found once for the features that there are."""
    names = colmap.image_names(scene.database)
    method = _method(scene, options, names)
    record = stage_records.read(scene, "features")
    of = f"{record.key}+{record.lineage} {method} {options.seed}" if record else ""
    file = scene.records(COMMON) / _NAME / "pairs.npz"
    proposal = Proposal.read(file, of) if of else None
    if proposal is None:
        places = _places(scene, names) if method == "sequential" else None
        is_video = originals.is_video(scene)
        proposal = proposing.propose(scene.database, names, method, options.seed, is_video, places)
        proposal = Proposal(proposal.pairs, proposal.alike, of)
        proposal.write(file)
    return proposal


def _database_of(scene: Scene, name: int | str) -> Path:
    """Where a shard, or the second round, writes, beside the shards' records."""
    return scene.records(COMMON) / _NAME / f"{name}.db"


def _short(of: str) -> str:
    return hashlib.sha256(of.encode()).hexdigest()[:12]


def _leave_out_learned(scene: Scene) -> None:
    """Features of a network, which an earlier search for poses left, have nothing to match by."""
    if learned.is_in(scene.database):
        with replacing_file(scene.database) as database:
            colmap.copy(scene.database, database)
            matching.clear(database)
            colmap.settle(database)


def _method(scene: Scene, options: PrepareOptions, names: list[str]) -> pairs.Method:
    return pairs.choose(options.matcher, len(names), originals.is_video(scene))


def _places(scene: Scene, names: list[str]) -> np.ndarray | None:
    """Where each picture was taken, [N, 2] metres, NaN where it does not say; None: none does."""
    told = [positions.read(scene.images_raw / name) for name in names]
    if not any(place and place.is_possible for place in told):
        return None
    return proposing.on_a_plane(
        [
            (place.latitude, place.longitude) if place and place.is_possible else (np.nan, np.nan)
            for place in told
        ]
    )


def _trial_file(database: Path) -> Path:
    return database.with_suffix(".npy")


def _write_trial(file: Path, wanted: Sequence[Pair], found: dict[Pair, tuple[int, int]]) -> None:
    with replacing(file) as temporary:
        np.save(temporary, np.array([found[pair] for pair in wanted], np.int32))


def _read_trial(file: Path, wanted: Sequence[Pair]) -> dict[Pair, tuple[int, int]]:
    if not file.exists():
        return {}
    numbers = np.load(file).tolist()
    return {pair: (row[0], row[1]) for pair, row in zip(wanted, numbers, strict=True)}
