"""Which methods there are. A new one is a folder here, with `pipeline.py` in it."""

from __future__ import annotations

import difflib
import functools
import importlib
from pathlib import Path

from maquette.errors import ConfigError
from maquette.pipelines.pipeline import Pipeline

DEFAULT = "neuralangelo"


@functools.cache
def names() -> tuple[str, ...]:
    """All pipelines, the default one first."""
    found = sorted(path.parent.name for path in Path(__file__).parent.glob("*/pipeline.py"))
    return (DEFAULT, *(name for name in found if name != DEFAULT))


@functools.cache
def get_pipeline(name: str) -> Pipeline:
    """A pipeline by its name.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in names():
        raise ConfigError(unknown(name), hint=f"PIPELINE is one of: {', '.join(names())}")
    module = importlib.import_module(f"maquette.pipelines.{name}.pipeline")
    pipeline: Pipeline = module.PIPELINE
    return pipeline


def unknown(name: str) -> str:
    """The sentence about a pipeline that there is not."""
    near = difflib.get_close_matches(name, names(), n=1)
    return f"there is no pipeline `{name}`" + (f", nearest: `{near[0]}`" if near else "")


def all_pipelines() -> tuple[Pipeline, ...]:
    """Every pipeline, the default one first."""
    return tuple(get_pipeline(name) for name in names())
