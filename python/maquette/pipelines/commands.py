"""Commands within sentences, made complete: they mean the scene that the failed command meant."""

from __future__ import annotations

import re
from collections.abc import Callable

from maquette.pipelines import registry

STEPS = ("prepare", "process", "extract")
# Targets of make about one scene; those of STEPS, also as `process-logs`, are known by their names.
_ABOUT_A_SCENE = frozenset({
    "all", "estimate", "texture", "evaluate", "report", "adjust", "view", "region", "publish",
    "unpublish", "push-data", "pull-data", "clean",
})  # fmt: skip
_COMMAND = re.compile(r"`(make ([a-z-]+)|maquette (region) [a-z]+)(?= |`)([^`]*)`")


def step_of_target(target: str) -> str:
    """The step that a make target is about; "" where it is about none."""
    step = target.partition("-")[0]
    return step if step in STEPS else ""


def completed(sentence: str, names: Callable[[str], str]) -> str:
    """Give each command about a scene, between backquotes, the settings that it lacks.

    Args:
        names: The settings that a target needs, `MODEL=x` among them; what the command names
            itself is left as it is.
    """
    return _COMMAND.sub(lambda found: _completed(found, names), sentence)


def names_of_scene(pipeline: str, model: str, group: str) -> Callable[[str], str]:
    """What targets need so that they mean a scene and method: for `completed`."""
    return lambda target: registry.naming(pipeline, step_of_target(target), model, group)


def _completed(found: re.Match[str], names: Callable[[str], str]) -> str:
    command, target, rest = found[1], found[2] or found[3], found[4]
    if "MODEL=" in rest or not (step_of_target(target) or target in _ABOUT_A_SCENE):
        return found[0]
    given = {word.partition("=")[0] for word in rest.split()}
    lacking = [word for word in names(target).split() if word.partition("=")[0] not in given]
    return f"`{' '.join([command, *lacking])}{rest}`"
