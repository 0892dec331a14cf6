"""How long a step takes and how much memory it holds, from measured runs.

The law of each step is a power of its work, fitted to what was measured; where only one run was
measured, time is taken as proportional. The error is the largest factor between law and runs,
and never less than two; on machines where nothing was measured it is far more, and that is said.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from maquette.config.settings import Settings
from maquette.counting import counted
from maquette.pipelines.pipeline import Images
from maquette.pipelines.registry import get_pipeline
from maquette.planning.building import resolve_input
from maquette.planning.definitions import measured_rows
from maquette.scene.paths import IMAGE_SUFFIXES

LEAST_FACTOR = 2.0
UNKNOWN_GPU_FACTOR = 30.0  # between two CPU cores and the fastest GPU machine known
MEASURED_CORES = 2  # of the machine of the tables `measured.yaml`, which has no GPU
ASSUMED_IMAGES, ASSUMED_MEGAPIXELS = 120, 2.07
_MEMORY_POWER = 0.7  # of the work by which a run is larger than a measured one


@dataclass(frozen=True)
class Run:
    """A measured run: work in the step's own unit, machine "" for that of the table."""

    step: str
    work: float
    seconds: float
    memory_gib: float | None = None
    flavor: str = ""


@dataclass(frozen=True)
class StepEstimate:
    """The range for one step; None where nobody knows.

    Attributes:
        flavor: The machine's type, or what this machine has.
        ran_s, ran_gib: What the step took in this scene, where it ran.
    """

    step: str
    flavor: str
    low_s: float
    high_s: float
    memory_gib: float | None
    low_eur: float | None
    high_eur: float | None
    ran_s: float | None = None
    ran_gib: float | None = None


@dataclass(frozen=True)
class Estimate:
    """All steps, and remarks about them."""

    steps: tuple[StepEstimate, ...]
    remarks: tuple[str, ...]


def fit(runs: list[Run]) -> tuple[float, float, float]:
    """Fit seconds = factor · work^power; returns factor, power and the error as a factor.

    Source: least squares of logarithms; the power is kept between 0.5 and 1.5.
    """
    logs = [(math.log(run.work), math.log(run.seconds)) for run in runs]
    mean_x = statistics.fmean(x for x, _ in logs)
    mean_y = statistics.fmean(y for _, y in logs)
    spread = sum((x - mean_x) ** 2 for x, _ in logs)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in logs) / spread if spread > 0.1 else 1.0
    power = min(max(slope, 0.5), 1.5)
    factor = math.exp(mean_y - power * mean_x)
    worst = max(abs(y - math.log(factor) - power * x) for x, y in logs)
    return factor, power, max(math.exp(worst), LEAST_FACTOR)


def memory_gib(runs: list[Run], work: float) -> float | None:
    """The most memory of such work, from the largest run that is no larger; None: not measured."""
    known = sorted((run.work, run.memory_gib) for run in runs if run.memory_gib)
    if not known:
        return None
    of_work, gib = max((pair for pair in known if pair[0] <= work), default=known[0])
    return round(gib * max(work / of_work, 1.0) ** _MEMORY_POWER, 1)


def measured_runs(pipeline: str) -> Iterator[Run]:
    """The runs of `measured.yaml`, of the pipeline and of what all share."""
    for row in measured_rows(pipeline):
        yield Run(row["step"], row["work"], row["seconds"], row.get("memory_gib"))


def works_of(settings: Settings) -> tuple[dict[str, float], list[str]]:
    """The amount of work of each step, by verb, and what was assumed.

    Steps are left out that do something else with the scene's kind of input: their work is not
    that of photos.
    """
    images, remarks = _images(settings)
    steps = get_pipeline(settings.pipeline).steps
    other = _other_steps(settings)
    works = {
        verb: step.work(settings.options, images)
        for verb, step in steps.items()
        if verb not in other
    }
    if not other:
        return works, remarks
    told = f"{', '.join(other)} of a data set: nothing was measured of it yet"
    return works, [told] if not works else [*remarks, told]


def _other_steps(settings: Settings) -> list[str]:
    """The steps that do something else than with photos, by what INPUT and the scene hold."""
    steps, given = get_pipeline(settings.pipeline).steps, resolve_input(settings).told
    known = [step.for_scene(settings.scene_dir, told or "")
             for step in steps.values() for told in {given, ""}]  # fmt: skip
    if not any(step.is_in_place for step in known):
        return []
    return [verb for verb, step in steps.items() if step.alternatives]


def _images(settings: Settings) -> tuple[Images, list[str]]:
    """Number and size of the images: of the prepared scene, else of the input, else assumed."""
    transforms = settings.scene_dir / "transforms.json"
    if transforms.exists():
        content = json.loads(transforms.read_text(encoding="utf-8"))
        size = content.get("w", 0) * content.get("h", 0) / 1e6 or ASSUMED_MEGAPIXELS
        return Images(len(content["frames"]), size), []
    told = resolve_input(settings).told
    if told and Path(told).is_dir():
        count = sum(path.suffix.lower() in IMAGE_SUFFIXES for path in Path(told).rglob("*"))
        if count:
            return Images(count, ASSUMED_MEGAPIXELS), [
                f"{counted(count, 'photo')}, taken as of 1920×1080"
            ]
    count = settings.options["frames"] or ASSUMED_IMAGES
    return Images(count, ASSUMED_MEGAPIXELS), [
        f"{counted(count, 'image')} of 1920×1080 assumed for prepare"
    ]
