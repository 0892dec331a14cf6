"""Collect settings from their four sources; report everything that is wrong at once."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from maquette.config.settings import Settings, core_names, option_model, setting_names
from maquette.errors import ConfigError
from maquette.pipelines import registry

FILE_NAME = "maquette.yaml"
MAKE_OVERRIDES = "MAQUETTE_MAKE_OVERRIDES"
COMMAND_LINE = "command line"


def load(arguments: Iterable[str] = (), folder: Path | None = None) -> Settings:
    """Merge defaults, `maquette.yaml`, `.env`, the environment and KEY=VALUE arguments.

    Args:
        arguments: KEY=VALUE words of the command line.
        folder: Where `maquette.yaml` and `.env` lie (default: the working folder).

    Raises:
        ConfigError: unknown names or unusable values, all of them in one message.
    """
    folder = folder or Path.cwd()
    known = setting_names()
    problems: list[str] = []
    values: dict[str, tuple[Any, str]] = {}
    for source, pairs in (
        (FILE_NAME, _from_file(folder / FILE_NAME, problems)),
        (".env", {key: text for key, text in dotenv_of(folder).items() if key in known}),
        ("environment", {key: text for key, text in os.environ.items() if key in known}),
        (COMMAND_LINE, _from_words(_make_words() + list(arguments), problems)),
    ):
        for key, value in pairs.items():
            if key.upper() not in known:
                problems.append(f"{source}: unknown setting `{key}`{_nearest(key, known)}")
            elif value != "":
                values[key.upper()] = (value, source)
    settings = _validated(values, problems)
    if problems or settings is None:
        raise ConfigError(
            "the settings are not usable",
            detail="\n".join(problems),
            hint="`maquette settings` lists every setting with its default",
        )
    return settings


def dotenv_of(folder: Path) -> dict[str, str]:
    """What `.env` of a folder holds; nothing when there is none."""
    file = folder / ".env"
    if not file.is_file():
        return {}
    from dotenv import dotenv_values

    return {key: value or "" for key, value in dotenv_values(file).items()}


def _validated(values: Mapping[str, tuple[Any, str]], problems: list[str]) -> Settings | None:
    """The settings, without those of other pipelines; what is wrong is added to `problems`."""
    pipeline = str(values.get("PIPELINE", (registry.DEFAULT, ""))[0])
    if pipeline not in registry.names():
        problems.append(f"{values['PIPELINE'][1]}: {registry.unknown(pipeline)}")
        return None
    options = {name.upper() for name in option_model(pipeline).model_fields}
    given: dict[str, dict[str, Any]] = {"core": {}, "options": {}}
    for key, (value, source) in values.items():
        if key in core_names():
            given["core"][key.lower()] = value
        elif key in options:
            given["options"][key.lower()] = value
        elif source == COMMAND_LINE:
            problems.append(f"{source}: {key} means nothing to PIPELINE={pipeline}")
    try:
        chosen = option_model(pipeline)(**given["options"])
    except ValidationError as error:
        _explain(error, values, problems)
        chosen = option_model(pipeline)()
    try:
        return Settings(**given["core"], options=chosen.model_dump())
    except ValidationError as error:
        _explain(error, values, problems)
        return None


def _explain(
    error: ValidationError, values: Mapping[str, tuple[Any, str]], problems: list[str]
) -> None:
    for problem in error.errors():
        key = str(problem["loc"][0]).upper()
        source = values.get(key, ("", "defaults"))[1]
        problems.append(f"{source}: {key}={problem['input']}: {problem['msg']}")


def _from_file(path: Path, problems: list[str]) -> dict[str, Any]:
    if not path.is_file():
        return {}
    import yaml  # here and below: most commands find no such file, and start sooner

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        problems.append(f"{path.name}: not YAML: {' '.join(str(error).split())}")
        return {}
    if not isinstance(content, dict):
        problems.append(f"{path.name}: must hold `name: value` lines")
        return {}
    return {str(key): value for key, value in content.items()}


def _make_words() -> list[str]:
    return shlex.split(os.environ.get(MAKE_OVERRIDES, ""))


def _from_words(words: Iterable[str], problems: list[str]) -> dict[str, str]:
    pairs = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            problems.append(f"command line: `{word}` is not of the form NAME=value")
        else:
            pairs[key] = value
    return pairs


def _nearest(key: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(key.upper(), list(known), n=1)
    return f", nearest: `{close[0]}`" if close else ""
