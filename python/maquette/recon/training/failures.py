"""How a training run fails: it diverges, or its memory does not suffice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from maquette.errors import JobFailed


def diverged(iteration: int, lower_rate: str, what: str = "the loss is not a number") -> JobFailed:
    """The error of a run that diverged.

    Args:
        lower_rate: The setting to try, e.g. `OVERRIDES='optim.params.lr=0.001'`.
    """
    return JobFailed(
        f"training diverged: {what} at iteration {iteration}",
        detail="the learning rate is probably too high; the last good checkpoint stays",
        hint="try again with a lower rate" + (f", e.g. {lower_rate}" if lower_rate else ""),
    )


def out_of_memory(shrunk: str | None, smaller: str) -> JobFailed:
    """The error of a machine that is too small for the configuration.

    Args:
        shrunk: What was made smaller in vain; None: nothing could be.
        smaller: Settings to try.
    """
    return JobFailed(
        "training ran out of memory" + (f", also with {shrunk}" if shrunk else ""),
        detail="the last good checkpoint stays",
        hint=smaller or "use a machine or a GPU with more memory",
    )


@contextmanager
def memory_checked(smaller: str) -> Iterator[None]:
    """Inside the block, want of memory that nobody handled is an error with a sentence."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise out_of_memory(None, smaller) from error


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether the memory of a GPU or of the machine ran out, as torch and Warp tell it."""
    told = str(error)
    plain = "allocate memory" in told or "Failed to allocate" in told
    return isinstance(error, torch.OutOfMemoryError) or plain
