"""Who runs the shards of a step: processes of this machine, or whoever the environment names."""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path

from maquette.errors import ConfigError
from maquette.recon import stopping
from maquette.recon.processes import spread
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages.commands import LAUNCHER, Commands, Launcher, OpenLauncher
from maquette.stages.sharding import Executor, one_by_one
from maquette.stages.shards import Failure, Shard, attempt


def executor_for(pipeline: str, step: str, options: Path) -> Executor:
    """The executor of this process.

    Args:
        options: The step's options file, which its shards read too.

    Raises:
        ConfigError: MAQUETTE_LAUNCHER names no launcher.
    """
    name = os.environ.get(LAUNCHER, "")
    if not name:
        return in_processes
    opened = _named(name)

    def open_launcher(scene: Scene) -> Launcher:
        launcher = opened(scene)
        stopping.install()  # a library of the launcher's may have taken the signals
        return launcher

    return Commands(open_launcher, lambda shard: command(pipeline, step, options, shard))


def command(pipeline: str, step: str, options: Path, shard: Shard) -> tuple[str, ...]:
    """The command line that does one shard, on any machine that sees the scene."""
    files = ("--scene", str(shard.scene.root), "--options", str(options.absolute()))
    return ("maquette-step", pipeline, step, *files, "--shard", shard.name)


def in_processes(
    shards: Sequence[Shard], workers: int, progress: Progress
) -> Generator[Failure | None, None, None]:
    """The executor that shares the work among processes of this machine."""
    if workers == 1 or len(shards) < 2:
        yield from one_by_one(shards, workers, progress)
        return
    with closing(spread(_attempt_quietly, shards, workers)) as ends:
        yield from ends


def _attempt_quietly(shard: Shard) -> Failure | None:
    return attempt(shard, Progress(log=io.StringIO()))  # who waits tells how far all is


def _named(name: str) -> OpenLauncher:
    try:
        opened: OpenLauncher = importlib.import_module(name).open_launcher
    except (ImportError, AttributeError) as error:
        lacking = getattr(error, "name", None) or name
        if isinstance(error, ModuleNotFoundError) and not name.startswith(lacking):
            raise ConfigError(
                f"spreading shards needs `{lacking}`, which this Python lacks: {sys.executable}",
                hint=f"install it there, or name another interpreter ({LAUNCHER}={name})",
            ) from error
        raise ConfigError(
            f"{LAUNCHER}={name} is no module with a function `open_launcher`",
            detail=str(error),
            hint=f"leave {LAUNCHER} out: processes of this machine do the work then",
        ) from error
    return opened
