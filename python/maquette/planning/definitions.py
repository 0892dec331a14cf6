"""Where the job definitions lie."""

from __future__ import annotations

from maquette.resources import ROOT

JOBS = ROOT / "jobs"
