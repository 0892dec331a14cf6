"""Values of settings as their declared types: numbers, texts, tuples, each or None."""

from __future__ import annotations

import types
import typing
from typing import Any

import yaml

WRONG = object()


def convert(value: Any, hint: Any) -> Any:
    """The value as the hinted type (text from a command line is parsed), or WRONG."""
    if isinstance(value, str) and hint is not str:
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError:
            return WRONG
    if isinstance(value, str) and hint is float:
        try:
            return float(value)  # YAML 1.1 reads 1e-3 as text
        except ValueError:
            return WRONG
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
    if typing.get_origin(hint) is tuple:
        kinds = typing.get_args(hint)
        if not isinstance(value, (list, tuple)) or len(value) != len(kinds):
            return WRONG
        items = tuple(convert(item, kind) for item, kind in zip(value, kinds, strict=True))
        return WRONG if any(item is WRONG for item in items) else items
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if hint is int and isinstance(value, bool):
        return WRONG
    return value if isinstance(value, hint) else WRONG


def hint_of(kind: Any, key: str) -> Any:
    """The declared type of a dotted key of a dataclass of dataclasses."""
    for name in key.split("."):
        kind = typing.get_type_hints(kind)[name]
    return kind


def describe(hint: Any) -> str:
    """A type's name, for a person."""
    return getattr(hint, "__name__", str(hint)) if not typing.get_args(hint) else str(hint)
