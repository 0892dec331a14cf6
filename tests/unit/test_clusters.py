"""How large sets are mapped: clusters that overlap, tracks that are one, what memory allows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maquette.errors import JobFailed
from maquette.recon.sfm import capacity, clusters, merging
from maquette.recon.sfm.pairs import Pair

few = settings(deadline=None, max_examples=40)


def ring(count: int, reach: int = 4) -> dict[Pair, int]:
    found = {}
    for one in range(count):
        for step in range(1, reach + 1):
            other = (one + step) % count
            found[min(one, other), max(one, other)] = 200 // step
    return found


@pytest.mark.parametrize(("count", "size"), [(40, 12), (200, 30), (900, 250)])
def test_clusters_of_a_ring_are_small_connected_and_overlap(count: int, size: int) -> None:
    inliers = ring(count)
    found = clusters.partition(count, inliers, size)
    assert {one for cluster in found for one in cluster} == set(range(count))
    assert max(map(len, found)) <= size
    assert len(found) <= 4 * count / size
    for cluster in found:
        shared = [len(set(cluster) & set(other)) for other in found if other is not cluster]
        assert max(shared) >= min(4, size // 3)
        ordered = sorted(cluster)
        gaps = sum(
            (after - one) % count > 4
            for one, after in zip(ordered, ordered[1:] + ordered[:1], strict=True)
        )
        assert gaps <= 1  # one arc of the ring


def test_groups_without_a_common_match_are_apart_and_who_matches_nobody_is_left_out() -> None:
    inliers = ring(10) | {(one + 10, other + 10): n for (one, other), n in ring(8).items()}
    inliers |= {(18, 19): 0}
    found = clusters.partition(20, inliers, 12)
    assert sorted(map(tuple, found)) == [tuple(range(10)), tuple(range(10, 18))]
    assert clusters.partition(20, inliers, 12) == found


@few
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 2), st.integers(0, 3)), max_size=30))
def test_points_that_share_a_feature_are_one(observed: list[tuple[int, int, int]]) -> None:
    labels = merging.united(np.array(observed, np.int64).reshape(-1, 3), 8)
    same = np.eye(8, dtype=bool)
    for one in observed:
        for other in observed:
            same[one[0], other[0]] |= one[1:] == other[1:]
    for _ in range(3):
        same = same @ same
    assert (labels[:, None] == labels[None, :]).tolist() == same.tolist()


@pytest.mark.parametrize(
    ("images", "matches", "wanted", "memory_gb", "size"),
    [
        (80, 180_000, 0, 8, 0),
        (300, 10**7, 0, 8, 0),
        (2700, 10**7, 0, 24, 0),  # 1.1 million tracks: 11 GB
        (2700, 10**7, 0, 8, 500),
        (2700, 10**7, 0, 1.5, 366),
        (3001, 10**7, 0, 64, 500),
        (3001, 0, 0, 64, 500),
        (80, 180_000, 30, 8, 30),
        (20, 180_000, 30, 8, 0),
    ],
)
def test_what_does_not_fit_is_mapped_in_clusters(
    monkeypatch: pytest.MonkeyPatch,
    images: int,
    matches: int,
    wanted: int,
    memory_gb: float,
    size: int,
) -> None:
    monkeypatch.setattr(capacity, "memory_bytes", lambda: int(memory_gb * 2**30))
    assert capacity.cluster_size(images, matches, wanted) == size


def test_what_fits_in_no_way_is_refused_with_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "memory_bytes", lambda: 2**30)
    with pytest.raises(JobFailed, match=r"2,700 photos takes about 11\.1 GB") as caught:
        capacity.cluster_size(2700, 10**7)
    assert "has 1.0 GB" in caught.value.what and "FRAMES" in caught.value.hint
