"""Jinja2 in YAML values; an undefined variable is an error before anything is spent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined, TemplateError
from jinja2.exceptions import UndefinedError

from maquette.errors import ConfigError

_ONE_EXPRESSION = re.compile(r"\{\{(?P<expression>[^{}]+)\}\}")
_environment = Environment(undefined=StrictUndefined, autoescape=False)


def render_file(path: Path, variables: Mapping[str, Any]) -> Any:
    """Read a YAML file and render every text value in it.

    Raises:
        ConfigError: no such file, not YAML, or an undefined variable; names file and key.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"the job definition is missing: `{path}`") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"`{path}` is not YAML: {' '.join(str(error).split())}") from error
    return _render(content, variables, f"{path.parent.name}/{path.name}", "")


def _render(value: Any, variables: Mapping[str, Any], file: str, key: str) -> Any:
    if isinstance(value, dict):
        return {
            name: _render(item, variables, file, f"{key}.{name}" if key else str(name))
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [
            _render(item, variables, file, f"{key}[{place}]") for place, item in enumerate(value)
        ]
    if isinstance(value, str):
        return _render_text(value, variables, f"{file}: {key}")
    return value


def _render_text(text: str, variables: Mapping[str, Any], where: str) -> Any:
    """Render one value; a value that is a single expression keeps its type."""
    whole = _ONE_EXPRESSION.fullmatch(text.strip())
    try:
        if whole is None:
            return _environment.from_string(text).render(variables)
        compiled = _environment.compile_expression(
            whole["expression"].strip(), undefined_to_none=False
        )
        result = compiled(**variables)
        if isinstance(result, StrictUndefined):
            str(result)  # raises with the variable's name
        return result
    except UndefinedError as error:
        raise ConfigError(f"{where}: {error}", hint="see `maquette settings`") from error
    except TemplateError as error:
        raise ConfigError(f"{where}: `{text}` is no valid template: {error}") from error
