"""Stages without their work: what computes is slow to import, and a plan must not wait for it.

A room, a package of stages, declares them in its STAGES; the module of a stage does the work, and
is imported when that is called. A stage whose module is quick to import may declare itself there,
as STAGE.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

from maquette.stages.stage import Needs, Sharding, Stage


def find_stage(name: str, package: str = "") -> Stage:
    """A stage by the name of its module, e.g. `.dense.fuse`; a dot stands for `package`.

    Raises:
        ModuleNotFoundError: there is none, or something that its module imports is not installed.
    """
    module = importlib.util.resolve_name(name, package)
    room, _, own = module.rpartition(".")
    declared: Mapping[str, Stage] = getattr(importlib.import_module(room), "STAGES", {})
    return declared.get(own) or importlib.import_module(module).STAGE


def named(*stages: Stage) -> Mapping[str, Stage]:
    """The stages of a room, by their names, which are those of their modules."""
    return {stage.name: stage for stage in stages}


def deferred(room: str, stage: str, function: str = "run") -> Callable[..., Any]:
    """A function of a stage's module, which is imported when it is first called."""
    module = f"{room}.{stage}"

    def call(*arguments: Any) -> Any:
        return getattr(importlib.import_module(module), function)(*arguments)

    call.__module__, call.__name__ = module, function
    return call


def deferred_shards(
    room: str, stage: str, *, lists_inputs: bool = False, **more: Callable[..., Any]
) -> Sharding:
    """The `split`, `run` and `merge` of a stage's module, likewise; `more` are known already.

    Args:
        lists_inputs: The module has `inputs` too.
    """
    split, run, merge = (deferred(room, stage, name) for name in ("split", "run", "merge"))
    if lists_inputs:
        more["inputs"] = deferred(room, stage, "inputs")
    return Sharding(split, run, merge, **more)


def one_gpu(options: Any) -> Needs:
    """The needs of a shard that one GPU computes, unless the person leaves them alone."""
    return Needs(gpus=min(options.gpus, 1))
