"""Merge a configuration from preset, scene file and overrides, strictly, reporting all problems."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from pathlib import Path
from typing import Any

import yaml

from maquette.errors import ConfigError
from maquette.recon.surface.config import TrainingConfig
from maquette.recon.surface.presets import PRESETS, resolved
from maquette.scene.atomic import write_text

# Keys of the generated config.yaml that say nothing to this engine (D2).
_FOREIGN = (
    "_parent_", "data.root", "data.type", "data.num_images", "max_iter", "logdir",
    "data.readjust.center", "data.readjust.scale",
)  # fmt: skip


def merge(
    preset: str, path: Path | None = None, overrides: dict[str, Any] | None = None,
    *, iterations: int = 2000, gpus: int = 1,
) -> TrainingConfig:  # fmt: skip
    """The configuration of a run: preset, then the scene's file, then `iterations` and overrides.

    Args:
        gpus: How many GPUs training may use, on which the preset `auto` depends.

    Raises:
        ConfigError: unknown preset, keys or unusable values; all in one message.
    """
    known = defaults()
    values: dict[str, Any] = {"max_iter": iterations}
    problems: list[str] = []
    name = resolved(preset, gpus)
    if name not in PRESETS:
        problems.append(f"PRESET: unknown preset `{preset}`{_nearest(preset, PRESETS)}")
    sources: list[tuple[str, dict[str, Any]]] = [("preset", PRESETS.get(name, {}))]
    if path is not None and path.exists():
        sources.append((path.name, _read(path)))
    sources.append(("override", flatten(overrides or {})))
    for source, entries in sources:
        for key, value in entries.items():
            problems += _apply(values, known, source, key, value)
    if problems:
        raise ConfigError("the training settings are not usable", detail="\n".join(problems))
    config: TrainingConfig = _build(TrainingConfig, {**known, **values}, "")
    _check(config)
    return config


def defaults() -> dict[str, Any]:
    """Every key with its default, flat: `model.render.rand_rays` -> 512."""
    return flatten(dataclasses.asdict(TrainingConfig()))


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one mapping with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def write(path: Path, config: TrainingConfig) -> None:
    """Write a configuration in the nested form of D2."""
    text = yaml.safe_dump(_plain(dataclasses.asdict(config)), indent=4, sort_keys=False)
    write_text(path, text)


def from_mapping(tree: dict[str, Any]) -> TrainingConfig:
    """Rebuild the configuration that a checkpoint holds; keys it lacks take their defaults."""
    config: TrainingConfig = _build(TrainingConfig, {**defaults(), **flatten(tree)}, "")
    return config


def to_mapping(config: TrainingConfig) -> dict[str, Any]:
    """A configuration as nested plain mappings."""
    tree: dict[str, Any] = _plain(dataclasses.asdict(config))
    return tree


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"can not read `{path}`: {error}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"`{path}` is not a mapping of settings")
    _reject_readjust(tree, path)
    return {key: value for key, value in flatten(tree).items() if key not in _FOREIGN}


def _reject_readjust(tree: dict[str, Any], path: Path) -> None:
    entries = flatten(tree)
    center = entries.get("data.readjust.center", [0, 0, 0])
    if any(center) or entries.get("data.readjust.scale", 1.0) != 1.0:
        raise ConfigError(
            f"`{path}`: data.readjust is not the identity",
            hint="bake the adjustment into sphere_center and sphere_radius (`make region`)",
        )


def _apply(
    values: dict[str, Any], known: dict[str, Any], source: str, key: str, value: Any
) -> list[str]:
    """Take one entry into `values`, or return what is wrong with it."""
    if key not in known:
        return [f"{source}: unknown key `{key}`{_nearest(key, known)}"]
    converted = _convert(value, _hint(key))
    if converted is _WRONG:
        return [f"{source}: `{key}` can not be {value!r}: expected {_describe(_hint(key))}"]
    values[key] = converted
    return []


def _nearest(key: str, names: typing.Iterable[str]) -> str:
    close = difflib.get_close_matches(key, list(names), n=1, cutoff=0.4)
    return f", nearest: `{close[0]}`" if close else ""


_WRONG = object()


def _convert(value: Any, hint: Any) -> Any:
    """The value as the hinted type (text from a command line is parsed), or _WRONG."""
    if isinstance(value, str) and hint is not str:
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError:
            return _WRONG
    if isinstance(value, str) and hint is float:
        try:
            return float(value)  # YAML 1.1 reads 1e-3 as text
        except ValueError:
            return _WRONG
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
    if typing.get_origin(hint) is tuple:
        kinds = typing.get_args(hint)
        if not isinstance(value, (list, tuple)) or len(value) != len(kinds):
            return _WRONG
        items = tuple(_convert(item, kind) for item, kind in zip(value, kinds, strict=True))
        return _WRONG if any(item is _WRONG for item in items) else items
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if hint is int and isinstance(value, bool):
        return _WRONG
    return value if isinstance(value, hint) else _WRONG


def _hint(key: str) -> Any:
    kind: Any = TrainingConfig
    for name in key.split("."):
        kind = typing.get_type_hints(kind)[name]
    return kind


def _describe(hint: Any) -> str:
    return getattr(hint, "__name__", str(hint)) if not typing.get_args(hint) else str(hint)


def _build(kind: Any, flat: dict[str, Any], prefix: str) -> Any:
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


def _check(config: TrainingConfig) -> None:
    """Reject values that have the right type but no meaning."""
    sdf, render = config.model.object.sdf, config.model.render
    grid = sdf.encoding.hashgrid
    rules = {
        "max_iter must be at least 1": config.max_iter >= 1,
        "model.kernels must be `warp` or `torch`": config.model.kernels in ("warp", "torch"),
        "model.object.sdf.gradient.mode must be `numerical`": sdf.gradient.mode == "numerical",
        "model.object.sdf.gradient.taps must be 4 or 6": sdf.gradient.taps in (4, 6),
        "model.object.sdf.encoding.levels must be 1 to 24": 1 <= sdf.encoding.levels <= 24,
        "model.object.sdf.encoding.hashgrid: 1 <= min_logres <= max_logres <= 14 is needed": (
            1 <= grid.min_logres <= grid.max_logres <= 14
        ),
        "model.object.sdf.encoding.hashgrid.dict_size must be 4 to 24": 4 <= grid.dict_size <= 24,
        "model.render.rand_rays must be positive": render.rand_rays > 0,
        "model.render.num_samples.fine and coarse must be at least 2": (
            min(render.num_samples.fine, render.num_samples.coarse) >= 2
        ),
        "model.object.rgb.encoding_view.levels must be 1 to 4": (
            1 <= config.model.object.rgb.encoding_view.levels <= 4
        ),
        "optim.type must be `AdamW` or `Adam`": config.optim.type in ("AdamW", "Adam"),
        "optim.sched.type must be `two_steps_with_warmup`": (
            config.optim.sched.type == "two_steps_with_warmup"
        ),
        "optim.sched.shape_share must be above 0 and at most 1": (
            0 < config.optim.sched.shape_share <= 1
        ),
        "optim.sched.gamma must be at least 1": config.optim.sched.gamma >= 1,
        "checkpoint.keep must be at least 1": config.checkpoint.keep >= 1,
    }
    broken = [rule for rule, holds in rules.items() if not holds]
    if broken:
        raise ConfigError("the training settings are not usable", detail="\n".join(broken))
