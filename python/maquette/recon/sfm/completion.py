"""More pairs where the verified ones leave the view graph weak, as long as they bring partners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from maquette.recon.sfm import matching, view_graph
from maquette.recon.sfm.pairs import Pair, Ranked, in_tiles
from maquette.recon.sfm.view_graph import Group
from maquette.scene.events import Progress

ENOUGH_PARTNERS = 3
_AT_ONCE = 6  # pairs more for each weak group

Weak = Callable[[set[Pair]], set[Group]]
Candidates = Callable[[Group, set[Pair]], set[Pair]]


@dataclass(frozen=True)
class Search:
    """Rounds of matching in a database.

    Attributes:
        names: Its pictures; pairs are positions among them.
    """

    database: Path
    names: list[str]
    seed: int
    progress: Progress

    def complete(self, matched: set[Pair], weak: Weak, candidates: Candidates) -> set[Pair]:
        """Match candidates of each weak group, until none is weak or none brings a partner.

        Args:
            matched: The pairs that were tried already.
            weak: The weak groups, of the verified pairs.
            candidates: What to try next for a group, of what was not tried.

        Returns:
            All verified pairs.
        """
        chosen, asked, given_up = set(matched), dict[Group, set[Pair]](), set[Group]()
        while True:
            found = set(matching.verified_pairs(self.database, self.names))
            given_up |= {group for group, pairs in asked.items() if not pairs & found}
            asked = {group: candidates(group, chosen) for group in weak(found) - given_up}
            more = set().union(*asked.values())
            if not more:
                return found
            self.match(in_tiles(more))
            chosen |= more

    def match(self, wanted: Sequence[Pair]) -> None:
        """Match pairs; those already there are kept."""
        matching.match(self.database, self.names, wanted, self.seed, self.progress)


def strengthen(search: Search, matched: set[Pair], alike: Ranked) -> set[Pair]:
    """Try the likest pictures of groups that stand apart, hang by one picture or are poor.

    Args:
        alike: Of each picture others in the order of likeness, more than were matched.

    Returns:
        All verified pairs.
    """

    def weak(found: set[Pair]) -> set[Group]:
        count = len(search.names)
        return view_graph.lonely(count, found, ENOUGH_PARTNERS) | view_graph.hanging(found)

    return search.complete(matched, weak, lambda group, tried: likest_outside(group, tried, alike))


def likest_outside(group: Group, tried: set[Pair], alike: Ranked) -> set[Pair]:
    """The likest pairs, not tried yet, of a picture of the group and one outside it."""
    ranks: dict[Pair, int] = {}
    for one in sorted(group):
        for rank, other in enumerate(alike[one].tolist()):
            pair = (min(one, other), max(one, other))
            if other >= 0 and other not in group and pair not in tried:
                ranks[pair] = min(rank, ranks.get(pair, rank))
    return set(sorted(ranks, key=lambda pair: (ranks[pair], pair))[:_AT_ONCE])
