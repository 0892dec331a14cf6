"""A method's configuration: a frozen dataclass of dataclasses, merged strictly from its sources.

Presets, files and a person's overrides name values by dotted keys (`model.render.rand_rays`).
Unknown keys and unusable values are errors, all reported together.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
import yaml

from maquette.errors import ConfigError
from maquette.recon.training.conversion import WRONG, convert, describe, hint_of
from maquette.scene.atomic import write_text

C = TypeVar("C")
_NOT_USABLE = "the training settings are not usable"


@dataclass(frozen=True)
class Schema(Generic[C]):
    """What the configuration of a method looks like.

    Attributes:
        kind: The dataclass; its defaults are those of every key.
        presets: Values by name and dotted key, which a person chooses by `PRESET=`.
        rules: Sentences about a configuration, and whether each holds.
    """

    kind: type[C]
    presets: Mapping[str, Mapping[str, Any]]
    rules: Callable[[C], Mapping[str, bool]] = lambda config: {}

    def merge(
        self, preset: str, sources: Sequence[tuple[str, Mapping[str, Any]]], **base: Any
    ) -> C:
        """The configuration of a run: `base`, then the preset, then each source in turn.

        Args:
            preset: Its name, as `by_hardware` decides it.
            sources: Values by dotted key, each with the source's name for messages.
            base: Values of outermost keys.

        Raises:
            ConfigError: unknown preset, keys or unusable values; all in one message.
        """
        known, values, problems = self.defaults(), dict(base), []
        if preset not in self.presets:
            problems.append(f"PRESET: unknown preset `{preset}`{_nearest(preset, self.presets)}")
        for source, entries in [("preset", self.presets.get(preset, {})), *sources]:
            for key, value in entries.items():
                problems += self._apply(values, known, source, key, value)
        if problems:
            raise ConfigError(_NOT_USABLE, detail="\n".join(problems))
        config: C = _build(self.kind, {**known, **values}, "")
        broken = [rule for rule, holds in self.rules(config).items() if not holds]
        if broken:
            raise ConfigError(_NOT_USABLE, detail="\n".join(broken))
        return config

    def defaults(self) -> dict[str, Any]:
        """Every key with its default, flat: `model.render.rand_rays` -> 512."""
        return flatten(to_mapping(self.kind()))

    def from_mapping(self, tree: Mapping[str, Any]) -> C:
        """Rebuild the configuration that a checkpoint holds; keys it lacks take their defaults."""
        config: C = _build(self.kind, {**self.defaults(), **flatten(tree)}, "")
        return config

    def _apply(
        self, values: dict[str, Any], known: dict[str, Any], source: str, key: str, value: Any
    ) -> list[str]:
        """Take one entry into `values`, or return what is wrong with it."""
        if key not in known:
            return [f"{source}: unknown key `{key}`{_nearest(key, known)}"]
        hint = hint_of(self.kind, key)
        converted = convert(value, hint)
        if converted is WRONG:
            return [f"{source}: `{key}` can not be {value!r}: expected {describe(hint)}"]
        values[key] = converted
        return []


def by_hardware(preset: str, gpus: int, on_cpu: str = "preview", on_gpu: str = "standard") -> str:
    """The preset's name, with `auto` decided by the machine and by how much of it may be used.

    Args:
        gpus: How many GPUs training may use; 0: none, also where there are some.
    """
    if preset != "auto":
        return preset
    return on_gpu if gpus and torch.cuda.is_available() else on_cpu


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one mapping with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def to_mapping(config: Any) -> dict[str, Any]:
    """A configuration as nested plain mappings."""
    tree: dict[str, Any] = _plain(dataclasses.asdict(config))
    return tree


def read_tree(path: Path) -> dict[str, Any]:
    """The nested settings of a YAML file; none where it is empty.

    Raises:
        ConfigError: it can not be read, or holds something else.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"can not read `{path}`: {error}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"`{path}` is not a mapping of settings")
    return tree


def write_tree(path: Path, tree: Mapping[str, Any]) -> None:
    """Write nested settings, as `config.yaml` of a run has them."""
    write_text(path, yaml.safe_dump(dict(tree), indent=4, sort_keys=False))


def _nearest(key: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, list(names), n=1, cutoff=0.4)
    return f", nearest: `{close[0]}`" if close else ""


def _build(kind: Any, flat: Mapping[str, Any], prefix: str) -> Any:
    hints = typing.get_type_hints(kind)
    arguments = {}
    for item in dataclasses.fields(kind):
        key = prefix + item.name
        if dataclasses.is_dataclass(hints[item.name]):
            arguments[item.name] = _build(hints[item.name], flat, key + ".")
        else:
            value = flat[key]
            arguments[item.name] = tuple(value) if isinstance(value, list) else value
    return kind(**arguments)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
