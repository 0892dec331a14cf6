"""Collect settings from their five sources; report everything that is wrong at once."""

from __future__ import annotations

import difflib
import functools
import io
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from maquette.config import option_models, remembered
from maquette.config.settings import (
    COMMAND_LINE,
    Settings,
    chosen_backend,
    core_names,
    secret_names,
    setting_names,
)  # fmt: skip
from maquette.errors import ConfigError
from maquette.pipelines import registry
from maquette.pipelines.pipeline import NATIVE
from maquette.runners import registry as backends
from maquette.text_files import read_text, read_yaml_words

FILE_NAME = "maquette.yaml"
MAKE_OVERRIDES = "MAQUETTE_MAKE_OVERRIDES"


Values = Mapping[str, tuple[Any, str]]  # each with where it was given
_NEARLY = 0.75
_OF_OTHERS = frozenset({"OVHAI_TOKEN", "USER", "HOME", "PATH", "WANDB_API_KEY", "WANDB_PROJECT"})
_NONE: Mapping[str, str] = {}


def load(
    arguments: Iterable[str] = (),
    *kinds: type[Any],
    folder: Path | None = None,
    is_for_others: bool = False,
) -> Settings:
    """Merge defaults, `maquette.yaml`, `.env`, the environment and KEY=VALUE arguments.

    What none of these gives is as the scene remembers it; `KEY=` asks for the default.

    Args:
        arguments: KEY=VALUE words of the command line.
        kinds: Classes of a backend's options that the command reads, whatever BACKEND is.
        folder: Where `maquette.yaml` and `.env` lie (default: the working folder).
        is_for_others: The command line is for other commands too, which may use what this does not.

    Raises:
        ConfigError: unknown names, unusable values, and what was given on the command line that
            neither steps nor engine nor backend nor command use; all of them in one message.
    """
    folder = folder or Path.cwd()
    known = setting_names()
    problems: list[str] = []
    dotenv = dotenv_of(folder)
    _name_misspelt(folder, frozenset(dotenv))
    values: dict[str, tuple[Any, str]] = {}
    sources: dict[str, str] = {}
    for source, pairs in (
        (FILE_NAME, _from_file(folder / FILE_NAME, problems)),
        (".env", {key: text for key, text in dotenv.items() if key in known}),
        ("environment", {key: text for key, text in os.environ.items() if key in known}),
        (COMMAND_LINE, _from_words(make_words() + list(arguments), problems)),
    ):
        for key, value in pairs.items():
            if key.upper() not in known:
                problems.append(f"{source}: unknown setting `{key}`{_nearest(key, known)}")
            elif value != "":
                values[key.upper()] = (_expanded(key, value, source, problems), source)
                sources[key.upper()] = source
            elif source == COMMAND_LINE:
                sources.setdefault(key.upper(), source)
    settings = _validated(values, kinds, problems, is_for_others)
    if problems or settings is None:
        raise ConfigError(
            "the settings are not usable",
            detail="\n".join(problems),
            hint="`maquette settings` lists every setting with its default",
        )
    return remembered.filled(settings.model_copy(update={"sources": sources}))


def dotenv_of(folder: Path) -> dict[str, str]:
    """What `.env` of a folder holds; nothing when there is none."""
    file = folder / ".env"
    if not file.is_file():
        return {}
    from dotenv import dotenv_values

    content = dotenv_values(stream=io.StringIO(read_text(file)))
    return {key: value or "" for key, value in content.items()}


def _validated(
    values: Values, kinds: tuple[type[Any], ...], problems: list[str], is_for_others: bool
) -> Settings | None:
    """The settings, without those of others; what is wrong is added to `problems`."""
    core = {key.lower(): value for key, (value, _) in values.items() if key in core_names()}
    pipeline, backend = str(core.get("pipeline", registry.DEFAULT)), chosen_backend(core)
    if pipeline not in registry.names():
        problems.append(f"{values['PIPELINE'][1]}: {registry.unknown(pipeline)}")
    if backend not in backends.BACKENDS:
        problems.append(f"{values['BACKEND'][1]}: {backends.unknown(backend)}")
    if pipeline not in registry.names() or backend not in backends.BACKENDS:
        return None
    models = {
        "options": option_models.of_pipeline(pipeline),
        "backend_options": option_models.of_backend(backend, kinds),
    }
    chosen = {place: _checked(model, values, problems) for place, model in models.items()}
    known = core_names().union(*(_names(model) for model in models.values()))
    engine = str(core.get("engine", NATIVE))
    unread = option_models.unread_by_engine(pipeline, engine, backend, kinds)
    for key, (_, source) in values.items():
        if source != COMMAND_LINE or is_for_others:
            continue
        if key not in known:
            problems.append(f"{source}: {_why_unused(key, pipeline, backend)}")
        elif key in unread:
            problems.append(
                f"{source}: {key} means nothing to ENGINE={engine}: "
                f"leave it out, or use ENGINE={NATIVE}"
            )
    try:
        return Settings(**core, **chosen)
    except ValidationError as error:
        _explain(error, values, problems)
        return None


