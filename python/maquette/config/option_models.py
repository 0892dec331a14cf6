"""Models that check what pipelines and backends may be told, from their declared options."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from maquette.errors import ConfigError
from maquette.pipelines.options import Option, options_of
from maquette.pipelines.registry import get_pipeline
from maquette.runners import registry as backends


@functools.cache
def of_pipeline(name: str) -> type[BaseModel]:
    """What the steps of a pipeline may be told, by the settings' names in small letters.

    Raises:
        ValueError: there is no such pipeline.
    """
    try:
        settings = get_pipeline(name).settings()
    except ConfigError as error:
        raise ValueError(error.what) from error
    return _model(next(iter(by_step.values())) for by_step in settings.values())


@functools.cache
def of_backend(name: str, more: tuple[type[Any], ...] = ()) -> type[BaseModel]:
    """What a backend may be told, and what `more` classes of options declare, likewise.

    Raises:
        ValueError: there is no such backend.
    """
    if name not in backends.BACKENDS:
        raise ValueError(backends.unknown(name))
    return _model(
        option for kind in (backends.option_class(name), *more) for option in options_of(kind)
    )


def unread_by_engine(
    pipeline: str, engine: str, backend: str, used: tuple[type[Any], ...] = ()
) -> set[str]:
    """The settings of steps and backend that an engine does not heed.

    Args:
        engine: Of one that the pipeline has not, nothing is told.
        used: Classes of a backend's options that the command itself reads, whoever computes.
    """
    chosen = next((one for one in get_pipeline(pipeline).engines if one.name == engine), None)
    if chosen is None or chosen.is_ours:
        return set()
    of_command = {option.setting for kind in used for option in options_of(kind)}
    of_ours = {name for name, option in backends.settings_of(backend).items() if option.native}
    of_steps = frozenset(get_pipeline(pipeline).settings())
    return (of_ours - of_command) | (
        of_steps - (of_steps if chosen.reads is None else chosen.reads)
    )


def _model(options: Iterable[Option]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for option in options:
        bounds = {
            "ge": option.low, "le": option.high, "gt": option.above,
            "pattern": (option.pattern and rf"\A(?:{option.pattern})\z") or None,
        }  # fmt: skip
        known: dict[str, Any] = {key: x for key, x in bounds.items() if x is not None}
        fields[option.setting.lower()] = (
            option.kind, Field(option.default, description=option.help, **known)
        )  # fmt: skip
    config = ConfigDict(extra="forbid", allow_inf_nan=False)
    return create_model("Options", __config__=config, **fields)
