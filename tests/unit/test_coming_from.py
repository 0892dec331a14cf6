"""docs/coming-from.md: every command and setting in it is one of ours, and can be planned."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from command_line import ROOT
from maquette.cli.main import app
from maquette.config import option_models
from maquette.config.loading import load
from maquette.config.settings import setting_names
from maquette.pipelines import registry
from maquette.planning.building import build_job
from maquette.runners import registry as backends
from maquette.runners.base import get_runner
from maquette.ui import targets

PAGE = (ROOT / "docs" / "coming-from.md").read_text("utf-8")
SPAN = re.compile(r"`([^`]+)`")
OURS = ("make ", ".venv/bin/maquette ")
STEPS = ("prepare", "process", "extract")
HERE = ("here", "remark")


def cells() -> Iterator[str]:
    """The cells of the page's tables that speak of maquette, with their table's headings."""
    chosen: list[int] = []
    for line in PAGE.splitlines():
        parts = [part.strip() for part in line.strip("|").split("|")] if "|" in line else []
        if not parts:
            chosen = []
        elif not chosen:
            chosen = [n for n, name in enumerate(parts) if name in HERE]
            assert chosen, f"no column of ours: {line}"
        else:
            yield from (parts[number] for number in chosen)


def commands() -> list[str]:
    fenced = [line for block in PAGE.split("```")[1::2] for line in block.splitlines() if line]
    spans = [span for cell in cells() for span in SPAN.findall(cell)]
    return sorted({text for text in (*fenced, *spans) if text.startswith(OURS)})


def test_the_page_has_commands() -> None:
    assert len(commands()) > 30
    assert len(list(cells())) > 150


@pytest.mark.parametrize("command", commands())
def test_a_command_is_one_of_ours(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    program, *words = shlex.split(command)
    given = [word for word in words if "=" in word]
    if program == "make":
        (target,) = (word for word in words if word not in given)
        words = [*targets.command_of(target).split(), *given]
    assert is_known_to_the_program(words), f"{command}: no such command"
    assert {word.partition("=")[0] for word in given} <= setting_names()
    verb = next((word for word in words if word in STEPS), "")
    if words[0] in ("run", "plan"):
        settings = load(given)
        assert get_runner(settings.backend).plan(build_job(verb, settings))
    elif words[0] in ("all", "estimate"):
        load([word for word in given if not word.startswith("FLAVOR=")])


def is_known_to_the_program(words: list[str]) -> bool:
    command = typer.main.get_command(app)
    for word in words:
        if not hasattr(command, "commands"):
            return True
        if word not in command.commands:
            return False
        command = command.commands[word]
    return not hasattr(command, "commands")


def test_every_name_in_capitals_is_a_setting() -> None:
    spans = [span for cell in cells() for span in SPAN.findall(cell) if not span.startswith(OURS)]
    named = {
        name for span in spans
        for name in re.findall(r"(?<![<\w./-])[A-Z][A-Z_0-9]{2,}(?![\w>./])", span)
    }  # fmt: skip
    theirs = {"CAM_DB", "SCALING"}  # spoken of where another row of theirs says the same
    assert named - theirs <= setting_names()


def test_every_value_is_one_that_some_method_or_backend_takes() -> None:
    models = [option_models.of_pipeline(name) for name in registry.names()]
    models += [option_models.of_backend(name) for name in backends.BACKENDS]
    for cell in cells():
        for span in SPAN.findall(cell):
            name, equals, value = span.partition("=")
            takers = [one for one in models if name.lower() in one.model_fields]
            if re.fullmatch(r"[A-Z_0-9]+", name) and equals and value not in ("", "n") and takers:
                assert any(takes(one, name, value.strip("'")) for one in takers), span


def takes(model: type[object], name: str, value: str) -> bool:
    try:
        model(**{name.lower(): value})
    except ValueError:
        return False
    return True


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (ROOT / "docs" / target).resolve().exists(), target
