"""Options of a step that trains, for every pipeline that has one."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

from maquette.errors import ConfigError
from maquette.pipelines.options import StepOptions, option


@dataclass(frozen=True)
class TrainingStepOptions(StepOptions):
    """What a run of training asks for, whatever it trains; see recon/training/options.py."""

    iterations: int = option(2000, "training iterations; schedules scale with it", low=1)
    gpus: int = 1  # of the machine, each with a process that trains; 0: the processor alone
    fresh: bool = option(False, "1: train from zero; the old run is kept aside", once=True)
    checkpoint: str = option("", "name, path or iteration; empty: the newest", once=True)
    save_minutes: float = option(5.0, "minutes between checkpoints", above=0, unit="min")
    wandb: bool = option(False, "1: send metrics to Weights & Biases, where wandb is installed")

    @property
    def redoes_all(self) -> bool:
        """Also a run that starts afresh."""
        return super().redoes_all or self.fresh


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
