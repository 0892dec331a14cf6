"""The list of scenes that `make batch` runs, read from YAML.

defaults: {PIPELINE: photogrammetry}
scenes:
  - photos/shoe                    # an INPUT; MODEL is the file's or folder's name
  - {MODEL: owl, INPUT: owl.mp4, PIPELINE: splat}
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from maquette.config import loading, naming_rules, option_models
from maquette.config.settings import Settings, chosen_backend, core_names, setting_names
from maquette.errors import ConfigError, NotFound, shown_path
from maquette.pipelines import registry
from maquette.runners import registry as backends
from maquette.text_files import read_yaml_words

Named = Mapping[str, str]
OWN = ("LIST", "JOBS", "MODEL")  # of the queue, or of one scene alone


@dataclass(frozen=True)
class Entry:
    """One line of the list.

    Attributes:
        settings: Its own, checked.
        words: The same as NAME=value, for `maquette all`.
    """

    settings: Settings
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        """What tells it from the other lines."""
        of_group = "" if self.settings.group == Settings().group else f"-{self.settings.group}"
        return f"{self.settings.model}-{self.settings.pipeline}{of_group}"


def read_list(path: Path, typed: Sequence[str]) -> list[Entry]:
    """Read a list and check every line of it before anything starts.

    Args:
        typed: NAME=value words of the command line: they count for every scene, above its own.

    Raises:
        NotFound: there is no such file.
        ConfigError: it is not of this form, two lines are the same job, or a line's settings are
            not usable; all lines that are wrong, in one message.
    """
    defaults, scenes = _content(path)
    above = [word for word in typed if word.partition("=")[0] not in OWN]
    entries: list[Entry] = []
    problems = []
    for number, scene in enumerate(scenes, 1):
        try:
            entry = _entry(_named(scene, path.parent), defaults, above)
            if entry.name in (known.name for known in entries):
                raise ConfigError(f"`{entry.name}` is already in the list")
            entries.append(entry)
        except ConfigError as error:
            told = f"{error.what}: {error.detail}" if error.detail else error.what
            problems.append(f"scene {number}: {' '.join(told.split())}")
    if problems:
        raise ConfigError(
            f"`{shown_path(path)}` is not usable, nothing was started",
            detail="\n".join(problems),
            hint="mend these lines; `maquette settings` lists every setting",
        )
    return entries


def _content(path: Path) -> tuple[Named, list[Any]]:
    """The defaults and the scenes of a list, as they were written."""
    if not path.is_file():
        raise NotFound(
            f"there is no list of scenes `{shown_path(path)}`",
            hint="a file with `scenes:` and below it a line `- path/to/photos` for each",
        )
    try:
        content = read_yaml_words(path)
    except yaml.YAMLError as error:
        raise _not_a_list(path, " ".join(str(error).split())) from error
    content = {"scenes": content} if isinstance(content, list) else content
    if not isinstance(content, dict) or not isinstance(content.get("scenes"), list):
        raise _not_a_list(path, "`scenes:` and its list are missing")
    if not content["scenes"]:
        raise _not_a_list(path, "the list is empty")
    if others := sorted(map(str, content.keys() - {"scenes", "defaults"})):
        raise _not_a_list(path, f"unknown: `{'`, `'.join(others)}`")
    defaults = content.get("defaults") or {}
    if not isinstance(defaults, dict):
        raise _not_a_list(path, "`defaults:` must hold `NAME: value`")
    defaults = _texts(defaults)
    if wrong := [name for name in defaults if name not in setting_names() or name in OWN]:
        near = difflib.get_close_matches(wrong[0], setting_names() - set(OWN), n=1)
        nearest = f", nearest: `{near[0]}`" if near else ""
        raise _not_a_list(path, f"`defaults:` can not hold `{wrong[0]}`{nearest}")
    return defaults, content["scenes"]


def _not_a_list(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"`{shown_path(path)}` is no list of scenes: {why}",
        hint="`scenes:` and below it `- path/to/photos`, or `- {MODEL: shoe, INPUT: shoe.mp4}`",
    )


def _named(scene: Any, folder: Path) -> dict[str, str]:
    """The settings of a line; an INPUT beside the list is found from there."""
    if not isinstance(scene, dict | str):
        raise ConfigError(f"`{scene}` is neither an INPUT nor `NAME: value` in braces")
    named = {"INPUT": scene} if isinstance(scene, str) else _texts(scene)
    if misplaced := next((name for name in ("LIST", "JOBS") if name in named), ""):
        raise ConfigError(f"{misplaced} is the queue's, not a scene's")
    given = named.get("INPUT", "")
    if given and (folder / given).exists():
        named["INPUT"] = str((folder / given).resolve())
    if not named.get("MODEL"):
        if not given:
            raise ConfigError("neither MODEL nor INPUT is given")
        named["MODEL"] = naming_rules.nearest_name(Path(given.rstrip("/")).stem)
    return named


def _texts(values: Mapping[Any, Any]) -> dict[str, str]:
    """Settings as words of a command line: an empty value is the default."""
    return {
        str(name).upper(): "" if value is None else str(value) for name, value in values.items()
    }


def _entry(named: Named, defaults: Named, above: Sequence[str]) -> Entry:
    typed = dict(word.split("=", 1) for word in above if "=" in word)
    merged = {**defaults, **named, **typed}
    known = _known_to(merged)
    fitting = {name: value for name, value in defaults.items() if name in known}
    words = [f"{name}={value}" for name, value in {**fitting, **named}.items()]
    return Entry(loading.load([*words, *above]), (*words, *above))


def _known_to(values: Named) -> frozenset[str]:
    """The settings that mean something to the method and the backend of a scene."""
    pipeline = values.get("PIPELINE") or registry.DEFAULT
    backend = chosen_backend({name.lower(): value for name, value in values.items()})
    if pipeline not in registry.names() or backend not in backends.BACKENDS:
        return setting_names()  # loading says what is wrong
    models = option_models.of_pipeline(pipeline), option_models.of_backend(backend)
    return core_names().union(*({name.upper() for name in model.model_fields} for model in models))
