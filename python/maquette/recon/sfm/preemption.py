"""Preemptive matching: the strongest features of two pictures tell whether they are worth matching.

Source: Wu, "Towards Linear-time Incremental Structure from Motion", 3DV 2013, section 2; differs:
the trial is verified geometrically, which tells better than the number of matches, and pictures
that it leaves with few partners are tried further.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from maquette.recon.sfm import colmap, features, matching, shards
from maquette.recon.sfm.colmap import pycolmap
from maquette.recon.sfm.completion import ENOUGH_PARTNERS, Search
from maquette.recon.sfm.pairs import Pair, in_tiles
from maquette.recon.sfm.view_graph import Group, lonely
from maquette.scene.events import Progress

STRONGEST = 1500  # features of a picture in a trial
_PAYS_ABOVE = 250 * 5000**2  # comparisons; below, starting the rounds costs what they save
_TRIAL_INLIERS = 6
_AT_ONCE = 6  # pairs more for each picture or group that lacks partners

Likelihood = Mapping[Pair, tuple[int, int]]


def pays(database: Path, candidates: Sequence[Pair]) -> bool:
    """Whether a trial costs little beside matching in full, whose work is features squared."""
    per_image = features.counts(database)["features_per_image"]
    return per_image > 2 * STRONGEST and len(candidates) * per_image**2 > _PAYS_ABOVE


def match(
    database: Path, names: list[str], candidates: Sequence[Pair], seed: int, progress: Progress
) -> None:
    """Match those of `candidates`, positions in `names`, that a trial finds to be worth it.

    Pictures with few partners, and groups apart from the largest, are matched with more of their
    candidates, the likeliest first, as long as that brings partners. Where no pair at all agrees,
    all candidates are matched.
    """
    likelihood = trial(database, names, candidates, seed, progress)
    chosen = worth(likelihood)
    if chosen:
        matching.match(database, names, in_tiles(chosen), seed, progress)
    complete(Search(database, names, seed, progress), likelihood, chosen)


def worth(likelihood: Likelihood) -> set[Pair]:
    """The pairs that a trial found to be worth it."""
    return {pair for pair, (inliers, _) in likelihood.items() if inliers >= _TRIAL_INLIERS}


def complete(search: Search, likelihood: Likelihood, matched: set[Pair]) -> None:
    """Match more of the candidates, where those `matched` left pictures or groups alone."""
    by_picture: dict[int, list[Pair]] = {}
    for pair in likelihood:
        for number in pair:
            by_picture.setdefault(number, []).append(pair)

    def candidates(group: Group, tried: set[Pair]) -> set[Pair]:
        of_group = {pair: likelihood[pair] for one in group for pair in by_picture.get(one, ())}
        return likeliest(group, of_group, tried)

    def weak(found: set[Pair]) -> set[Group]:
        return lonely(len(search.names), found, ENOUGH_PARTNERS)

    if not search.complete(matched, weak, candidates):
        search.match(list(likelihood))


def trial(
    database: Path,
    names: list[str],
    candidates: Sequence[Pair],
    seed: int,
    progress: Progress,
    work: Path | None = None,
    processes: int = 0,
) -> dict[Pair, tuple[int, int]]:
    """Match the strongest features alone: inliers and matches of each candidate.

    Args:
        work: Where the trial's database is made; by default beside the other.
        processes: How many work; 0: one a processor.
    """
    file = work or database.with_name(f"{database.name}-trial")
    file.unlink(missing_ok=True)
    try:
        _strongest_of(database, file, {names[one] for pair in candidates for one in pair})
        progress.say(f"trying {len(candidates)} pairs with {STRONGEST:,} features a picture")
        matching.match(file, names, candidates, seed, progress, _TRIAL_INLIERS, processes=processes)
        inliers, matches = matching.inliers(file, names), matching.matches(file, names)
        return {pair: (inliers.get(pair, 0), matches.get(pair, 0)) for pair in candidates}
    finally:
        for path in file.parent.glob(f"{file.name}*"):
            path.unlink()


def _strongest_of(database: Path, target: Path, names: Iterable[str]) -> None:
    """A database with the strongest features of some pictures, one in memory at a time."""
    shards.cut(database, target, (), with_features=False)
    with colmap.opened(database) as reader, colmap.opened(target) as writer:
        ids = {image.name: image.image_id for image in reader.read_all_images()}
        for number in (ids[name] for name in sorted(names)):
            keypoints = np.asarray(reader.read_keypoints(number))
            descriptors = reader.read_descriptors(number)
            kept = np.sort(features.strongest(keypoints, STRONGEST))
            writer.write_keypoints(number, np.ascontiguousarray(keypoints[kept]))
            data = np.ascontiguousarray(np.asarray(descriptors.data)[kept])
            fewer = pycolmap.FeatureDescriptors(type=descriptors.type, data=data)
            writer.write_descriptors(number, fewer)


def likeliest(group: Group, likelihood: Likelihood, tried: set[Pair]) -> set[Pair]:
    """The likeliest pairs of a picture of the group with one outside that were not `tried`."""

    def rank(pair: Pair) -> tuple[int, ...]:
        inliers, matches = likelihood[pair]
        return (-inliers, -matches, pair[1] - pair[0], *pair)

    left = [
        pair
        for pair in likelihood
        if pair not in tried and (pair[0] in group) is not (pair[1] in group)
    ]
    return set(sorted(left, key=rank)[:_AT_ONCE])
