"""`scenes/<MODEL>/settings.yaml`: what the steps of a scene were told, for the commands after.

One section a step: `prepare`, which all pipelines share, or `<pipeline>/<GROUP>/<step>`.
"""

from __future__ import annotations

import difflib
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError

from maquette.config import option_models
from maquette.config.settings import COMMAND_LINE, Settings
from maquette.errors import ConfigError, shown_path
from maquette.pipelines import registry
from maquette.pipelines.pipeline import COMMON
from maquette.scene.atomic import write_text
from maquette.scene.paths import OWN_FOLDER, Scene
from maquette.text_files import read_text

SCENE = "scene"  # as the source of a setting
_HEADING = """\
# What the steps of this scene were told; the next command uses it again. What is given with a
# command, in the environment, in .env or in maquette.yaml wins over this. Edit the values as
# you like; the next change of them drops other comments.
"""

Values = dict[str, Any]


def filled(settings: Settings, step: str = "") -> Settings:
    """The settings with what the scene remembers in place of defaults.

    Args:
        step: Whose memory counts for its own options; "": that of the first step which has them.

    Raises:
        ConfigError: the file is damaged, or has unknown names or unusable values.
    """
    if not Scene(settings.scene_dir).settings.is_file():
        return settings
    memory = _memory(settings)
    options, sources = dict(settings.options), dict(settings.sources)
    for setting, by_step in registry.get_pipeline(settings.pipeline).settings().items():
        if sources.pop(setting, SCENE) != SCENE:
            sources[setting] = settings.sources[setting]
            continue
        name, verbs = setting.lower(), [step] if step in by_step else list(by_step)
        options[name] = next(iter(by_step.values())).default
        for verb in (verb for verb in reversed(verbs) if name in memory[verb]):
            options[name], sources[setting] = memory[verb][name], SCENE
    return settings.model_copy(update={"options": options, "sources": sources})


def remember(settings: Settings, step: str) -> None:
    """Write down what a step was told now, beside what the scene remembers of it.

    Two commands at once wait for one another, so that neither loses what the other was told.
    """
    given = {
        name.lower(): settings.options[name.lower()]
        for name in _lasting(settings, step)
        if settings.sources.get(name, SCENE) != SCENE
    }
    if not _adds(_content(settings), section := section_of(settings, step), given):
        return
    import yaml

    scene = Scene(settings.scene_dir)
    with _lock(scene):
        content = _content(settings)  # once more: another command may have written meanwhile
        changed = content | {section: _lower(content.get(section) or {}) | given}
        text = yaml.safe_dump(changed, sort_keys=False, allow_unicode=True)
        write_text(scene.settings, _HEADING + text)


def _adds(content: dict[str, Any], section: str, given: Values) -> bool:
    known = _lower(content.get(section) or {})
    return known | given != known


@contextmanager
def _lock(scene: Scene) -> Iterator[None]:
    """Hold what the scene remembers alone, for a moment; a step at work does not hold it."""
    file = scene.root / OWN_FOLDER / "settings.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def remarks(settings: Settings, step: str) -> list[str]:
    """Say what a step does as the last time, and what a file or the environment changes."""
    file = shown_path(Scene(settings.scene_dir).settings)
    defaults = option_models.of_pipeline(settings.pipeline)().model_dump()
    memory = _memory(settings)[step]
    again, changed = [], []
    for setting in _lasting(settings, step):
        name = setting.lower()
        value, source = settings.options[name], settings.sources.get(setting)
        if source == SCENE and value != defaults[name]:
            again.append(f"{setting}={value}")
        elif source not in (None, SCENE, COMMAND_LINE) and memory.get(name, value) != value:
            changed.append(f"{setting}={value} ({source}) replaces {memory[name]} ({file})")
    return [f"as the last time: {' '.join(again)} ({file})", *changed] if again else changed


def section_of(settings: Settings, step: str) -> str:
    """Under which name the file keeps what a step was told."""
    is_shared = registry.owner_of(settings.pipeline, step) == COMMON
    return step if is_shared else f"{settings.pipeline}/{settings.group}/{step}"


def _lasting(settings: Settings, step: str) -> list[str]:
    """The settings of a step that are not about one run alone."""
    known = registry.get_pipeline(settings.pipeline).settings()
    return [name for name, by_step in known.items() if step in by_step and not by_step[step].once]


def _memory(settings: Settings) -> dict[str, Values]:
    """What each step of the pipeline was told, checked."""
    content = _content(settings)
    problems: list[str] = []
    memory = {
        step: _checked(settings, step, content.get(section_of(settings, step)), problems)
        for step in registry.get_pipeline(settings.pipeline).steps
    }
    problems += [
        f"unknown section `{name}`"
        for name in content
        if name not in registry.shared_steps() and str(name).count("/") != 2
    ]
    if problems:
        raise _unusable(settings, problems)
    return memory


def _checked(settings: Settings, step: str, given: Any, problems: list[str]) -> Values:
    if not isinstance(given, dict):
        if given is not None:
            problems.append(f"{section_of(settings, step)}: must hold `name: value` lines")
        return {}
    known, section = {name.lower() for name in _lasting(settings, step)}, _lower(given)
    for name in sorted(section.keys() - known):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f", nearest: `{near[0]}`" if near else ""
        problems.append(f"{section_of(settings, step)}: unknown setting `{name}`{hint}")
    values = {name: section[name] for name in section if name in known}
    try:
        checked = option_models.of_pipeline(settings.pipeline)(**values).model_dump()
    except ValidationError as error:
        problems += [
            f"{section_of(settings, step)}: {item['loc'][0]}={item['input']}: {item['msg']}"
            for item in error.errors()
        ]
        return {}
    return {name: checked[name] for name in values}


def _content(settings: Settings) -> dict[str, Any]:
    path = Scene(settings.scene_dir).settings
    if not path.is_file():
        return {}
    import yaml  # most commands find no such file, and start sooner

    try:
        content = yaml.safe_load(read_text(path)) or {}
    except ConfigError as error:
        raise _unusable(settings, [f"{error.what} ({error.detail})"]) from error
    except yaml.YAMLError as error:
        raise _unusable(settings, [f"not YAML: {' '.join(str(error).split())}"]) from error
    if not isinstance(content, dict):
        raise _unusable(settings, ["must hold one section a step"])
    return content


def _lower(section: dict[Any, Any]) -> Values:
    return {str(name).lower(): value for name, value in section.items()}


def _unusable(settings: Settings, problems: list[str]) -> ConfigError:
    path = shown_path(Scene(settings.scene_dir).settings)
    return ConfigError(
        f"what the scene remembers is not usable: `{path}`",
        detail="\n".join(problems),
        hint="correct the file, or remove it: then the defaults count; nothing was changed",
    )
