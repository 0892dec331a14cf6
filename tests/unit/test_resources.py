"""The version, however the package came here."""

from __future__ import annotations

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
