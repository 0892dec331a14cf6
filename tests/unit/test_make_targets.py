"""What is told to people without a Makefile is what the Makefile calls."""

from __future__ import annotations

import re

import pytest

from command_line import ROOT
from maquette.ui import targets

RULE = re.compile(r"^([a-z][a-z %-]*):([^=\n]*?)## .*\n\t@\$\(CLI\) (.+)$", re.M)


def called() -> dict[str, str]:
    """Every make target that is a call of the program, with the words of it."""
    found = {}
    for names, _, words in RULE.findall((ROOT / "Makefile").read_text("utf-8")):
        for name in names.split():
            stem = re.search(r"prepare|process|extract", name)
            found[name] = words.replace("$*", stem[0] if stem else "")
    return found


def test_every_target_is_known_as_a_command() -> None:
    assert len(called()) > 40
    assert {name: targets.command_of(name) for name in called()} == called()


def test_sentences_are_changed_away_from_a_checkout_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "`make process-logs MODEL=shoe`; `make push-data`, and make the most of it"
    assert targets.as_typed(said) == said
    monkeypatch.setattr(targets, "IS_CHECKOUT", False)
    there = "`maquette logs process MODEL=shoe`; `maquette data push`, and make the most of it"
    assert targets.as_typed(said) == there
