"""`report.json`: the summary of a scene that a person or a program reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from maquette.scene import stage_records
from maquette.scene.atomic import write_json
from maquette.scene.events import now
from maquette.scene.paths import Scene


def write_report(scene: Scene, pipeline: str, steps: Iterable[str]) -> None:
    """Summarise every finished stage and every result of the scene in `report.json`.

    Args:
        steps: The pipeline's, in the order in which they run.
    """
    write_json(scene.report, summarise(scene, pipeline, steps))


def summarise(scene: Scene, pipeline: str, steps: Iterable[str]) -> dict[str, Any]:
    """Collect stages (time, numbers, remarks) and result files, in the order they ran."""
    names = [path.stem for path in scene.stages.glob("*.json")]
    found = [stage_records.read(scene, name) for name in names]
    records = sorted((record for record in found if record), key=lambda item: item.started_at)
    return {
        "schema_version": 1,
        "model": scene.name,
        "pipeline": pipeline,
        "written_at": now(),
        "stages": [
            {
                "step": record.step,
                "stage": record.stage,
                "wall_s": record.wall_s,
                "numbers": record.numbers,
                "remarks": record.remarks,
            }
            for step in steps
            for record in records
            if record.step == step
        ],
        "results": {path.name: scene.relative(path) for path in _results(scene)},
    }


def _results(scene: Scene) -> list[Any]:
    return sorted(path for path in scene.mesh.glob("*") if not path.name.startswith("."))
