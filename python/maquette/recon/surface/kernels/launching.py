"""Start Warp kernels on PyTorch's tensors: on its CUDA stream, or on its number of CPU threads."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
import warp as wp
from torch import Tensor

wp.config.log_level = wp.LOG_ERROR
wp.config.optimization_level = 3

_LEAST_ITEMS = 256  # a CPU thread is not worth starting for fewer


def over_items(kernel: Any, count: int, device: torch.device, arguments: Sequence[Any]) -> None:
    """Run a kernel once for each of `count` items; its first parameter is the first item's number.

    Args:
        arguments: What follows the first parameter; tensors as `array` gave them.
    """
    if device.type == "cuda":
        _on_cuda(kernel, count, device, [0, *arguments])
        return
    edges = _shares(count)

    def run(part: int) -> None:
        first, end = edges[part], edges[part + 1]
        wp.launch(kernel, dim=end - first, inputs=[first, *arguments], device="cpu")

    _run_all(run, len(edges) - 1)


def over_ranges(kernel: Any, count: int, device: torch.device, arguments: Sequence[Any]) -> None:
    """Run a kernel for ranges that cover `count` items.

    Its first two parameters are the first item's number and a range's length: thread t does the
    range that begins t lengths later. A CUDA thread has one item, a CPU thread its whole share.
    """
    if device.type == "cuda":
        _on_cuda(kernel, count, device, [0, 1, *arguments])
        return
    edges = _shares(count)

    def run(part: int) -> None:
        first, end = edges[part], edges[part + 1]
        wp.launch(kernel, dim=1, inputs=[first, end - first, *arguments], device="cpu")

    _run_all(run, len(edges) - 1)


def over_groups(
    kernel: Any, groups: int, count: int, device: torch.device, arguments: Sequence[Any]
) -> None:
    """Run a kernel for ranges that cover `count` items in each group.

    Its first two parameters are the group's number and a range's length, as in `over_ranges`. On
    the CPU one thread does all items of a group in their order, so that kernels may add to
    memory that belongs to the group: no races, and the same sum every time.
    """
    if device.type == "cuda":
        for group in range(groups):
            _on_cuda(kernel, count, device, [group, 1, *arguments])
        return

    def run(part: int) -> None:
        for group in range(part, groups, parts):
            wp.launch(kernel, dim=1, inputs=[group, count, *arguments], device="cpu")

    parts = max(1, min(torch.get_num_threads(), groups))
    _run_all(run, parts)


def array(tensor: Tensor, kind: Any = wp.float32) -> Any:
    """A contiguous tensor's memory as a Warp array of scalars or of vectors."""
    return wp.from_torch(tensor.detach(), dtype=kind)


def _shares(count: int) -> list[int]:
    """Where the shares of the CPU's threads begin, and where the last one ends."""
    parts = max(1, min(torch.get_num_threads(), count // _LEAST_ITEMS))
    return [count * part // parts for part in range(parts + 1)]


def _on_cuda(kernel: Any, count: int, device: torch.device, inputs: list[Any]) -> None:
    stream = wp.stream_from_torch(torch.cuda.current_stream(device))
    wp.launch(kernel, dim=count, inputs=inputs, stream=stream)


def _run_all(run: Callable[[int], None], parts: int) -> None:
    if parts == 1:
        run(0)
        return
    list(_pool(parts).map(run, range(parts)))


def _start() -> None:
    """Start Warp, whose library tells standard error directly that there is no NVIDIA driver."""
    if torch.cuda.is_available():
        wp.init()
        return
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        wp.init()
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="kernel")


_start()
