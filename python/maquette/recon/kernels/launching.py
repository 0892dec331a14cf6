"""Start Warp kernels on PyTorch's tensors: on its CUDA stream, or on its number of CPU threads."""

from __future__ import annotations

import ctypes
import functools
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import torch
import warp as wp
from torch import Tensor

wp.config.log_level = wp.LOG_ERROR
wp.config.optimization_level = 3

_streams: dict[int, Any] = {}  # Warp's face of each of torch's streams
_recorded: dict[tuple[Any, str], wp.Launch] = {}  # by kernel and device
_LEAST_ITEMS = 256  # a CPU thread is not worth starting for fewer
_SHARES = 4  # of unequal work, of each CPU thread


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


def over_levels(
    kernel: Any, levels: int, count: int, device: torch.device, arguments: Sequence[Any],
    owned: bool = False,
) -> None:  # fmt: skip
    """Run a kernel for `count` items on each of `levels` levels.

    It is launched over (levels, threads); its first three parameters are the first level, the
    first item and the items of a thread. On CUDA a thread has one item of one level, and
    neighbours the next item of the same level. A CPU thread has a share of the items on all
    levels, or, when a level's memory is `owned`, all items of its levels in their order: kernels
    may then add to that memory without races, and the same sum every time.
    """
    if device.type == "cuda":
        _on_cuda(kernel, (levels, count), device, [0, 0, 1, *arguments])
        return
    if owned:
        parts = max(1, min(torch.get_num_threads(), levels))
        shares = [(level, 0, count, 1) for level in range(levels)]
    else:
        edges = _shares(count)
        parts = len(edges) - 1
        shares = [(0, first, end - first, levels) for first, end in pairwise(edges)]

    def run(part: int) -> None:
        for level, first, size, together in shares[part::parts]:
            inputs = [level, first, size, *arguments]
            wp.launch(kernel, dim=(together, 1), inputs=inputs, device="cpu")

    _run_all(run, parts)


def over_blocks(
    kernel: Any, blocks: int, threads: int, device: torch.device, arguments: Sequence[Any]
) -> None:
    """Run a kernel for `blocks` pieces of work that are large and of unequal size.

    Its first parameter is the first thread's number. On CUDA a piece has a block of `threads`
    threads. On a CPU it is one item, and each of its threads
    has some shares of them from all over.
    """
    if device.type == "cuda":
        _on_cuda(kernel, blocks * threads, device, [0, *arguments])
        return
    workers = max(1, min(torch.get_num_threads(), blocks))
    parts = 1 if workers == 1 else min(blocks, workers * _SHARES)
    edges = [blocks * part // parts for part in range(parts + 1)]

    def run(worker: int) -> None:
        for first, end in zip(edges[worker:-1:workers], edges[worker + 1 :: workers], strict=True):
            wp.launch(kernel, dim=end - first, inputs=[first, *arguments], device="cpu")

    _run_all(run, workers)


def array(tensor: Tensor, kind: Any = wp.float32) -> Any:
    """A contiguous tensor's memory as a Warp array of scalars or of vectors, for a launch."""
    return wp.from_torch(tensor, dtype=kind, requires_grad=False, return_ctype=True)


def _shares(count: int) -> list[int]:
    """Where the shares of the CPU's threads begin, and where the last one ends."""
    parts = max(1, min(torch.get_num_threads(), count // _LEAST_ITEMS))
    return [count * part // parts for part in range(parts + 1)]


def _on_cuda(kernel: Any, dim: Any, device: torch.device, inputs: list[Any]) -> None:
    current = torch.cuda.current_stream(device)
    stream = _streams.get(current.cuda_stream)
    if stream is None:
        stream = _streams[current.cuda_stream] = wp.stream_from_torch(current)
    launch(kernel, dim, stream.device, inputs, stream)


def launch(kernel: Any, dim: Any, device: Any, inputs: Sequence[Any], stream: Any = None) -> None:
    """Run a kernel; from the second time on without Warp's checks, in a third of their time.

    A step of training is some dozen launches of microseconds: the processor must not be slower
    than the GPU.
    """
    if not math.prod(dim if isinstance(dim, tuple) else (dim,)):
        return
    command = _recorded.get((kernel, device.alias))
    if command is None:
        wp.launch(kernel, dim, inputs, device=device, stream=stream)
        _recorded[kernel, device.alias] = wp.Launch(kernel, device)
        return
    command.set_dim(dim)
    for place, value in enumerate(inputs):
        if isinstance(value, ctypes.Structure):  # a copy does not keep the tensor in memory
            command.set_param_at_index_from_ctype(place, type(value).from_buffer_copy(value))
        elif isinstance(value, int | float):
            command.set_param_at_index_from_ctype(place, value)
        else:
            command.set_param_at_index(place, value)
    command.launch(stream)


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
