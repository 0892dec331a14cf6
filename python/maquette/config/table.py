"""All settings as a table, for `maquette settings` and docs/settings.md."""

from __future__ import annotations

from typing import Any

from maquette.config.settings import Settings, core_names, secret_names
from maquette.pipelines.options import Option
from maquette.pipelines.registry import get_pipeline
from maquette.runners.registry import settings_of

Row = tuple[str, str, str, str]


def rows(pipeline: str, backend: str) -> list[Row]:
    """Name, default, for what, and meaning of each setting that the chosen ones understand."""
    return [*core_rows(), *pipeline_rows(pipeline), *backend_rows(backend)]


def given(settings: Settings) -> dict[str, tuple[str, str]]:
    """The value of each setting that is no default, and where it comes from."""
    values = {**settings.model_dump(), **settings.options, **settings.backend_options}
    return {
        name: ("…" if name in secret_names() else _shown(values[name.lower()]), source)
        for name, source in settings.sources.items()
        if name.lower() in values
    }


def core_rows() -> list[Row]:
    """Settings that are for every pipeline and every backend."""
    return [
        (name.upper(), _shown(field.default), "", field.description or "")
        for name, field in Settings.model_fields.items()
        if name.upper() in core_names()
    ]


def pipeline_rows(name: str) -> list[Row]:
    """Settings of the steps of a pipeline."""
    found = []
    for setting, by_step in get_pipeline(name).settings().items():
        steps = "all" if len(by_step) > 2 else ", ".join(by_step)
        found.append(_row(setting, next(iter(by_step.values())), steps))
    return found


def backend_rows(name: str) -> list[Row]:
    """Settings of a backend."""
    return [_row(setting, option, name) for setting, option in settings_of(name).items()]


def _row(setting: str, option: Option, user: str) -> Row:
    unit = f" ({option.unit})" if option.unit else ""
    return setting, _shown(option.default), user, option.help + unit


def _shown(default: Any) -> str:
    return str(int(default)) if isinstance(default, bool) else str(default)
