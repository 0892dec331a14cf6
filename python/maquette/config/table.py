"""All settings as a table, for `maquette settings` and docs/settings.md."""

from __future__ import annotations

from typing import Any

from maquette.config.settings import Settings
from maquette.pipelines.registry import get_pipeline


def rows(pipeline: str) -> list[tuple[str, str, str, str]]:
    """Name, default, steps and meaning of each setting that a pipeline and the core know."""
    found = [
        (name.upper(), _shown(field.default), "", field.description or "")
        for name, field in Settings.model_fields.items()
        if name != "options"
    ]
    for name, by_step in get_pipeline(pipeline).settings().items():
        option = next(iter(by_step.values()))
        unit = f" ({option.unit})" if option.unit else ""
        steps = "all" if len(by_step) > 2 else ", ".join(by_step)
        found.append((name, _shown(option.default), steps, option.help + unit))
    return found


def _shown(default: Any) -> str:
    return str(int(default)) if isinstance(default, bool) else str(default)
