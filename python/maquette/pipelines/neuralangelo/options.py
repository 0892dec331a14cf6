"""Options of the neural surface."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any, Literal

from maquette.errors import ConfigError
from maquette.pipelines.options import StepOptions, option

Preset = Literal["auto", "preview", "standard", "full-8gb", "full-12gb", "full-16gb", "full"]
Dense = Literal["auto", "off"]
Unseen = Literal["drop", "keep", "fill"]


def parse_overrides(text: str) -> dict[str, Any]:
    """Read training overrides: words `a.b.c=value`, with or without leading dashes.

    Raises:
        ConfigError: a word is not of that form.
    """
    overrides = {}
    for word in shlex.split(text):
        key, equals, value = word.removeprefix("--").partition("=")
        if not equals or not key:
            raise ConfigError(
                f"OVERRIDES: `{word}` is not of the form a.b.c=value",
                hint="e.g. OVERRIDES='model.render.rand_rays=512 optim.params.lr=5e-4'",
            )
        overrides[key] = _value(value)
    return overrides


def _value(text: str) -> Any:
    """A number, a list, true, false or null; else the text itself."""
    word = text.strip()
    if word.lower() in ("true", "false", "null"):
        word = word.lower()
    try:
        return json.loads(word)
    except ValueError:
        pass
    try:
        return float(word)  # also 5., .5 and 1e-3
    except ValueError:
        return text


@dataclass(frozen=True)
class ProcessOptions(StepOptions):
    """Options of `process`."""

    iterations: int = option(2000, "training iterations; schedules scale with it", low=1)
    gpus: int = 1  # of the machine, each with a process that trains; 0: the processor alone
    preset: Preset = option(
        "auto", "how much to compute; full-8gb … fit smaller GPUs; auto: by hardware"
    )
    dense: Dense = option(
        "auto", "start from and keep to the points of dense stereo, where the scene has them"
    )
    fresh: bool = option(False, "1: train from zero; the old run is kept aside", once=True)
    checkpoint: str = option("", "name, path or iteration; empty: the newest", once=True)
    save_minutes: float = option(5.0, "minutes between checkpoints", above=0, unit="min")
    overrides: dict[str, Any] = option(
        "", "training settings by key, e.g. 'optim.params.lr=5e-4 data.val.subset=2'",
        parse=parse_overrides,
    )  # fmt: skip

    @property
    def redoes_all(self) -> bool:
        """Also a run that starts afresh."""
        return super().redoes_all or self.fresh


@dataclass(frozen=True)
class ExtractOptions(StepOptions):
    """Options of `extract`."""

    gpus: int = 1  # of the machine; 0: the processor alone
    resolution: int = option(512, "cells along the sphere's diameter", low=8, high=8192)
    block_res: int = option(128, "cells along a block; less = less memory", low=8, high=1024)
    checkpoint: str = option("", "name, path or iteration; empty: the newest", once=True)
    textured: bool = option(True, "0: no vertex colours")
    keep_lcc: bool = option(False, "1: keep only the largest part of the whole mesh")
    unseen: Unseen = option(
        "drop", "surface that fewer than two photos saw; fill: a closed model, grey there"
    )
