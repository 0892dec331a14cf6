"""What a job carries: all that a backend needs, and no secret."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from maquette.cli.run import submit
from maquette.config.settings import Settings
from maquette.planning.building import build_job
from maquette.runners.base import Handle, Request, Secrets
from maquette.runners.registry import BACKENDS, settings_of

SECRET = "https://hooks/said-to-nobody"
KNOWING = sorted(name for name in BACKENDS if "NOTIFY_URL" in settings_of(name))


def settings_in(folder: Path, backend: str) -> Settings:
    return Settings(backend=backend, base_dir=folder, notify_url=SECRET, max_hours=3)


@pytest.mark.parametrize("backend", KNOWING)
def test_a_job_holds_its_backends_options_and_no_secret(tmp_path: Path, backend: str) -> None:
    settings = settings_in(tmp_path, backend)
    job = build_job("process", settings)
    assert settings.secrets() == {"NOTIFY_URL": SECRET}
    texts = [str(value) for value in _leaves(asdict(job))]
    assert texts and SECRET not in texts and "notify_url" not in texts
    assert job.backend_options["max_hours"] == 3


def _leaves(value: Any) -> list[Any]:
    """Every key and value in it; of a guarded one what it guards."""
    if isinstance(value, dict):
        return [*value, *(leaf for item in value.values() for leaf in _leaves(item))]
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in _leaves(item)]
    guarded = getattr(value, "get_secret_value", None)
    return [guarded() if guarded else value]


class Recorder:
    """A backend that keeps what it was given."""

    name = "recorder"

    def __init__(self) -> None:
        self.given: list[tuple[Request, Secrets]] = []

    def plan(self, job: Any) -> Request:
        return {"job_id": job.id}

    def submit(self, request: Request, secrets: Secrets) -> Handle:
        self.given.append((request, secrets))
        return {"id": "there"}


def test_the_command_hands_the_secrets_over_beside_the_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    monkeypatch.setattr("maquette.runners.base.get_runner", lambda name: recorder)
    settings = settings_in(tmp_path, KNOWING[0])
    job = build_job("process", settings)
    document = submit(job, settings, as_json=True)
    assert recorder.given == [({"job_id": job.id}, {"NOTIFY_URL": SECRET})]
    assert SECRET not in str(document)
