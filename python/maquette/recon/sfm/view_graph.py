"""The view graph: pictures are its nodes, verified pairs its edges. Where is it weak?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from scipy.cluster.hierarchy import DisjointSet

from maquette.recon.frames.photos import evenly
from maquette.recon.sfm.pairs import Pair

Group = frozenset[int]


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


def friends(inliers: Mapping[Pair, int], tried: set[Pair], each: int) -> set[Pair]:
    """Pairs not tried yet that have a verified partner in common: almost all show the same thing.

    Args:
        inliers: Matches of each pair that agree with its geometry.
        each: How many for each picture, evenly chosen from those that common partners tie most
            firmly to those that they tie least: these see it from farther away.
    """
    partners: dict[int, dict[int, int]] = defaultdict(dict)
    for (one, other), number in inliers.items():
        if number > 0:
            partners[one][other] = partners[other][one] = number
    found: set[Pair] = set()
    for one in partners:
        ties: Counter[Pair] = Counter()
        for between, first in partners[one].items():
            for other, second in partners[between].items():
                pair = (min(one, other), max(one, other))
                if other != one and pair not in tried:
                    ties[pair] += min(first, second)
        firmest_first = sorted(ties, key=lambda pair: (-ties[pair], pair))
        found.update(firmest_first[index] for index in evenly(len(ties), each))
    return found


def hanging(verified: Iterable[Pair]) -> set[Group]:
    """Groups that one picture alone holds to the rest: each block but the largest, without it.

    A block is a largest part that stays whole whichever of its pictures is left out. One between
    two such pictures, with none besides, is told with them.
    """
    found = blocks(verified)
    belongs = Counter(number for block in found for number in block)
    largest = max(found, key=lambda block: (len(block), -min(block)), default=frozenset())
    groups = set()
    for block in found:
        if block != largest:
            inner = frozenset(number for number in block if belongs[number] == 1)
            groups.add(inner or block)
    return groups


def blocks(verified: Iterable[Pair]) -> list[Group]:
    """The biconnected components, each of two pictures or more.

    Source: Hopcroft and Tarjan, "Algorithm 447: Efficient algorithms for graph manipulation",
    CACM 16(6), 1973; differs: a stack of our own, for Python's is not deep.
    """
    partners: dict[int, list[int]] = defaultdict(list)
    for one, other in verified:
        partners[one].append(other)
        partners[other].append(one)
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    found: list[Group] = []
    for root in sorted(partners):
        if root not in order:
            _walk(root, partners, order, low, found)
    return found


def _walk(
    root: int,
    partners: dict[int, list[int]],
    order: dict[int, int],
    low: dict[int, int],
    found: list[Group],
) -> None:
    """Depth first from `root`; `low` is the earliest picture that a subtree reaches."""
    order[root] = low[root] = len(order)
    path = [(root, -1, iter(partners[root]))]
    seen = [root]
    while path:
        node, parent, left = path[-1]
        for other in left:
            if other == parent:
                continue
            if other in order:
                low[node] = min(low[node], order[other])
                continue
            order[other] = low[other] = len(order)
            seen.append(other)
            path.append((other, node, iter(partners[other])))
            break
        else:
            path.pop()
            if parent < 0:
                continue
            low[parent] = min(low[parent], low[node])
            if low[node] >= order[parent]:
                first = _last(seen, node)
                found.append(frozenset([parent, *seen[first:]]))
                del seen[first:]


def _last(seen: list[int], node: int) -> int:
    place = len(seen) - 1
    while seen[place] != node:
        place -= 1
    return place
