"""`report.json`: the summary of a scene that a person or a program reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from maquette.pipelines.pipeline import COMMON
from maquette.scene import outputs, stage_records
from maquette.scene.atomic import write_json
from maquette.scene.events import now
from maquette.scene.paths import Scene

SCHEMA_VERSION = 2


def write_report(scene: Scene, step: str, licence: str) -> None:
    """Summarise every finished stage and every result of the scene in `report.json`.

    Args:
        step: The step of the scene's pipeline that has just ended.
        licence: Of the program that computed it.
    """
    licences = _licences(scene)
    licences.setdefault(scene.pipeline, {})[step] = licence
    write_json(scene.report, summarise(scene) | {"licences": licences})


def note_licence(scene: Scene, step: str, licence: str) -> None:
    """Write down whose program computed a step that no code of ours ran in."""
    report = _read(scene) or summarise(scene)
    licences = _licences(scene)
    licences.setdefault(scene.pipeline, {})[step] = licence
    write_json(scene.report, report | {"licences": licences})


def summarise(scene: Scene) -> dict[str, Any]:
    """Collect stages (time, numbers, remarks) in the order they ran, and results, by pipeline."""
    known = [path.name for path in sorted(scene.stages.glob("*/")) if path.name != COMMON]
    others = [name for name in (*known, *outputs.pipelines_of(scene.root)) if name != COMMON]
    pipelines = list(dict.fromkeys(others))
    return {
        "schema_version": SCHEMA_VERSION,
        "model": scene.name,
        "pipeline": scene.pipeline,
        "written_at": now(),
        "stages": [
            {
                "pipeline": owner,
                "step": record.step,
                "stage": record.stage,
                "wall_s": record.wall_s,
                "peak_bytes": record.peak_bytes,
                "gpu_peak_bytes": record.gpu_peak_bytes,
                "numbers": record.numbers,
                "remarks": record.remarks,
            }
            for owner in (COMMON, *pipelines)
            for record in stage_records.read_all(scene, owner)
        ],
        "results": {name: found for name in pipelines if (found := _results(scene.of(name)))},
    }


def _results(scene: Scene) -> dict[str, str]:
    return {Path(output.path).name: output.path for output in outputs.read(scene)}


def _licences(scene: Scene) -> dict[str, dict[str, str]]:
    """What is noted by now: whose programs computed what is there."""
    found = _read(scene).get("licences")
    return found if isinstance(found, dict) else {}


def _read(scene: Scene) -> dict[str, Any]:
    """The report as it is; empty when there is none, or it is damaged."""
    try:
        found = json.loads(scene.report.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
