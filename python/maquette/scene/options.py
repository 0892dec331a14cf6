"""What each step may be told: the options file that every backend hands to `maquette-step`."""

from __future__ import annotations

import difflib
import json
import types
import typing
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from maquette.errors import ConfigError

SceneType = typing.Literal["object", "indoor", "outdoor"]
Matcher = typing.Literal["auto", "exhaustive", "sequential"]

T = TypeVar("T", bound="StepOptions")


@dataclass(frozen=True)
class StepOptions:
    """Options every step has."""

    group: str = "experiments"
    seed: int = 0
    force_stage: str = ""  # a stage name, or "all"
    from_stage: str = ""
    until_stage: str = ""


@dataclass(frozen=True)
class PrepareOptions(StepOptions):
    """Options of `prepare`."""

    input: str = ""  # file, folder or URL; empty: what the scene's input/ holds
    downsample_rate: int = 2  # every N-th video frame
    frames: int = 0  # a target count of sharp frames instead; 0: use downsample_rate
    scene_type: SceneType = "object"
    matcher: Matcher = "auto"
    camera_model: str = "SIMPLE_RADIAL"
    camera_params: str = ""  # known intrinsics, comma separated, in COLMAP's order
    refine_principal_point: bool = False
    auto_exposure_wb: bool = False
    min_registered: float = 0.6  # the registration gate: share of images with a pose


@dataclass(frozen=True)
class ProcessOptions(StepOptions):
    """Options of `process`."""

    iterations: int = 2000
    gpus: int = 1  # processes that train together, each with a GPU where there are some
    preset: str = "auto"
    fresh: bool = False
    checkpoint: str = ""
    save_minutes: float = 5.0
    overrides: dict[str, Any] = field(default_factory=dict)  # a.b.c -> value


@dataclass(frozen=True)
class ExtractOptions(StepOptions):
    """Options of `extract`."""

    resolution: int = 256  # cells along the sphere's diameter
    block_res: int = 128  # cells along a block: the memory knob
    checkpoint: str = ""  # name, path or iteration; empty: the newest
    textured: bool = True  # vertex colours
    keep_lcc: bool = False  # largest component of the whole mesh only


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
