"""A job at OVHcloud that is watched while the service can not be reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulated import Emulated
from fault_proxy import Fault, proxy_to
from job_making import script_job
from maquette.cli.following import follow
from maquette.runners import tracking, watching
from maquette.runners.base import get_runner
from waiting import wait_for


def test_a_gap_is_waited_out_and_the_job_is_done(
    emulated: Emulated,
    person: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(watching, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(watching, "LONGEST_PAUSE_S", 0.02)
    left = [0]

    def judge(method: str, path: str) -> Fault | None:
        left[0] -= 1
        return Fault(request_bytes=0) if left[0] >= 0 else None

    (person / "scenes/thing").mkdir(parents=True)
    go = person / "go"
    script = f'until [ -e "{go}" ]; do sleep 0.02; done'
    with proxy_to(emulated.running.url, judge) as front:
        settings = emulated.settings(person, ovh_url=front.endpoint)
        job = script_job(person, script, settings=settings)
        tracking.submit(job, get_runner("ovh"))
        ledger = tracking.ledger_of(job)
        wait_for(lambda: tracking.refresh(ledger)["status"]["state"] == "RUNNING")
        left[0] = 30  # more than one question alone bears
        go.touch()
        document = follow(ledger, as_json=False)
    assert document["status"]["state"] == "DONE"
    said = capsys.readouterr().err
    assert "the job is not touched by that" in said and "answers come again" in said
