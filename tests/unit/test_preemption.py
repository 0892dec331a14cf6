"""Preemptive matching: what a trial finds is matched, and nobody is left alone unheard."""

from __future__ import annotations

import io
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maquette.recon.sfm import features, matching, preemption
from maquette.recon.sfm.pairs import Pair, exhaustive
from maquette.recon.sfm.preemption import likeliest
from maquette.recon.sfm.view_graph import lonely
from maquette.scene.events import Progress

few = settings(deadline=None, max_examples=50)
Pairs = st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda p: p[0] < p[1]))


@few
@given(Pairs, st.integers(1, 4))
def test_the_lonely_against_their_slow_twin(verified: set[Pair], enough: int) -> None:
    reach = np.eye(8, dtype=bool)
    for one, other in verified:
        reach[one, other] = reach[other, one] = True
    partners = reach.sum(axis=1) - 1
    for _ in range(3):
        reach = reach @ reach
    largest = reach[int(np.argmax(reach.sum(axis=1)))]
    alone = {frozenset([i]) for i in range(8) if partners[i] < enough}
    apart = {frozenset(np.nonzero(reach[i])[0].tolist()) for i in range(8) if not largest[i]}
    assert lonely(8, verified, enough) == alone | apart


def test_everybody_is_lonely_in_an_empty_graph() -> None:
    assert lonely(0, [], 3) == set()
    assert lonely(2, [], 1) == {frozenset([0]), frozenset([1])}


def test_the_likeliest_are_those_with_inliers_then_matches_then_neighbours() -> None:
    likelihood = {(0, number): (0, 0) for number in range(1, 30)}
    likelihood |= {(0, 20): (5, 8), (0, 25): (0, 9), (3, 4): (6, 6)}
    chosen = likeliest(frozenset([0]), likelihood, tried={(0, 1)})
    assert chosen == {(0, 20), (0, 25), (0, 2), (0, 3), (0, 4), (0, 5)}
    between = likeliest(frozenset([0, 2, 20]), likelihood, tried=set())
    assert (0, 25) in between and (0, 20) not in between and (0, 2) not in between


class Found:
    """Stands for the database: which pairs agree, and which were asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, agree: set[Pair], trial: set[Pair]) -> None:
        self.asked: list[Pair] = []
        monkeypatch.setattr(matching, "match", self.match)
        monkeypatch.setattr(matching, "verified_pairs", lambda *_: set(self.asked) & agree)
        seen = {pair: (9 if pair in trial else 0, 0) for pair in exhaustive(20)}
        monkeypatch.setattr(preemption, "trial", lambda *_: seen)

    def match(self, database: Path, names: Any, wanted: Any, seed: int, progress: Any) -> None:
        self.asked += wanted


CHAIN = {(i, j) for i, j in combinations(range(20), 2) if j - i <= 3}


def matched(found: Found) -> list[Pair]:
    names = [f"{number}.jpg" for number in range(20)]
    preemption.match(Path("x.db"), names, exhaustive(20), 0, Progress(None, io.StringIO()))
    return found.asked


def test_only_what_the_trial_found_is_matched_where_all_have_partners(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert sorted(matched(Found(monkeypatch, CHAIN, CHAIN))) == sorted(CHAIN)


def test_a_picture_that_the_trial_missed_gets_its_partners(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missed = {pair for pair in CHAIN if 7 in pair}
    asked = matched(Found(monkeypatch, CHAIN, CHAIN - missed))
    assert missed <= set(asked)
    assert len(asked) == len(set(asked)) < 80  # of 190


def test_a_trial_that_finds_nothing_leads_to_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = matched(Found(monkeypatch, agree=set(), trial=set()))
    assert set(asked) == set(exhaustive(20))


def test_two_halves_are_joined_by_what_only_full_matching_sees(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    between = {(i, j) for i, j in CHAIN if i < 10 <= j}
    asked = matched(Found(monkeypatch, CHAIN, CHAIN - between))
    assert set(asked) & between


def test_the_strongest_features_are_the_largest() -> None:
    keypoints = np.array([[0, 0, 2, 0], [1, 1, 5, 0], [2, 2, 5, 0], [3, 3, 1, 0]], np.float32)
    assert list(features.strongest(keypoints, 3)) == [1, 2, 0]
    affine = np.array([[0, 0, 3, 0, 4, 0], [1, 1, 1, 0, 6, 0]], np.float32)
    assert list(features.strongest(affine, 2)) == [1, 0]
    assert list(features.strongest(keypoints[:0], 3)) == []


@pytest.mark.parametrize(
    ("pictures", "per_image", "pays"),
    [(24, 6500, True), (16, 12000, True), (18, 5700, False), (49, 2900, False), (60, 4000, True)],
)
def test_a_trial_is_made_where_matching_is_long(
    monkeypatch: pytest.MonkeyPatch, pictures: int, per_image: float, pays: bool
) -> None:
    monkeypatch.setattr(features, "counts", lambda database: {"features_per_image": per_image})
    assert preemption.pays(Path("x.db"), exhaustive(pictures)) is pays
