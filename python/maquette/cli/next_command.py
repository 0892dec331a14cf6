"""What to type next for a scene, said at the end of a verb."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maquette.errors import shown_path
from maquette.ui.targets import as_typed

if TYPE_CHECKING:
    from maquette.config.settings import Settings

# What a person gave that the next command needs too, so that it means the same scene and place.
_CARRIED = ("pipeline", "model", "group", "base_dir", "backend", "engine")
_OF_A_QUESTION = _CARRIED[:4]  # looking and measuring are done here


def print_next(settings: Settings, step: str, *, is_measured: bool = False) -> None:
    """Print what to look at after a step, and the next command.

    Args:
        is_measured: The result was evaluated just now.
    """
    print("\n" + "\n".join(as_typed(line) for line in next_commands(settings, step, is_measured)))


def next_commands(settings: Settings, step: str, is_measured: bool = False) -> list[str]:
    """One line a command, in make's form; see `print_next`."""
    from maquette.pipelines.registry import get_pipeline

    pipeline = get_pipeline(settings.pipeline)
    which, asked = _which(settings, _CARRIED), named_in_questions(settings)
    following = pipeline.verb_after(step)
    needed = (
        settings.scene_dir / pipeline.needs(following, settings.scene_dir)
        if following
        else settings.scene_dir
    )
    # Of what is not here, or an upstream program's, nothing is known.
    is_known = settings.pull and pipeline.engine_for(step, settings.engine).is_ours
    if is_known and not needed.exists():  # UNTIL ended it before
        return [f"next: `make {step} {which}` does the rest of it"]
    done = pipeline.steps[step].for_scene(settings.scene_dir)
    scene = shown_path(settings.scene_dir)
    lines = done.advice.format(scene=scene, which=asked).splitlines() if is_known else []
    if following:
        return [*lines, f"next: `make {following} {which}`"]
    use = done.use.format(scene=scene, pipeline=pipeline.name, group=settings.group)
    then = use or ("" if is_measured else f"`make evaluate {asked}` measures it")
    return [*lines, f"next: `make view {asked}` shows it", *([f"      {then}"] if then else [])]


def named_in_questions(settings: Settings) -> str:
    """What a question about this scene needs, so that it means the same scene and place."""
    return _which(settings, _OF_A_QUESTION)


def named_for(target: str, settings: Settings) -> str:
    """What a make target needs, a step's or a question's, so that it means the same scene."""
    from maquette.pipelines.commands import STEPS

    return _which(settings, _CARRIED if target in STEPS else _OF_A_QUESTION)


def _which(settings: Settings, names: tuple[str, ...]) -> str:
    """The model, and whatever else is not as it is by default."""
    defaults = type(settings).model_fields
    values = {name: getattr(settings, name) for name in names}
    return " ".join(
        f"{name.upper()}={value}"
        for name, value in values.items()
        if name == "model" or value != defaults[name].default
    )
