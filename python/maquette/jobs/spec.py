"""What a job is asked to do, before any backend has turned it into a request."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from maquette.config.settings import Settings


@dataclass(frozen=True)
class JobSpec:
    """One run of one step.

    Attributes:
        id: Ours; travels to the provider as a label so that a lost job is found again.
        command: The step's argv, with `{scene}` and `{options}` for the two paths that only
            the backend knows.
        options: Content of the step's options file.
        spec: The rest in OVHcloud's words: image, resources, labels, envVars, timeout …
        licence: To be named before an upstream engine is used; empty for ours.
        input_place: Where an upstream engine looks for the input, below the scene.
        settings: What the person gave, for what only some backends need (data store, address).
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
    spec: dict[str, Any] = field(default_factory=dict)
    settings: Settings = field(default_factory=lambda: Settings.model_validate({}))
    licence: str = ""
    input_place: str = ""


def new_job_id(step: str) -> str:
    """Make an id that sorts by time and says what it is: prepare-20261121-140558-3fa9c1."""
    return f"{step}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
