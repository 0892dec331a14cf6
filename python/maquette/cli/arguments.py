"""Arguments that many commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from maquette.errors import UsageError

if TYPE_CHECKING:
    from maquette.config.settings import Settings

SettingWords = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME=value]...", help="settings; `maquette settings` lists them"),
]
Step = Annotated[str, typer.Argument(help="prepare, process or extract")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON, for programs")]
AsChart = Annotated[bool, typer.Option("--chart", help="--json, with points of a progress chart")]


_loaded: list[Settings] = []  # of this process' one command


def complete(sentence: str) -> str:
    """A sentence whose commands mean the scene that this command means, once that is known."""
    from maquette.cli.next_command import named_for
    from maquette.pipelines import commands

    if not _loaded:
        return sentence
    return commands.completed(sentence, lambda target: named_for(target, _loaded[-1]))


def load_settings(words: list[str] | None, *kinds: type[Any]) -> Settings:
    """The settings of a command; what the version before left of the scene is brought up to date.

    Raises:
        ConfigError: the settings are not usable.
        BadInput: a newer version wrote the scene.
    """
    from maquette.config.loading import load
    from maquette.jobs.layout import bring_up
    from maquette.scene.layout import open_scene

    settings = load(words or (), *kinds)
    _loaded.append(settings)
    open_scene(settings.scene_dir, settings.pipeline)
    bring_up(settings.logs_dir)
    return settings


def check_step(step: str, settings: Settings) -> str:
    """The step's name, if the chosen pipeline has one of that name.

    Raises:
        UsageError: it has not.
    """
    from maquette.pipelines.registry import get_pipeline

    steps = get_pipeline(settings.pipeline).steps
    if step not in steps:
        raise UsageError(f"there is no step `{step}`", hint=f"one of: {', '.join(steps)}")
    return step
