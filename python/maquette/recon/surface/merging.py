"""Merge a surface's configuration from preset, scene file and overrides, strictly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maquette.errors import ConfigError
from maquette.recon.surface.config import TrainingConfig
from maquette.recon.surface.presets import PRESETS
from maquette.recon.training.configuration import (
    Schema,
    by_hardware,
    flatten,
    read_tree,
)

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
    sources = [] if path is None or not path.exists() else [(path.name, _read(path))]
    sources.append(("override", flatten(overrides or {})))
    return _SCHEMA.merge(by_hardware(preset, gpus), sources, max_iter=iterations)


def from_mapping(tree: dict[str, Any]) -> TrainingConfig:
    """Rebuild the configuration that a checkpoint holds; keys it lacks take their defaults."""
    return _SCHEMA.from_mapping(tree)


def _read(path: Path) -> dict[str, Any]:
    tree = read_tree(path)
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


def _rules(config: TrainingConfig) -> dict[str, bool]:
    """What values of the right type must fulfil to have a meaning."""
    sdf, render = config.model.object.sdf, config.model.render
    grid = sdf.encoding.hashgrid
    return {
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


_SCHEMA = Schema(TrainingConfig, PRESETS, _rules)
