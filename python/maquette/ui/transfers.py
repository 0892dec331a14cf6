"""Show a push or pull: a moving line on a terminal, plain lines elsewhere, or JSON."""

from __future__ import annotations

import json
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any

from maquette.ui import text

if TYPE_CHECKING:
    from maquette.storage.planning import Plan
    from maquette.storage.syncing import Comparison
    from maquette.storage.transfer import TransferProgress

PLAIN_INTERVAL_S = 10.0
JSON_INTERVAL_S = 1.0


class TransferPrinter:
    """Prints bytes, rate and time left; silent for transfers that end at once.

    Args:
        as_json: One object a second instead of a sentence.
    """

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._live = sys.stdout.isatty() and not as_json
        self._begun = self._last = time.monotonic()

    def show(self, comparison: Comparison, moved: TransferProgress) -> None:
        """Show how far it is, if it is time for that."""
        clock = time.monotonic()
        interval = JSON_INTERVAL_S if self._as_json else PLAIN_INTERVAL_S
        if not self._live and clock - self._last < interval:
            return
        self._last = clock
        state = progress(comparison.plan, moved.bytes, moved.files, clock - self._begun)
        if self._as_json:
            print(json.dumps({"event": "progress", **state}), flush=True)
        elif self._live:
            width = shutil.get_terminal_size().columns - 1  # a longer line would stay behind
            print(f"\r\x1b[K{sentence(state)[:width]}", end="", flush=True)
        else:
            print(sentence(state), flush=True)

    def close(self) -> None:
        """Leave the terminal's line empty."""
        if self._live:
            print("\r\x1b[K", end="", flush=True)


def progress(plan: Plan, bytes_done: int, files_done: int, seconds: float) -> dict[str, Any]:
    """The figures of a transfer under way; `left_s` is None before the first byte."""
    moving = plan.moving()
    total = sum(item.size for item in moving)
    rate = bytes_done / seconds if seconds > 0 else 0.0
    return {
        "direction": plan.direction,
        "bytes": bytes_done,
        "bytes_total": total,
        "files": files_done,
        "files_total": len(moving),
        "rate_bytes_s": round(rate),
        "left_s": round((total - bytes_done) / rate, 1) if rate else None,
    }


def sentence(state: dict[str, Any]) -> str:
    """The figures as a person reads them."""
    left = "" if state["left_s"] is None else f", {text.duration(max(state['left_s'], 0))} left"
    return (
        f"{state['direction']}: {text.size(state['bytes'])} of {text.size(state['bytes_total'])}, "
        f"{state['files']} of {state['files_total']} files, "
        f"{text.size(state['rate_bytes_s'])}/s{left}"
    )
