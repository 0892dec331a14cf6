"""A configuration is merged strictly: every wrong key and value is told, with the nearest name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from maquette.errors import ConfigError
from maquette.recon.training.configuration import (
    Schema,
    by_hardware,
    read_tree,
    to_mapping,
    write_tree,
)


@dataclass(frozen=True)
class Rates:
    first: float = 0.1
    steps: tuple[int, int] = (10, 20)
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Config:
    total: int = 100
    name: str = "plain"
    is_soft: bool = False
    rates: Rates = field(default_factory=Rates)


def _rules(config: Config) -> dict[str, bool]:
    return {"rates.first must be positive": config.rates.first > 0}


SCHEMA = Schema(Config, {"small": {"rates.first": 0.5}, "large": {"total": 7}}, _rules)


def merge(preset: str = "small", **overrides: Any) -> Config:
    entries = {key.replace("__", "."): value for key, value in overrides.items()}
    return SCHEMA.merge(preset, [("file", {"name": "filed"}), ("override", entries)], total=50)


def test_later_sources_win() -> None:
    assert merge() == Config(50, "filed", False, Rates(0.5))
    assert merge("large").total == 7
    assert merge(name="mine", rates__first=0.2) == Config(50, "mine", False, Rates(0.2))


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("1e-3", "rates__first", 1e-3), (2, "rates__first", 2.0),
        ("[3, 4]", "rates__steps", (3, 4)),
        ("true", "is_soft", True), (9.0, "total", 9), ("null", "rates__size", None),
        ([5, 6], "rates__size", (5, 6)), ("12", "name", "12"),
    ],
)  # fmt: skip
def test_values_take_their_declared_type(text: Any, key: str, value: Any) -> None:
    found: Any = merge(**{key: text})
    for name in key.split("__"):
        found = getattr(found, name)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rates__first", "fast"), ("total", True), ("total", 1.5), ("rates__steps", [1]),
        ("rates__steps", ["a", 2]), ("is_soft", 3), ("name", 4), ("total", "{"),
    ],
)  # fmt: skip
def test_values_of_another_type_are_refused(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match="not usable") as caught:
        merge(**{key: value})
    assert f"override: `{key.replace('__', '.')}` can not be {value!r}" in caught.value.detail


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        merge("smal", rates__frist=1, nme="x", total="many")
    assert caught.value.detail.splitlines() == [
        "PRESET: unknown preset `smal`, nearest: `small`",
        "override: unknown key `rates.frist`, nearest: `rates.first`",
        "override: unknown key `nme`, nearest: `name`",
        "override: `total` can not be 'many': expected int",
    ]


def test_a_broken_rule_is_told() -> None:
    with pytest.raises(ConfigError) as caught:
        merge(rates__first=-1)
    assert caught.value.detail == "rates.first must be positive"


def test_a_configuration_survives_its_file(tmp_path: Path) -> None:
    config = merge(rates__size=[3, 4])
    path = tmp_path / "config.yaml"
    write_tree(path, to_mapping(config))
    assert SCHEMA.from_mapping(read_tree(path)) == config
    older = {"name": "before", "rates": {"first": 0.3}}  # of a version that knew fewer keys
    assert SCHEMA.from_mapping(older) == Config(name="before", rates=Rates(0.3))


@pytest.mark.parametrize("text", ["a: [", "- 1", "just a text"])
def test_a_file_that_is_no_mapping_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        read_tree(path)


def test_auto_is_decided_by_the_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert by_hardware("auto", 1) == "standard" and by_hardware("auto", 0) == "preview"
    assert by_hardware("auto", 1, "small", "large") == "large"
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert by_hardware("auto", 1) == "preview" and by_hardware("full", 0) == "full"