def _checked(model: type[BaseModel], values: Values, problems: list[str]) -> dict[str, Any]:
    """What was given of the options of a model; what is wrong is left out and told."""
    names = _names(model)
    given = {key.lower(): value for key, (value, _) in values.items() if key in names}
    try:
        return model(**given).model_dump()
    except ValidationError as error:
        helps = {name: field.description or "" for name, field in model.model_fields.items()}
        _explain(error, values, problems, helps)
        return {}


def _names(model: type[BaseModel]) -> set[str]:
    return {name.upper() for name in model.model_fields}


def _why_unused(key: str, pipeline: str, backend: str) -> str:
    """Why a setting that something else knows is of no use here."""
    others = [known.name for known in registry.all_pipelines() if key in known.settings()]
    sentences = [
        f"{kind.upper()}={here}; {kind}s that know it: {', '.join(there)}"
        for kind, here, there in (
            ("pipeline", pipeline, others), ("backend", backend, backends.accepting(key)),
        )
        if there
    ]  # fmt: skip
    return f"{key} means nothing to {' and to '.join(sentences)}"


def _explain(
    error: ValidationError, values: Values, problems: list[str], helps: Mapping[str, str] = _NONE
) -> None:
    """Add a sentence for each mistake; `helps` says what is wanted, by name in small letters."""
    for problem in error.errors():
        key = str(problem["loc"][0]).upper()
        source = values.get(key, ("", "defaults"))[1]
        shown = "…" if key in secret_names() else problem["input"]
        wrong = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "string_pattern_mismatch" and key.lower() in helps:
            wrong = f"not of the form that is wanted: {helps[key.lower()]}"
        told = f"{source}: {key}={shown}: {wrong}"
        if told not in problems:  # steps, backend and command may share an option
            problems.append(told)


def _from_file(path: Path, problems: list[str]) -> dict[str, Any]:
    if not path.is_file():
        return {}
    import yaml  # here and below: most commands find no such file, and start sooner

    try:
        content = read_yaml_words(path) or {}
    except ConfigError as error:
        problems.append(f"{error.what} ({error.detail}); {error.hint}")
        return {}
    except yaml.YAMLError as error:
        problems.append(f"{path.name}: not YAML: {' '.join(str(error).split())}")
        return {}
    if not isinstance(content, dict):
        problems.append(f"{path.name}: must hold `name: value` lines")
        return {}
    return {str(key): "" if value is None else value for key, value in content.items()}


def make_words() -> list[str]:
    """The words NAME=value that make was given, as they were typed.

    GNU make joins them with blanks in MAKEOVERRIDES, with a backslash before each blank and
    backslash of theirs, and doubles each `$`; quotes mean nothing there.
    """
    words = re.findall(r"(?:\\.|[^\s\\])+", os.environ.get(MAKE_OVERRIDES, ""), re.DOTALL)
    typed = (re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL) for word in words)
    return [re.sub(r"^(\w+):{1,3}=", r"\1=", word.replace("$$", "$")) for word in typed]


def _from_words(words: Iterable[str], problems: list[str]) -> dict[str, str]:
    pairs = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            problems.append(f"command line: `{word}` is not of the form NAME=value")
        else:
            pairs[key] = value
    return pairs


def _expanded(key: str, value: Any, source: str, problems: list[str]) -> Any:
    """A value with the home folder in place of `~` at its beginning."""
    if not isinstance(value, str) or not re.match(r"~[^/]*(/|$)", value):
        return value
    try:
        return str(Path(value).expanduser())
    except RuntimeError:
        user = value[1:].partition("/")[0]
        of = f"there is no user `{user}`" if user else "this user has no home folder (HOME)"
        problems.append(f"{source}: {key}={value}: {of}")
        return value


@functools.cache
def _name_misspelt(folder: Path, names: frozenset[str]) -> None:
    """Say, once, which names of `.env` are nearly those of settings; others are for others."""
    known = setting_names()
    for name in sorted(names - known):
        near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=_NEARLY)
        if near and name not in _OF_OTHERS:
            print(f"warning: .env: `{name}` is no setting, nearest: `{near[0]}`", file=sys.stderr)


def _nearest(key: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(key.upper(), list(known), n=1)
    return f", nearest: `{close[0]}`" if close else ""
