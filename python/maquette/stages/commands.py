"""Shards as commands that something starts somewhere: a cluster, a queue, another shell.

Who starts them is a `Launcher`: it takes command lines and tells which ended and how. What to do
again and what to give up is decided here, the same for all. A step learns of its launcher by
the environment: MAQUETTE_LAUNCHER names a module with `open_launcher`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from maquette.counting import counted
from maquette.errors import ExitCode
from maquette.scene.events import Progress, parse_log_line
from maquette.scene.paths import Scene
from maquette.stages.heartbeat import SILENCE_S, Pulse
from maquette.stages.shards import Failure, Shard, is_done
from maquette.stages.stage import Needs

LAUNCHER = "MAQUETTE_LAUNCHER"
TRY_AGAIN = 75
RETRIES = 3
# Of a shard's command: its machine asked it to stop or killed it, and another may do it.
MACHINES_CODES = frozenset({TRY_AGAIN, ExitCode.INTERRUPTED, 129, 137, 143})
_PAUSE_S = 1.0
_SEEN_WITHIN_S = 60.0  # a shared folder may show a new file so much later
_LAST_LINES = 10


@dataclass(frozen=True)
class ShardCommand:
    """A shard for a launcher.

    Attributes:
        name: `depthmaps:3`; unique among those of one stage.
        argv: Its command line: any machine runs it that sees the scene under the same path.
        log: Where its output goes, which the launcher sees to; what is there is kept.
        needs: What the machine must have.
        attempt: From 1.
        shard: What it does.
    """

    name: str
    argv: tuple[str, ...]
    log: Path
    needs: Needs
    attempt: int = 1
    shard: Shard | None = None


@dataclass(frozen=True)
class ShardEnd:
    """How a command ended.

    Attributes:
        code: As shells write it, 137 when it was killed; None when its machine was lost.
        where: The machine, for the person.
        lines: What is to be told of it that its log does not hold.
    """

    name: str
    code: int | None
    where: str = ""
    lines: tuple[str, ...] = ()


class Launcher(Protocol):
    """Starts commands on machines that see the scene."""

    def start(self, commands: Sequence[ShardCommand]) -> None:
        """Have them run, as many at once as there is room for; returns at once.

        Raises:
            MaquetteError: they can never run there: too few GPUs, nobody who answers.
        """

    def wait(self, limit_s: float) -> Sequence[ShardEnd]:
        """Those that ended since the last call; waits for one so long at most."""

    def give_up(self, name: str) -> None:
        """Forget one that gives no sign of life; its end is not told any more."""

    def close(self) -> None:
        """End all that still run."""


OpenLauncher = Callable[[Scene], Launcher]


@dataclass
class _Run:
    """A shard that was started."""

    shard: Shard
    command: ShardCommand
    pulse: Pulse


class Commands:
    """The executor that has shards run by commands.

    Args:
        opened: Makes the launcher, when there is something to start.
        argv: The command line of a shard.
        silence_s: A shard whose heartbeat stands still for so long is given up.
        seen_within_s: A record that a finished shard wrote is seen here after so long at most.
    """

    def __init__(
        self, opened: OpenLauncher, argv: Callable[[Shard], tuple[str, ...]], *,
        silence_s: float = SILENCE_S, seen_within_s: float = _SEEN_WITHIN_S,
    ) -> None:  # fmt: skip
        self._opened, self._argv = opened, argv
        self._silence_s, self._seen_within_s = silence_s, seen_within_s

    def __call__(
        self, shards: Sequence[Shard], workers: int, progress: Progress
    ) -> Generator[Failure | None, None, None]:
        """Start all, those first that take longest, and again what its machine failed."""
        if not shards:
            return
        runs = {shard.name: self._run(shard) for shard in shards}
        first = sorted(runs.values(), key=lambda run: -run.shard.cost)
        with closing(self._opened(shards[0].scene)) as launcher:
            launcher.start([run.command for run in first])
            while runs:
                progress.check()
                for end in [*launcher.wait(_PAUSE_S), *_silent(launcher, runs)]:
                    run = runs.pop(end.name, None)
                    if run is None:
                        continue
                    if again := self._again(run, end, progress):
                        runs[end.name] = again
                        launcher.start([again.command])
                    else:
                        yield self._failure(run, end)

    def _run(self, shard: Shard, attempt: int = 1) -> _Run:
        shard.record.parent.mkdir(parents=True, exist_ok=True)
        shard.heartbeat.unlink(missing_ok=True)
        if attempt == 1:
            shard.log.unlink(missing_ok=True)
        told = shard.name, self._argv(shard), shard.log, shard.needs
        command = ShardCommand(*told, attempt, shard)
        return _Run(shard, command, Pulse(shard.heartbeat, self._silence_s))

    def _again(self, run: _Run, end: ShardEnd, progress: Progress) -> _Run | None:
        """The next attempt at a shard whose machine failed; None where there is none to make."""
        attempt = run.command.attempt
        if not is_machines(end.code) or is_done(run.shard) or attempt > RETRIES:
            return None
        progress.say(f"shard {end.name} {_how(end)}: begun again ({attempt} of {RETRIES})")
        return self._run(run.shard, attempt + 1)

    def _failure(self, run: _Run, end: ShardEnd) -> Failure | None:
        shard = run.shard
        if is_done(shard) or (end.code == 0 and _shows(shard, self._seen_within_s)):
            shard.log.unlink(missing_ok=True)
            return None
        return _told(run, end)


def is_machines(code: int | None) -> bool:
    """Whether a shard's end is no fault of its input, so that another machine may do it."""
    return code is None or code in MACHINES_CODES


