"""The version, however the package came here."""

from __future__ import annotations

import re
from importlib import metadata

import pytest

from maquette import resources


def test_a_checkout_that_is_only_on_the_path_knows_its_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed = resources.version()

    def unknown(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", unknown)
    assert resources.version() == installed == metadata.distribution("maquette").version


def test_nothing_else_asks_what_is_installed_for_our_version() -> None:
    asking = [
        path.name
        for path in resources.PACKAGE.rglob("*.py")
        if re.search(r"""metadata\.version\(["']maquette""", path.read_text("utf-8"))
    ]
    assert asking == ["resources.py"]
