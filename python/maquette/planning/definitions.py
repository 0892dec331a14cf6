"""Where the project and its job definitions lie."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
JOBS = ROOT / "jobs"
