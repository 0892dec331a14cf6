"""`stages/<owner>/<stage>/shards.json`: what shards a stage has, so that any machine can do one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from maquette.counting import counted
from maquette.errors import ConfigError, NotFound
from maquette.pipelines.options import StepOptions
from maquette.scene.atomic import write_json
from maquette.scene.paths import Scene
from maquette.stages.shards import Shard
from maquette.stages.stage import Needs, Sharding, Stage

SCHEMA_VERSION = 1


def write(
    stage: Stage, scene: Scene, owner: str, options: StepOptions, shards: Sequence[Shard]
) -> None:
    """List all shards of a stage, done or not, in order."""
    entries = [
        {"id": shard.name, "key": shard.key, "item": shard.item, "cost": shard.cost,
         "needs": asdict(shard.needs), "record": scene.relative(shard.record)}
        for shard in shards
    ]  # fmt: skip
    content = {
        "schema_version": SCHEMA_VERSION,
        "stage": stage.name,
        "version": stage.version,
        "parameters": stage.keyed(options),
        "shards": entries,
    }
    write_json(_path(scene, owner, stage), content)


def read(stage: Stage, scene: Scene, owner: str, options: StepOptions, number: int) -> Shard:
    """One of the shards that were listed.

    Args:
        number: From 1, as in the name of its record.

    Raises:
        NotFound: there is no list, or no such shard.
        ConfigError: the list was made for other options, or by another version of the stage.
    """
    assert isinstance(stage.run, Sharding)
    content = _content(stage, scene, owner)
    ours = {"version": stage.version, "parameters": json.loads(json.dumps(stage.keyed(options)))}
    for name, value in ours.items():
        if content.get(name) != value:
            raise ConfigError(
                f"the shards of stage {stage.name} were listed for another {name.rstrip('s')}",
                detail=f"listed: {content.get(name)}\nhere: {value}",
                hint="use the options file and the version of maquette of the step that listed "
                "them, or run that step again",
            )
    shards = content["shards"]
    if not 1 <= number <= len(shards):
        raise NotFound(
            f"there is no shard `{stage.name}:{number}`: the stage has "
            f"{counted(len(shards), 'shard')}",
            hint=f"`{scene.relative(_path(scene, owner, stage))}` lists them",
        )
    entry = shards[number - 1]
    return Shard(
        stage.run.split.__module__, scene, owner, stage.own_options(options), entry["key"],
        number - 1, len(shards), entry["item"], entry["cost"], Needs(**entry["needs"]),
    )  # fmt: skip


def _content(stage: Stage, scene: Scene, owner: str) -> dict[str, Any]:
    path = _path(scene, owner, stage)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema_version"] == SCHEMA_VERSION and isinstance(content["shards"], list):
            return dict(content)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise NotFound(
        f"stage {stage.name} has no list of shards in the scene `{scene.name}`",
        detail=f"looked for `{scene.relative(path)}`",
        hint="the step writes it when it comes to that stage: does this machine see its scene?",
    )


def _path(scene: Scene, owner: str, stage: Stage) -> Path:
    return scene.records(owner) / stage.name / "shards.json"
