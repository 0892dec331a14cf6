"""One shard of a step, by its name: what `maquette-step … --shard depthmaps:3` does."""

from __future__ import annotations

from collections.abc import Sequence

from maquette.errors import UsageError
from maquette.pipelines.options import StepOptions
from maquette.scene.events import Progress
from maquette.scene.paths import Scene
from maquette.stages import shard_list
from maquette.stages.heartbeat import beating
from maquette.stages.shards import do, is_done
from maquette.stages.stage import Sharding, Stage


def run_shard(
    name: str, stages: Sequence[Stage], scene: Scene, owner: str, options: StepOptions,
    progress: Progress,
) -> None:  # fmt: skip
    """Do a shard of one of a step's stages, unless it is done.

    It holds no lock: the step that waits for it does. It writes its files and its record, and a
    heartbeat while it runs.

    Raises:
        UsageError: there is no such stage, or the name is none of a shard.
        NotFound: the stage has no list of shards, or a shorter one.
        ConfigError: the list was made for other options.
        MaquetteError: the shard failed.
    """
    stage, number = _parse(name, stages)
    shard = shard_list.read(stage, scene, owner, options, number)
    if is_done(shard):
        progress.say(f"shard {shard.name} is done already")
        return
    with progress.stage(stage.name), beating(shard.heartbeat):
        do(shard, progress)


def _parse(name: str, stages: Sequence[Stage]) -> tuple[Stage, int]:
    known = {stage.name: stage for stage in stages if isinstance(stage.run, Sharding)}
    stage, _, number = name.partition(":")
    if stage not in known or not number.isdecimal():
        raise UsageError(
            f"--shard {name} names no shard of this step",
            hint=f"STAGE:NUMBER, from 1; its stages with shards: {', '.join(known) or 'none'}",
        )
    return known[stage], int(number)
