"""What a job is asked to do, before any backend has turned it into a request."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from maquette.jobs.inputs import NO_INPUT, Input
from maquette.pipelines.options import chosen
from maquette.pipelines.pipeline import COMMON, OURS, Engine
from maquette.pipelines.registry import owner_of
from maquette.scene.data_location import DataLocation
from maquette.scene.paths import Scene

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class JobSpec:
    """One run of one step.

    Attributes:
        id: Ours; travels to the provider as a label so that a lost job is found again.
        command: The step's argv, with `{scene}` and `{options}` for the two paths that only
            the backend knows.
        options: Content of the step's options file.
        data: Where the scene's data lies, for backends whose jobs find it there.
        input: What the step reads, where it reads what a person gives.
        spec: The rest in OVHcloud's words: image, resources, labels, envVars, timeout …
        engine: Whose program computes.
        input_place: Where an upstream engine looks for the input, below the scene.
        backend_options: What the backend was told, by the settings' names in small letters and
            without secrets; read them with `of`.
    """

    id: str
    model: str
    group: str
    pipeline: str
    step: str
    scene: Path
    logs: Path
    command: tuple[str, ...]
    options: dict[str, Any]
    data: DataLocation
    input: Input = NO_INPUT
    spec: dict[str, Any] = field(default_factory=dict)
    backend_options: dict[str, Any] = field(default_factory=dict)
    engine: Engine = OURS
    input_place: str = ""

    def of(self, kind: type[Kind]) -> Kind:
        """The backend's options of one class; the defaults, where it was told none."""
        return chosen(kind, self.backend_options)

    @property
    def owner(self) -> str:
        """Whose its document and options are: the pipeline, or COMMON where all share the step."""
        return owner_of(self.pipeline, self.step)

    @property
    def licence(self) -> str:
        """What a person is told before an upstream engine is used; empty for ours."""
        return "" if self.engine.is_ours else self.engine.licence

    @property
    def options_file(self) -> str:
        """Where the step finds its options, below the scene."""
        scene = Scene(self.scene, self.pipeline)
        return scene.relative(scene.options_file(self.owner, self.step))

    @property
    def log(self) -> Path:
        """Where its log is kept here."""
        return folder_of(self.logs, self.group, self.model, self.owner) / f"{self.id}.log"


def folder_of(logs: Path, group: str, model: str, owner: str) -> Path:
    """Where the documents and logs of a pipeline's steps lie, or of the COMMON ones."""
    folder = logs / group / model
    return folder if owner == COMMON else folder / owner


def new_job_id(step: str) -> str:
    """Make an id that sorts by time and says what it is: prepare-20261121-140558-3fa9c1."""
    return f"{step}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
