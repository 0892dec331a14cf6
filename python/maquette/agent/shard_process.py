"""A shard at work on this machine as a process of its own, see `shard_run`."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence

from maquette.agent.arguments import without_secrets
from maquette.agent.shard_run import MODULE
from maquette.agent.step_process import StepProcess

_LINES, _LONGEST = 50, 2000
_GRACE_S = 40.0  # longer than the shard's own process has for its step


class ShardProcess:
    """Starts it at once.

    Args:
        words: For `shard_run`.
        keys: Of the store, for its environment.
    """

    def __init__(self, words: Sequence[str], keys: Mapping[str, str]) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - until `end`
        environment = {**without_secrets(os.environ), **keys}
        argv = [sys.executable, "-m", MODULE, *words]
        self._process = StepProcess(argv, environment, self._output)

    def code(self, limit_s: float = 0.0) -> int | None:
        """Its exit code as shells write it; None while it runs, after so long."""
        code = self._process.wait(limit_s)
        return code if code is None or code >= 0 else 128 - code

    def lines(self) -> tuple[str, ...]:
        """The last lines that it wrote."""
        self._output.seek(0)
        text = self._output.read().decode(errors="replace")
        return tuple(line[:_LONGEST] for line in text.splitlines()[-_LINES:])

    def ask_to_stop(self) -> None:
        """Tell it to stop; what it has not handed in is lost."""
        self._process.ask_to_stop()

    def end(self) -> None:
        """End it, and wait for that; fine when it has ended."""
        self._process.ask_to_stop()
        deadline = time.monotonic() + _GRACE_S
        while self.code(0.1) is None:
            if time.monotonic() > deadline:
                self._process.kill()
        self._process.sweep()
        self._output.close()
