"""Where the job definitions lie, and which one counts for a step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from maquette.errors import ConfigError
from maquette.pipelines.pipeline import COMMON, Engine
from maquette.pipelines.registry import get_pipeline, owner_of
from maquette.resources import ROOT

JOBS = ROOT / "jobs"


def folder_of(owner: str) -> Path:
    """The folder of a pipeline's own definitions, or of what is COMMON to all; may not exist."""
    given = None if owner == COMMON else get_pipeline(owner).definitions
    return given or JOBS / owner


def definition_of(pipeline: str, step: str, engine: Engine) -> Path:
    """The definition of a step's job: the pipeline's own, else the one for any step of ours."""
    folder = folder_of(pipeline)
    if not engine.is_ours:
        return folder / engine.name / f"{step}.yaml"
    own = folder / f"{step}.yaml"
    return own if own.exists() else JOBS / "step.yaml"


def default_flavor(pipeline: str, step: str) -> str:
    """The machine type that a step gets where no FLAVOR is given."""
    own = _content(folder_of(pipeline) / "machines.yaml").get(step)
    return str(own or _content(JOBS / "defaults.yaml")["flavor"])


def measured_rows(pipeline: str) -> Iterator[dict[str, Any]]:
    """Measured runs of the pipeline's steps, the shared ones included."""
    for owner in (COMMON, pipeline):
        for row in _content(folder_of(owner) / "measured.yaml").get("rows", ()):
            if owner_of(pipeline, row["step"]) == owner:
                yield row


def _content(path: Path) -> dict[str, Any]:
    """A file of ours; empty when it is not there."""
    if not path.is_file():
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"`{path}` is not YAML: {' '.join(str(error).split())}") from error
    return dict(content)
