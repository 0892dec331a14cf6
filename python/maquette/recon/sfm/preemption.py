"""Preemptive matching: the strongest features of two pictures tell whether they are worth matching.

Source: Wu, "Towards Linear-time Incremental Structure from Motion", 3DV 2013, section 2; differs:
the trial is verified geometrically, which tells better than the number of matches, and pictures
that it leaves with few partners are tried further.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from maquette.recon.sfm import colmap, features, matching
from maquette.recon.sfm.colmap import pycolmap
from maquette.recon.sfm.pairs import Pair, in_tiles
from maquette.scene.events import Progress

STRONGEST = 1500  # features of a picture in a trial
_PAYS_ABOVE = 250 * 5000**2  # comparisons; below, starting the rounds costs what they save
_TRIAL_INLIERS = 6
_ENOUGH_PARTNERS = 3
_AT_ONCE = 6  # pairs more for each picture or group that lacks partners

Group = frozenset[int]


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
    likelihood = _try(database, names, candidates, seed, progress)
    chosen = {pair for pair in candidates if likelihood[pair][0] >= _TRIAL_INLIERS}
    more, asked, given_up = set(chosen), dict[Group, set[Pair]](), set[Group]()
    while True:
        if more:
            matching.match(database, names, in_tiles(more), seed, progress)
        found = set(matching.verified_pairs(database, names))
        given_up |= {group for group, pairs in asked.items() if not pairs & found}
        wanting = lonely(len(names), found, _ENOUGH_PARTNERS) - given_up
        asked = {group: likeliest(group, likelihood, chosen) for group in wanting}
        more = set().union(*asked.values())
        if not more:
            break
        chosen |= more
    if not found:
        matching.match(database, names, candidates, seed, progress)


def _try(
    database: Path, names: list[str], candidates: Sequence[Pair], seed: int, progress: Progress
) -> dict[Pair, tuple[int, int]]:
    """Match the strongest features alone: inliers and matches of each candidate."""
    trial = database.with_name(f"{database.name}-trial")
    trial.unlink(missing_ok=True)
    try:
        colmap.copy(database, trial)
        _keep_strongest(trial, STRONGEST)
        progress.say(f"trying {len(candidates)} pairs with {STRONGEST:,} features a picture")
        matching.match(trial, names, candidates, seed, progress, _TRIAL_INLIERS)
        inliers, matches = matching.inliers(trial, names), matching.matches(trial, names)
        return {pair: (inliers.get(pair, 0), matches.get(pair, 0)) for pair in candidates}
    finally:
        for path in trial.parent.glob(f"{trial.name}*"):
            path.unlink()


def _keep_strongest(database: Path, count: int) -> None:
    with colmap.opened(database) as handle:
        ids = [image.image_id for image in handle.read_all_images()]
        found = [
            (number, np.asarray(handle.read_keypoints(number)), handle.read_descriptors(number))
            for number in ids
        ]
        for clear in (handle.clear_matches, handle.clear_two_view_geometries,
                      handle.clear_keypoints, handle.clear_descriptors):  # fmt: skip
            clear()
        for number, keypoints, descriptors in found:
            kept = np.sort(features.strongest(keypoints, count))
            handle.write_keypoints(number, np.ascontiguousarray(keypoints[kept]))
            data = np.ascontiguousarray(np.asarray(descriptors.data)[kept])
            fewer = pycolmap.FeatureDescriptors(type=descriptors.type, data=data)
            handle.write_descriptors(number, fewer)


def lonely(count: int, verified: Iterable[Pair], enough: int) -> set[Group]:
    """Each of `count` pictures with fewer than `enough` partners; all groups but the largest."""
    groups: DisjointSet = DisjointSet(range(count))
    partners: Counter[int] = Counter()
    for one, other in verified:
        groups.merge(one, other)
        partners.update((one, other))
    apart = sorted(groups.subsets(), key=lambda group: (-len(group), min(group)))[1:]
    alone = (frozenset([number]) for number in range(count) if partners[number] < enough)
    return {*map(frozenset, apart), *alone}


def likeliest(
    group: Group, likelihood: Mapping[Pair, tuple[int, int]], tried: set[Pair]
) -> set[Pair]:
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
