"""Pairs in bounded number, and where the graph of verified ones is weak."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maquette.recon.sfm import completion, matching, pairs, proposing, retrieval, shards, view_graph
from maquette.recon.sfm.features import Search
from maquette.recon.sfm.pairs import Pair
from maquette.recon.sfm.proposing import Proposal
from maquette.scene.events import Progress

few = settings(deadline=None, max_examples=50)
Pairs = st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda p: p[0] < p[1]))


def is_connected(verified: set[Pair], nodes: set[int]) -> bool:
    reached, queue = {min(nodes)}, [min(nodes)]
    while queue:
        node = queue.pop()
        for one, other in verified:
            if node in (one, other) and {one, other} <= nodes:
                new = {one, other} - reached
                reached |= new
                queue += new
    return reached == nodes


@few
@given(Pairs)
def test_blocks_stay_whole_without_any_of_their_pictures(verified: set[Pair]) -> None:
    found = view_graph.blocks(verified)
    for block in found:
        for left_out in block:
            assert is_connected(verified, set(block) - {left_out})
    for pair in verified:  # each edge lies in exactly one block
        assert sum(set(pair) <= block for block in found) == 1
    for one in found:
        assert all(len(one & other) <= 1 for other in found if other is not one)


@few
@given(Pairs, Pairs, st.integers(1, 12))
def test_friends_share_a_verified_partner(
    verified: set[Pair], failed: set[Pair], each: int
) -> None:
    tried = verified | failed
    inliers = {pair: 20 if pair in verified else 0 for pair in tried}
    found = view_graph.friends(inliers, tried, each)
    share = {
        (i, j)
        for i, j in pairs.exhaustive(10)
        for k in range(10)
        if {(min(i, k), max(i, k)), (min(j, k), max(j, k))} <= verified
    }
    assert found <= share - tried
    if each > 8:  # more than a picture can have
        assert found == share - tried
    for number in range(10):  # of each picture its own, if there are any
        mine = [pair for pair in share - tried if number in pair]
        assert sum(number in pair for pair in found) >= min(each, len(mine))


def test_of_friends_the_nearest_and_the_farthest_are_among_those_chosen() -> None:
    ties = {(0, 1): 100, **{(1, i): 10 * i for i in range(2, 8)}}
    found = view_graph.friends(
        ties, {*ties, *pairs.exhaustive(8)} - {(0, i) for i in range(2, 8)}, 3
    )
    assert found == {(0, i) for i in range(2, 8)}  # each asks for the one with 0
    of_zero = view_graph.friends({**ties, (2, 9): 1}, set(ties), 2)
    assert {(0, 2), (0, 7)} <= of_zero


def test_a_long_chain_is_cut_into_its_links() -> None:
    chain = [(i, i + 1) for i in range(3000)]
    assert len(view_graph.blocks(chain)) == 3000


def test_what_hangs_by_one_picture() -> None:
    large = {(i, j) for i in range(5) for j in range(i + 1, 5)}
    tail = {(4, 5), (5, 6), (4, 6)}
    assert view_graph.hanging(large | tail) == {frozenset([5, 6])}
    assert view_graph.hanging(large) == set()
    assert view_graph.hanging([]) == set()


@few
@given(st.integers(0, 1000), st.integers(2, 40), st.integers(1, 6), st.integers(0, 3))
def test_nearest_in_blocks_against_all_at_once(
    seed: int, count: int, wanted: int, gap: int
) -> None:
    rng = np.random.default_rng(seed)
    places = rng.integers(0, 9, (count, 2)).astype(np.float64)
    places[rng.random(count) < 0.2] = np.nan
    found = ranked_in_blocks(places, wanted, gap)
    for i in range(count):
        far = [
            (float(np.sum((places[i] - places[j]) ** 2)), j)
            for j in range(count)
            if abs(i - j) > gap and np.isfinite(places[[i, j]]).all()
        ]
        best = [j for _, j in sorted(far)][:wanted]
        assert [j for j in found[i].tolist() if j >= 0] == best


def ranked_in_blocks(places: np.ndarray, wanted: int, gap: int) -> np.ndarray:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "_BLOCK", 7)
        return pairs.ranked_by_place(places, wanted, gap)


@pytest.mark.parametrize("is_video", [True, False])
def test_a_picture_has_a_bounded_number_of_partners(
    monkeypatch: pytest.MonkeyPatch, is_video: bool
) -> None:
    """Whatever the number of pictures: 10 in order, 30 by look and 20 by place at most."""
    per_picture = []
    for count in (400, 1200):
        rng = np.random.default_rng(count)
        vectors = rng.normal(size=(count, 16)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        monkeypatch.setattr(retrieval, "global_descriptors", lambda *_, found=vectors: found)
        names, places = [str(i) for i in range(count)], rng.normal(size=(count, 2))
        made = proposing.propose(Path("x.db"), names, "sequential", 0, is_video, places)
        assert {(i, i + 10) for i in range(count - 10)} <= set(made.pairs)
        assert made.alike.shape == (count, 60)
        per_picture.append(len(made.pairs) / count)
    assert 30 < per_picture[0] < 60 and per_picture[1] < 1.05 * per_picture[0]


def test_videos_of_up_to_300_frames_are_matched_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.eye(100, dtype=np.float32)
    monkeypatch.setattr(retrieval, "global_descriptors", lambda *_: vectors)
    made = proposing.propose(Path("x.db"), [str(i) for i in range(100)], "sequential", 0)
    assert made.pairs == pairs.in_tiles({*pairs.sequential(100), *pairs.similar(vectors)})
    assert made.alike.size == 0


def test_photos_are_matched_with_the_next_and_the_likest(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 16)).astype(np.float32)
    monkeypatch.setattr(retrieval, "global_descriptors", lambda *_: vectors)
    made = proposing.propose(Path("x.db"), [str(i) for i in range(50)], "alike", 0, False)
    likest = {(min(i, j), max(i, j)) for i, row in enumerate(made.alike.tolist()) for j in row[:8]}
    assert set(made.pairs) == likest | {(i, i + 1) for i in range(49)}
    assert made.alike.shape == (50, 50)  # the others are tried where the view graph is weak


def test_a_proposal_is_kept_for_what_it_was_made_from(tmp_path: Path) -> None:
    made = Proposal([(0, 1), (2, 5)], np.array([[1, -1]], np.int32), "these")
    made.write(tmp_path / "pairs.npz")
    again = Proposal.read(tmp_path / "pairs.npz", "these")
    assert again is not None and again.pairs == made.pairs and again.alike.tolist() == [[1, -1]]
    assert Proposal.read(tmp_path / "pairs.npz", "others") is None
    for damaged in (b"PK half", b""):
        (tmp_path / "pairs.npz").write_bytes(damaged)
        assert Proposal.read(tmp_path / "pairs.npz", "these") is None
    assert Proposal.read(tmp_path / "none.npz", "these") is None


def test_metres_of_latitudes_and_longitudes_also_across_the_date_line() -> None:
    found = proposing.on_a_plane([(60.0, 10.0), (60.0, 10.001), (60.001, 10.0), (np.nan, np.nan)])
    assert found[1, 0] - found[0, 0] == pytest.approx(55.6, abs=0.1)
    assert found[2, 1] - found[0, 1] == pytest.approx(111.2, abs=0.1)
    assert np.isnan(found[3]).all()
    apart = np.diff(proposing.on_a_plane([(0.0, 179.9995), (0.0, -179.9995)]), axis=0)[0]
    assert np.hypot(*apart) == pytest.approx(111.2, abs=0.2)


def test_weak_groups_get_their_likest_partners(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two halves, each picture with the next two, are joined where they look alike."""
    count = 20
    near = {(i, j) for i in range(count) for j in range(i + 1, min(i + 3, count))}
    halves = {pair for pair in near if (pair[0] < 10) is (pair[1] < 10)}
    agree, asked = halves | {(2, 17), (3, 16)}, list[Pair](halves)
    monkeypatch.setattr(matching, "verified_pairs", lambda *_: set(asked) & agree)
    monkeypatch.setattr(matching, "match", lambda *found: asked.extend(found[2]))
    alike = np.array([[count - 1 - i, (i + 5) % count] for i in range(count)], np.int32)
    search = completion.Search(Path("x.db"), [str(i) for i in range(count)], 0, Progress(None))
    found = completion.strengthen(search, halves, alike)
    assert {(2, 17), (3, 16)} <= found
    assert len(asked) == len(set(asked)) <= len(halves) + 2 * count


def test_pictures_are_shared_out_in_order_and_keep_how_to_look_at_them() -> None:
    plain = Search(tuple(f"a{i}" for i in range(5)), 100, -1, 0.1)
    usual = Search(("b0", "b1"), 100, 0, 0.2)
    shares: Any = shards.share_out([plain, usual], 3)
    assert [[one.names for one in share] for share in shares] == [
        [("a0", "a1", "a2")], [("a3", "a4"), ("b0",)], [("b1",)],
    ]  # fmt: skip
    assert shares[1][0].first_octave == -1 and shares[1][1].peak_threshold == 0.2
    assert shards.share_out([], 3) == []
