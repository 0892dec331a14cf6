"""Which methods there are.

One of this project is a folder here with `pipeline.py` in it. One of another package is an entry
point of the group `maquette.pipelines` that names its PIPELINE.
"""

from __future__ import annotations

import difflib
import functools
import importlib
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from maquette.errors import ConfigError
from maquette.pipelines.options import StepOptions
from maquette.pipelines.pipeline import COMMON, Pipeline

DEFAULT = "neuralangelo"
GROUP = "maquette.pipelines"


@functools.cache
def names() -> tuple[str, ...]:
    """All pipelines, the default one first."""
    own = {path.parent.name for path in Path(__file__).parent.glob("*/pipeline.py")}
    found = sorted(own | _installed().keys())
    return (DEFAULT, *(name for name in found if name != DEFAULT))


@functools.cache
def get_pipeline(name: str) -> Pipeline:
    """A pipeline by its name.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in names():
        raise ConfigError(unknown(name), hint=f"PIPELINE is one of: {', '.join(names())}")
    if name in _installed():
        found: Pipeline = _installed()[name].load()
        return found
    pipeline: Pipeline = importlib.import_module(f"maquette.pipelines.{name}.pipeline").PIPELINE
    return pipeline


def unknown(name: str) -> str:
    """The sentence about a pipeline that there is not."""
    near = difflib.get_close_matches(name, names(), n=1)
    return f"there is no pipeline `{name}`" + (f", nearest: `{near[0]}`" if near else "")


def all_pipelines() -> tuple[Pipeline, ...]:
    """Every pipeline, the default one first."""
    return tuple(get_pipeline(name) for name in names())


def owner_of(pipeline: str, step: str) -> str:
    """Whose a step's records, documents and options are: the pipeline's, or all pipelines'."""
    return COMMON if get_pipeline(pipeline).steps[step].is_shared else pipeline


def step_of(pipeline: str, stage: str) -> str:
    """The step of a pipeline that has a stage; "" where none is known to have it."""
    known = get_pipeline(pipeline).steps if pipeline in names() else {}
    for verb, step in known.items():
        if stage in [name.rpartition(".")[2] for name in step.all_stages]:
            return verb
    return ""


def shared_steps() -> frozenset[str]:
    """The steps that all pipelines share."""
    return frozenset(verb for verb, step in get_pipeline(DEFAULT).steps.items() if step.is_shared)


def as_setting(pipeline: str) -> str:
    """What a command needs so that it means this pipeline: `PIPELINE=x `, or nothing."""
    return "" if pipeline in (DEFAULT, COMMON) else f"PIPELINE={pipeline} "


def naming(pipeline: str, step: str, model: str, group: str = StepOptions.group) -> str:
    """What a command about a step needs besides, so that it means this scene and this method.

    Args:
        pipeline: One that is not known here, of another machine's job, is named all the same.
        group: Named unless it is the one by default, or empty.
    """
    is_known = pipeline in names() and step in get_pipeline(pipeline).steps
    owner = owner_of(pipeline, step) if is_known else pipeline
    of_group = "" if group in ("", StepOptions.group) else f" GROUP={group}"
    return f"{as_setting(owner)}MODEL={model}{of_group}"


def upstream_engines() -> list[str]:
    """The names of all engines that are not ours."""
    engines = (engine for pipeline in all_pipelines() for engine in pipeline.engines)
    return sorted({engine.name for engine in engines if not engine.is_ours})


@functools.cache
def _installed() -> dict[str, EntryPoint]:
    """The pipelines of other packages; none can take the place of one of this project."""
    taken = {path.parent.name for path in Path(__file__).parent.glob("*/pipeline.py")} | {COMMON}
    return {item.name: item for item in entry_points(group=GROUP) if item.name not in taken}
