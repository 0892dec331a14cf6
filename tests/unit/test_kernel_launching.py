"""Launches of kernels: replayed, and without tensors made where the input is not."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
import warp as wp

from maquette.recon import kernel_checks
from maquette.recon.kernel_checks import compare
from maquette.recon.kernels.launching import array, launch, over_blocks, over_items, over_levels
from threads import threads

CPU = torch.device("cpu")


@wp.kernel
def _scaled(first: int, factor: float, source: wp.array(dtype=wp.float32), move: wp.vec3,
            result: wp.array(dtype=wp.float32)):  # fmt: skip
    i = first + wp.tid()
    result[i] = factor * source[i] + move[0]


@wp.kernel
def _once(first: int, done: wp.array(dtype=wp.float32)):
    i = first + wp.tid()
    done[i] = done[i] + 1.0


@wp.kernel
def _once_a_level(low: int, first: int, size: int, items: int,
                  done: wp.array(dtype=wp.float32)):  # fmt: skip
    level, _ = wp.tid()
    for item in range(first, first + size):
        place = (low + level) * items + item
        done[place] = done[place] + 1.0


def scaled(first: int, count: int, factor: float, source: torch.Tensor, move: float) -> list[float]:
    result = torch.zeros(len(source))
    inputs = [first, factor, array(source), wp.vec3(move, 0.0, 0.0), array(result)]
    launch(_scaled, count, wp.get_device("cpu"), inputs)
    return result.tolist()


def test_a_replayed_launch_has_the_new_size_numbers_and_tensors() -> None:
    one, two = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([5.0, 6.0, 7.0, 8.0])
    assert scaled(0, 3, 2.0, one, 0.0) == [2.0, 4.0, 6.0]
    assert scaled(1, 3, 1.0, two, 1.0) == [0.0, 7.0, 8.0, 9.0]
    assert scaled(0, 1, -1.0, one, 0.5) == [-0.5, 0.0, 0.0]
    assert scaled(0, 0, 1.0, one, 0.0) == [0.0, 0.0, 0.0]


def test_a_replayed_launch_keeps_no_tensor_in_memory() -> None:
    source = torch.ones(3)
    gone = weakref.ref(source)
    scaled(0, 3, 1.0, source, 0.0)
    scaled(0, 3, 1.0, source, 0.0)
    del source
    gc.collect()
    assert gone() is None


def test_kernels_and_twins_make_tensors_where_their_inputs_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What forgets the device lands on `meta` here, as it would on the CPU where there is a GPU."""
    for case in kernel_checks.cases(CPU, quick=True):
        with torch.device("meta"):
            fast, slow = case.fast(), case.slow()
        assert (fast.device, slow.device) == (CPU, CPU), case.kernel
        with threads(3):
            assert not compare(case, CPU, runs=1).error > case.allowed


@pytest.mark.parametrize("count", [1, 3])
def test_threads_share_items_levels_and_blocks_and_none_is_done_twice(count: int) -> None:
    for items in (0, 5, 256 * 3 + 1, 2000):
        done = [torch.zeros(4 * items) for _ in range(4)]
        with threads(count):
            over_items(_once, items, CPU, [array(done[0])])
            for counted, owned in zip(done[1:3], (False, True), strict=True):
                over_levels(_once_a_level, 4, items, CPU, [items, array(counted)], owned)
            over_blocks(_once, items, 32, CPU, [array(done[3])])
        assert all(bool((counted == 1).all()) for counted in done[1:3])
        for counted in (done[0], done[3]):
            assert bool((counted[:items] == 1).all()) and not counted[items:].any()
