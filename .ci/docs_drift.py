"""Docs, schema, CLI and Makefile must agree. `--write` renews the generated pages."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from maquette.cli.main import HELP
from maquette.config.settings import core_names, setting_names
from maquette.config.table import backend_rows, core_rows, pipeline_rows
from maquette.errors import ExitCode
from maquette.pipelines.registry import all_pipelines, get_pipeline, names
from maquette.planning.definitions import definition_of
from maquette.resources import PACKAGE, version
from maquette.runners.registry import BACKENDS, settings_of

ROOT = Path(__file__).resolve().parents[1]
SETTINGS_PAGE = ROOT / "docs" / "settings.md"


def settings_page() -> str:
    """The table of all settings, from their one definition."""
    lines = [
        "# Settings",
        "",
        "Give them as make variables (`make process ITERATIONS=20000`), in `maquette.yaml`, in",
        "`.env` or in the environment. The command line wins over the environment, the environment",
        "over `.env`, `.env` over `maquette.yaml`. On the command line, what neither PIPELINE",
        "nor BACKEND uses, or ENGINE does not heed, is refused; elsewhere it waits for a command",
        "that uses it. Made by `.ci/docs_drift.py --write`.",
        "",
        "What steps were told, wherever that was given, is kept with the scene, in",
        "`scenes/<MODEL>/settings.yaml`, and counts for later commands in place of the defaults:",
        "`make prepare` again does as the last `make prepare`. All the sources above win over it,",
        "so a line of `maquette.yaml` counts, and where it replaces something, that is said;",
        "`NAME=` on the command line asks for the default. Each step has its own section,",
        "`prepare` or `<pipeline>/<GROUP>/<step>`; the file moves with the scene, and you may edit",
        "it. Not kept is what is about one run: "
        + ", ".join(map("`{}`".format, _of_one_run()))
        + ".",
        "`make settings MODEL=…` shows every value and where it comes from.",
    ]
    lines += ["", "## Of every pipeline and backend", "", "| setting | default | meaning |"]
    lines += ["|---|---|---|"]
    lines += [_line(*row[:2], row[3]) for row in core_rows()]
    for pipeline in names():
        lines += ["", f"## Of the steps of `{pipeline}`", "", get_pipeline(pipeline).summary, ""]
        lines += ["| setting | default | step | meaning |", "|---|---|---|---|"]
        lines += [_line(*row) for row in pipeline_rows(pipeline)]
    for name, backend in BACKENDS.items():
        lines += ["", f"## Of the backend `{name}`", "", backend.summary]
        known = [_line(*row[:2], row[3]) for row in backend_rows(name)]
        lines += ["", "| setting | default | meaning |", "|---|---|---|", *known] if known else []
    return "\n".join(lines) + "\n"


def _of_one_run() -> list[str]:
    known = (option for pipeline in all_pipelines() for option in pipeline.settings().items())
    return sorted({name for name, by_step in known if next(iter(by_step.values())).once})


def _line(name: str, default: str, *rest: str) -> str:
    shown = [f"`{name}`", f"`{default}`" if default else "", *rest]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in shown) + " |"


def problems() -> list[str]:
    """Every disagreement, as a sentence."""
    found = []
    if not SETTINGS_PAGE.exists() or SETTINGS_PAGE.read_text("utf-8") != settings_page():
        found.append("docs/settings.md is stale: run `.venv/bin/python .ci/docs_drift.py --write`")
    found += _job_definitions()
    found += _declarations()
    found += _makefile_and_readme()
    found += _versions()
    found += _rooms()
    for code in ExitCode:
        if str(int(code)) not in HELP:
            found.append(f"exit code {int(code)} is not in the CLI's help")
    return found


def _job_definitions() -> list[str]:
    found = []
    for pipeline in all_pipelines():
        for step in pipeline.steps:
            for engine in (one for one in pipeline.engines if one.computes(step)):
                if not (path := definition_of(pipeline.name, step, engine)).is_file():
                    found.append(f"`{path.relative_to(ROOT)}` is missing")
        for name, by_step in pipeline.settings().items():
            if (
                len({(o.kind, o.default, o.low, o.high, o.above, o.once) for o in by_step.values()})
                > 1
            ):
                found.append(f"{name} is not the same in all steps of {pipeline.name}")
    return found


def _rooms() -> list[str]:
    """The picture of the house shows every folder of the package and of the data plane."""
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rooms = [*PACKAGE.glob("*/__init__.py"), *(PACKAGE / "recon").glob("*/__init__.py")]
    return [
        f"docs/architecture.md does not show {room.parent.name}/"
        for room in sorted(rooms)
        if f"{room.parent.name}/" not in page
    ]


def _versions() -> list[str]:
    """Blender reads the add-on's version without running anything, so it stands there as text."""
    addon = ROOT / "blender_addons" / "maquette_region"
    major, minor, patch = version().split(".")
    wanted = {
        "blender_manifest.toml": f'version = "{version()}"',
        "__init__.py": f'"version": ({major}, {minor}, {patch})',
    }
    return [
        f"{name} of the Blender add-on lacks: {line}"
        for name, line in wanted.items()
        if line not in (addon / name).read_text("utf-8")
    ]


def _declarations() -> list[str]:
    """Settings of one name that are not one thing."""
    by_backend = [settings_of(name) for name in BACKENDS]
    of_backends = {name for known in by_backend for name in known}
    of_pipelines = {name for pipeline in all_pipelines() for name in pipeline.settings()}
    shared = (of_backends & of_pipelines) | (core_names() & (of_backends | of_pipelines))
    found = [f"{name} is declared in two places for two things" for name in sorted(shared)]
    for name in sorted(of_backends):
        if len({known[name] for known in by_backend if name in known}) > 1:
            found.append(f"{name} is not the same on all backends that know it")
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
    for name in sorted(set(re.findall(r"\b([A-Z][A-Z_]{2,})=", readme)) - setting_names()):
        found.append(f"README.md speaks of the setting {name}, which does not exist")
    return found


if __name__ == "__main__":
    if "--write" in sys.argv:
        SETTINGS_PAGE.write_text(settings_page(), encoding="utf-8")
    for problem in (disagreements := problems()):
        print(f"drift: {problem}")
    sys.exit(bool(disagreements))
