"""Docs, schema, CLI and Makefile must agree. `--write` renews the generated pages."""

from __future__ import annotations

import re
import sys
from dataclasses import fields
from pathlib import Path

import yaml

from maquette.cli.main import HELP
from maquette.config.settings import Settings
from maquette.errors import ExitCode
from maquette.pipelines.building import JOBS, STEPS
from maquette.recon.step import _OPTIONS, STAGES

ROOT = Path(__file__).resolve().parents[1]
SETTINGS_PAGE = ROOT / "docs" / "settings.md"


def settings_page() -> str:
    """The table of all settings, from their one definition."""
    lines = [
        "# Settings",
        "",
        "Give them as make variables (`make process ITERATIONS=20000`), in `maquette.yaml`, in",
        "`.env` or in the environment. The command line wins over the environment, the environment",
        "over `.env`, `.env` over `maquette.yaml`. Made by `.ci/docs_drift.py --write`.",
        "",
        "| setting | default | meaning |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = int(field.default) if isinstance(field.default, bool) else field.default
        shown = f"`{default}`" if str(default) else ""
        description = (field.description or "").replace("|", "\\|")
        lines.append(f"| `{(field.alias or name).upper()}` | {shown} | {description} |")
    return "\n".join(lines) + "\n"


def problems() -> list[str]:
    """Every disagreement, as a sentence."""
    found = []
    if not SETTINGS_PAGE.exists() or SETTINGS_PAGE.read_text("utf-8") != settings_page():
        found.append("docs/settings.md is stale: run `.venv/bin/python .ci/docs_drift.py --write`")
    found += _job_definitions()
    found += _makefile_and_readme()
    for code in ExitCode:
        if str(int(code)) not in HELP:
            found.append(f"exit code {int(code)} is not in the CLI's help")
    return found


def _job_definitions() -> list[str]:
    found = []
    for pipeline, steps in STAGES.items():
        if tuple(steps) != STEPS:
            found.append(f"pipeline {pipeline} has steps {tuple(steps)}, not {STEPS}")
        for step in steps:
            definition = yaml.safe_load((JOBS / pipeline / f"{step}.yaml").read_text("utf-8"))
            known = {field.name for field in fields(_OPTIONS[step])}
            for name in known ^ set(definition["options"]):
                found.append(f"option {name} of {step} is not both defined and passed on")
    return found


def _makefile_and_readme() -> list[str]:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    entries = re.findall(r"^([a-z][a-z %-]*):(?: [a-z-]*%[a-z-]*:)?[^=\n]*## ", makefile, re.M)
    documented = {target for entry in entries for target in entry.split()}
    rules = re.findall(r"^([a-z][a-z -]*):", makefile, re.M)
    targets = {target for rule in rules for target in rule.split()}
    found = [f"make target {name} has no help text" for name in sorted(targets - documented)]
    readme = (ROOT / "README.md").read_text("utf-8")
    for name in sorted(set(re.findall(r"(?:^|`)make ([a-z][a-z-]+)", readme, re.M)) - targets):
        found.append(f"README.md speaks of `make {name}`, which does not exist")
    settings = {(field.alias or name).upper() for name, field in Settings.model_fields.items()}
    for name in sorted(set(re.findall(r"\b([A-Z][A-Z_]{2,})=", readme)) - settings):
        found.append(f"README.md speaks of the setting {name}, which does not exist")
    return found


if __name__ == "__main__":
    if "--write" in sys.argv:
        SETTINGS_PAGE.write_text(settings_page(), encoding="utf-8")
    for problem in (disagreements := problems()):
        print(f"drift: {problem}")
    sys.exit(bool(disagreements))