def _silent(launcher: Launcher, runs: dict[str, _Run]) -> list[ShardEnd]:
    lost = [run for run in runs.values() if run.pulse.is_lost()]
    for run in lost:
        launcher.give_up(run.command.name)
    return [ShardEnd(run.command.name, None, run.pulse.where()) for run in lost]


def _shows(shard: Shard, limit_s: float) -> bool:
    """Whether the record of a shard that ended well comes into sight."""
    deadline = time.monotonic() + limit_s
    while not is_done(shard):
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(min(_PAUSE_S, limit_s))
    return True


def _how(end: ShardEnd) -> str:
    where = f" on {end.where}" if end.where else ""
    if end.code is None:
        return f"was lost{where}: its machine is gone, or gives no sign of life"
    if end.code == TRY_AGAIN:
        return f"asked for another machine{where} (exit code {end.code})"
    return f"was stopped or killed{where} (exit code {end.code})"


def _told(run: _Run, end: ShardEnd) -> Failure:
    lines = [*_lines(run.command.log), *end.lines]
    event = next((event for line in reversed(lines) if (event := _error(line))), None)
    plain = [line for line in lines if parse_log_line(line) is None and line.strip()]
    tail = [f"{run.shard.name}: {line}" for line in plain[-_LAST_LINES:]]
    if event and not is_machines(end.code):
        detail = "\n".join(filter(None, [str(event.get("detail", "")), *tail]))
        return {"code": event.get("code", ExitCode.JOB_FAILED), "what": event.get("what", ""),
                "detail": detail, "hint": event.get("hint", "")}  # fmt: skip
    where = f" on {end.where}" if end.where else ""
    log = f"see `{run.shard.scene.relative(run.command.log)}` of the scene"
    if end.code == 0:
        what = f"shard {end.name} ended well{where}, but its record is not in the scene"
        hint = "every machine has to see the scene under the same path: a folder they share"
    elif is_machines(end.code):
        what = f"shard {end.name} {_how(end)}, {counted(run.command.attempt, 'time')} in all"
        hint = "run the same command again: it continues; a machine with more memory may help"
    else:
        what, hint = f"shard {end.name} ended with exit code {end.code}{where}", log
    return {"code": ExitCode.JOB_FAILED, "what": what, "detail": "\n".join(tail), "hint": hint}


def _error(line: str) -> dict[str, object] | None:
    event = parse_log_line(line)
    return event if event and event.get("event") == "error" else None


def _lines(log: Path) -> list[str]:
    with suppress(OSError):
        return log.read_text(encoding="utf-8", errors="replace").splitlines()
    return []
