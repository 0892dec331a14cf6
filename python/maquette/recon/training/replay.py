"""An iteration's kernels recorded once and replayed: a GPU then waits for no Python.

CUDA graphs as PyTorch has them: what is recorded reads and writes the same memory each time, so
whatever changes between iterations has to be a tensor that is written before.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_EAGER = 2  # iterations of a kind that are done one kernel at a time, before one is recorded


class Replay:
    """Runs a function of a `kind` that leaves its results in tensors.

    Args:
        work: What to run; of one kind it always launches the same kernels on the same memory.
        generator: The random numbers that it draws.
        enabled: Record on CUDA; else each call just runs `work`.
    """

    def __init__(
        self, work: Callable[[Any], Tensor], device: torch.device, generator: torch.Generator,
        enabled: bool,
    ) -> None:  # fmt: skip
        self._work, self._generator = work, generator
        self._records = enabled and device.type == "cuda"
        self._stream: torch.cuda.Stream | None = None
        if self._records:
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._kind: Any = None
        self._done = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._result: Tensor | None = None

    def run(self, kind: Any) -> Tensor:
        """Do the work once more."""
        if not self._records:
            return self._work(kind)
        if kind != self._kind:
            self.forget()
            self._kind = kind
        if self._graph is None and self._done < _EAGER:
            self._done += 1
            return self._eagerly(kind)
        if self._graph is None:
            try:
                self._record(kind)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                warnings.warn(f"goes on one kernel at a time: {error}", stacklevel=2)
                self._records = False
                return self._work(kind)
        assert self._graph is not None and self._result is not None
        self._graph.replay()
        return self._result.clone()

    def forget(self) -> None:
        """Give up what was recorded, and its memory."""
        if self._graph is not None:
            torch.cuda.synchronize()
            self._graph.reset()
            self._graph = self._result = None
            torch.cuda.empty_cache()
        self._kind, self._done = None, 0

    def _eagerly(self, kind: Any) -> Tensor:
        """On the stream that will record: libraries then have their memory for it."""
        assert self._stream is not None
        outside = torch.cuda.current_stream()
        self._stream.wait_stream(outside)
        with torch.cuda.stream(self._stream):
            result = self._work(kind)
        outside.wait_stream(self._stream)
        return result

    def _record(self, kind: Any) -> None:
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._generator)
        torch.cuda.synchronize()
        with torch.cuda.graph(graph, stream=self._stream):
            self._result = self._work(kind)
        self._graph = graph
