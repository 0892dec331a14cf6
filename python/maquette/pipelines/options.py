"""How options are declared, a step's or a backend's, and the file in which steps get theirs."""

from __future__ import annotations

import difflib
import json
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from maquette.errors import ConfigError

T = TypeVar("T", bound="StepOptions")
Kind = TypeVar("Kind")
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}


@dataclass(frozen=True)
class Option:
    """What is known of one option.

    Attributes:
        field: Its name in the step's options; `setting` is the name that a person gives.
        kind: The type of the value, or of the text that `parse` reads.
        help: What it means, in a few words, for `maquette settings` and docs/settings.md.
        low, high: The least and the largest value; `above`: it is larger than this.
        unit: Of a number.
        pattern: A regular expression that a text has to match.
        once: It is about one run, so the next one does not know it.
        native: Of a backend: only jobs of the native engine heed it.
    """

    field: str
    setting: str
    kind: Any
    default: Any
    help: str
    low: float | None = None
    high: float | None = None
    above: float | None = None
    unit: str = ""
    pattern: str = ""
    parse: Callable[[str], Any] | None = None
    once: bool = False
    native: bool = False


def option(default: Any, help: str, *, setting: str = "", **facts: Any) -> Any:
    """A field of a step's or a backend's options, told once; for what may be told see `Option`.

    Args:
        default: The text of it, where `parse` reads one.
        setting: The setting's name, where it is not the field's in capitals.
    """
    metadata = {"setting": setting, "default": default, "help": help, **facts}
    parse = facts.get("parse")
    if parse is not None:
        return field(default_factory=lambda: parse(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def options_of(kind: type[Any]) -> tuple[Option, ...]:
    """The options of a dataclass that a person gives; planning fills a step's other fields."""
    hints = typing.get_type_hints(kind)
    found = []
    for item in fields(kind):
        if item.metadata:
            facts = dict(item.metadata)
            setting = facts.pop("setting") or item.name.upper()
            text = str if "parse" in facts else hints[item.name]
            found.append(Option(item.name, setting, text, **facts))
    return tuple(found)


def chosen(kind: type[Kind], values: Mapping[str, Any]) -> Kind:
    """Options of one class from values by the settings' names in small letters.

    Values of other classes are left out; the default stands where there is none.
    """
    names = {option.setting.lower(): option.field for option in options_of(kind)}
    return kind(**{names[name]: value for name, value in values.items() if name in names})


def parse_size(text: str) -> int:
    """Read a size in bytes, as `20MB`; 0 for nothing.

    Raises:
        ConfigError: it is none.
    """
    found = re.fullmatch(r"([0-9.]+) *([KMG]?B?)", text.strip().upper())
    if not text.strip():
        return 0
    try:
        assert found is not None
        return int(float(found[1]) * _UNITS[found[2]])
    except (AssertionError, KeyError, ValueError):
        raise ConfigError(
            f"`{text}` is no size of a file", hint="e.g. SIZE_LIMIT=20MB, or 800KB"
        ) from None


@dataclass(frozen=True)
class StepOptions:
    """Options every step has."""

    group: str = "experiments"
    seed: int = option(0, "seed of every random choice", low=0)
    force_stage: str = option("", "run this stage (or all) although it is done", once=True)
    from_stage: str = option("", "first stage to run", setting="FROM", once=True)
    until_stage: str = option("", "last stage to run", setting="UNTIL", once=True)
    prune: bool = option(
        False, "1: drop files that served other stages, once all that read them are done", once=True
    )

    @property
    def redoes_all(self) -> bool:
        """Whether every stage is to run although it is done."""
        return self.force_stage == "all"


@dataclass(frozen=True)
class ShardedStepOptions(StepOptions):
    """Options of a step with a stage whose work falls into shards."""

    workers: int = option(
        1,
        "processes of a machine, tasks of a cluster, or further jobs on rented machines, that "
        "share the work",
        low=1,
        high=64,
    )


def from_mapping(kind: type[T], values: dict[str, Any]) -> T:
    """Build options, reporting every unknown key and wrong type together.

    Raises:
        ConfigError: one or more values are unusable.
    """
    known = {item.name: item for item in fields(kind)}
    hints = typing.get_type_hints(kind)
    problems = []
    for key, value in values.items():
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1)
            problems.append(
                f"unknown option `{key}`" + (f", nearest: `{nearest[0]}`" if nearest else "")
            )
        elif not _fits(value, hints[key]):
            problems.append(f"`{key}` can not be {value!r}: expected {_describe(hints[key])}")
    if problems:
        raise ConfigError("the step's options are not usable", detail="\n".join(problems))
    return kind(**values)


def read(kind: type[T], path: Path) -> T:
    """Read an options file (a JSON object).

    Raises:
        ConfigError: missing, not JSON, or unusable values.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"can not read the options file `{path}`: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"the options file `{path}` is not a JSON object")
    return from_mapping(kind, values)


def to_mapping(options: StepOptions) -> dict[str, Any]:
    """The JSON object that `from_mapping` reads back."""
    return asdict(options)


def _fits(value: Any, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return value in typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in typing.get_args(hint))
    if origin is dict:
        return isinstance(value, dict)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _describe(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return " | ".join(map(str, typing.get_args(hint)))
    return getattr(hint, "__name__", str(hint))
