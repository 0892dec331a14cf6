"""Metrics and previews sent to Weights & Biases, where a person asked for it by `WANDB=1`.

Account, project and mode are those of its own variables: `WANDB_API_KEY` (or `wandb login`),
`WANDB_PROJECT`, `WANDB_ENTITY`, `WANDB_MODE=offline` to write to the run's folder alone.
"""

from __future__ import annotations

import importlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from maquette.errors import ConfigError, CredentialsError
from maquette.scene.atomic import write_text

ID_FILE = "wandb_id.txt"
_PROJECT = "maquette"
_OFFLINE = "or WANDB_MODE=offline to keep the figures in the run's folder, or WANDB=0"
_PICTURES = frozenset({".png", ".jpg"})


class WeightsAndBiases:
    """One run there, which a resumed run goes on with.

    Args:
        name: Of the run, for people.
        settings: Of the method, in nested form.

    Raises:
        ConfigError: wandb is not installed.
        CredentialsError: it can not log in.
    """

    def __init__(self, run: Path, name: str, settings: dict[str, Any]) -> None:
        self._wandb = _imported()
        try:
            self._run = self._wandb.init(
                project=os.environ.get("WANDB_PROJECT", _PROJECT),
                name=name,
                id=_id_of(run),
                resume="allow",
                dir=str(run),
                config=settings,
                settings=self._wandb.Settings(silent=True, disable_code=True, disable_git=True),
            )
        except self._wandb.errors.Error as error:
            raise _refused(error) from error

    def write(self, iteration: int, values: dict[str, float]) -> None:
        """Add the values of an iteration; those that are there already stay as they are."""
        self._run.log(values, step=iteration)

    def show(self, iteration: int, paths: Sequence[Path]) -> None:
        """Add the pictures of an iteration."""
        pictures = [path for path in paths if path.suffix in _PICTURES]
        if pictures:
            images = [self._wandb.Image(str(path)) for path in pictures]
            self._run.log({"previews": images}, step=iteration)

    def close(self, succeeded: bool) -> None:
        """Send what is left, and how the run ended."""
        self._run.finish(exit_code=0 if succeeded else 1)


def check() -> None:
    """Refuse what would only fail when a run has begun.

    Raises:
        ConfigError: wandb is not installed.
        CredentialsError: it can not log in.
    """
    wandb = _imported()
    if os.environ.get("WANDB_MODE", "online") != "online":
        return
    try:
        wandb.login()
    except wandb.errors.Error as error:
        raise _refused(error) from error


def _imported() -> Any:
    try:
        return importlib.import_module("wandb")
    except ImportError as error:
        raise ConfigError(
            "WANDB=1, but wandb is not installed where training runs",
            detail=str(error),
            hint="`.venv/bin/pip install wandb`, or WANDB=0",
        ) from error


def _refused(error: Exception) -> CredentialsError:
    return CredentialsError(
        "WANDB=1, but Weights & Biases can not be used",
        detail=str(error)[:300],
        hint=f"set WANDB_API_KEY (https://wandb.ai/authorize), {_OFFLINE}",
    )


def _id_of(run: Path) -> str:
    """The run's name for Weights & Biases: kept beside its checkpoints."""
    path = run / ID_FILE
    if not path.exists():
        write_text(path, secrets.token_hex(6) + "\n")
    return path.read_text(encoding="utf-8").strip()
