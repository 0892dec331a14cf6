"""A job document may come back damaged in any way: it is put aside or borne, never a traceback."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from job_making import script_job
from maquette.cli.jobs import _row
from maquette.errors import ConfigError
from maquette.jobs.document import change_state, new_document
from maquette.jobs.shape import is_whole
from maquette.jobs.states import has_ended
from maquette.runners import tracking
from maquette.runners.local.runner import LocalRunner

WRONG: list[Any] = [None, 3, "x", [], {}, [None]]
GONE = object()
OF_THE_BACKEND = ("request", "handle")  # what is in them it alone knows


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where values stand in a document, but for what the request alone knows."""
    if isinstance(value, dict | list) and above[-1:] != ("request",):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*above, name)
            yield from places(inner, (*above, name))


def wrong_shapes(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A document with one value after another gone, or replaced by each of WRONG."""
    for place in places(document):
        for wrong in (*WRONG, GONE):
            changed = json.loads(json.dumps(document))
            owner = changed
            for name in place[:-1]:
                owner = owner[name]
            owner[place[-1]] = wrong
            if wrong is GONE:
                del owner[place[-1]]
            if wrong != {} or place[-1] not in OF_THE_BACKEND:
                yield changed


def test_a_document_of_any_wrong_shape_is_known_as_damaged_or_borne(tmp_path: Path) -> None:
    job = script_job(tmp_path, "true")
    ended = new_document(job, "local", LocalRunner().plan(job), 1)
    sending = json.loads(json.dumps(ended))
    sending["maquette"]["submission"] = {"phase": tracking.SENDING}
    change_state(ended, "RUNNING", "it runs")
    change_state(ended, "FAILED", "it failed", exit_code=3)
    assert is_whole(ended) and is_whole(sending)
    damaged = 0
    for document in (*wrong_shapes(ended), *wrong_shapes(sending)):
        if not is_whole(document):
            damaged += 1
            continue
        with contextlib.suppress(ConfigError):  # of a backend that a newer version may know
            tracking.refreshed(document)
        assert len(_row(document)) == 7
        assert isinstance(has_ended(document["status"]), bool)
    assert damaged > 100


@pytest.mark.parametrize("text", ["", "null", "[" * 100_000, "\x00", '{"id": "x"}'])
def test_a_damaged_file_is_put_aside_by_the_next_job(tmp_path: Path, text: str) -> None:
    job = script_job(tmp_path, "true")
    ledger = tracking.ledger_of(job)
    ledger.folder.mkdir(parents=True)
    ledger.path.write_text(text)
    assert ledger.is_damaged and tracking.refresh_all([ledger]) == []
    ledger.create(job, "local", {}, tracking.refreshed)
    assert ledger.read()["id"] == job.id
    assert ledger.path.with_suffix(".damaged").read_text() == text


def test_a_job_of_a_backend_that_there_is_no_more_hides_no_other(tmp_path: Path) -> None:
    ledgers = []
    for step in ("prepare", "process"):
        job = replace(script_job(tmp_path, "true"), step=step)
        ledger = tracking.ledger_of(job)
        ledger.create(job, "local", LocalRunner().plan(job), tracking.refreshed)
        ledgers.append(ledger)
    text = ledgers[0].path.read_text()
    ledgers[0].path.write_text(text.replace('"backend": "local"', '"backend": "paperspace"'))
    first, second = tracking.refresh_all(ledgers)
    assert first["maquette"]["backend"] == "paperspace" and not has_ended(first["status"])
    assert second["maquette"]["step"] == "process"
