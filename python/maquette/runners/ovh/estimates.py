"""How long, how much memory and how much money a scene will take, from measured runs.

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
from typing import Any

from maquette.config.settings import Settings
from maquette.jobs.ledger import copies
from maquette.pipelines.pipeline import Images
from maquette.pipelines.registry import get_pipeline
from maquette.planning.building import build_job, resolve_input
from maquette.planning.definitions import measured_rows
from maquette.runners.ovh import prices, spec
from maquette.runners.ovh.options import OvhOptions
from maquette.scene.paths import IMAGE_SUFFIXES

LEAST_FACTOR = 2.0
UNKNOWN_GPU_FACTOR = 30.0  # between two CPU cores and the fastest machine of the table
UNKNOWN_CPU_FACTOR = 3.0  # between two CPU cores and four of another make
OVERHEAD_S = (60.0, 600.0)  # the image's and the scene's way to the machine, from users' reports
ASSUMED_IMAGES, ASSUMED_MEGAPIXELS = 120, 2.07


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
    """The range for one step; None where nobody knows."""

    step: str
    flavor: str
    low_s: float
    high_s: float
    memory_gib: float | None
    low_eur: float | None
    high_eur: float | None


@dataclass(frozen=True)
class Estimate:
    """All steps, and remarks about them."""

    steps: tuple[StepEstimate, ...]
    remarks: tuple[str, ...]


def estimate(settings: Settings) -> Estimate:
    """Estimate the steps of a scene with the flavors and prices of now."""
    problem = prices.refresh(settings.of(OvhOptions).ovh_catalogue)
    works, remarks = _works(settings)
    runs = [*measured_runs(settings.pipeline), *own_runs(settings.logs_dir, settings.pipeline)]
    steps = tuple(_step(step, works[step], runs, settings) for step in works)
    if problem:
        remarks.append(f"prices are older ones: the catalogue could not be read ({problem})")
    strange = sorted({s.flavor for s in steps if not any(r.flavor == s.flavor for r in runs)})
    if strange:
        factor = max(_unknown_factor(flavor) for flavor in strange)
        remarks.append(
            f"nothing was ever measured on {', '.join(strange)}: times come from two CPU cores, "
            f"and may be {factor:g} times less there; the upper end is safe to plan with, "
            "MAX_HOURS and MAX_COST bound it"
        )
    return Estimate(steps, tuple(remarks))


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


def measured_runs(pipeline: str) -> Iterator[Run]:
    """The runs of `measured.yaml`, of the pipeline and of what all share."""
    for row in measured_rows(pipeline):
        yield Run(row["step"], row["work"], row["seconds"], row.get("memory_gib"))


def own_runs(logs: Path, pipeline: str) -> Iterator[Run]:
    """Finished jobs of a pipeline, of this folder, that ran on a flavor, with their work."""
    for path in copies(logs):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            run = _own_run(document, pipeline)
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if run is not None:
            yield run


def _own_run(document: dict[str, Any], pipeline: str) -> Run | None:
    ours, status = document["maquette"], document["status"]
    if status["state"] != "DONE" or not status["duration"] or ours["backend"] != "ovh":
        return None
    if ours["pipeline"] != pipeline:
        return None
    options = ours["request"].get("options") or {}
    step = get_pipeline(pipeline).steps[ours["step"]]
    work = step.work(options, Images(0, 0.0))  # 0 where it depends on images, which nobody knows
    flavor = ours["request"]["body"]["resources"]["flavor"]
    return Run(ours["step"], work, status["duration"], None, flavor) if work else None


def _step(step: str, work: float, runs: list[Run], settings: Settings) -> StepEstimate:
    resources = spec.body_of(build_job(step, settings))["resources"]
    flavor = str(resources["flavor"])
    mine = [run for run in runs if run.step == step and run.flavor == flavor]
    used = mine or [run for run in runs if run.step == step and not run.flavor]
    factor, power, error = fit(used)
    seconds = factor * work**power
    low = seconds / error / (1.0 if mine else _unknown_factor(flavor))
    high = seconds * error
    memory = [run.memory_gib * max(work / run.work, 1.0) ** 0.7 for run in used if run.memory_gib]
    price = prices.of_resources(resources).eur_per_minute
    return StepEstimate(
        step=step,
        flavor=flavor,
        low_s=low,
        high_s=high,
        memory_gib=round(max(memory), 1) if memory else None,
        low_eur=price and round(_minutes(low + OVERHEAD_S[0]) * price, 2),
        high_eur=price and round(_minutes(high + OVERHEAD_S[1]) * price, 2),
    )


def _unknown_factor(flavor: str) -> float:
    known = prices.known().get(flavor)
    return UNKNOWN_CPU_FACTOR if known is not None and not known.gpu else UNKNOWN_GPU_FACTOR


def _minutes(seconds: float) -> int:
    return math.ceil(seconds / 60)


def _works(settings: Settings) -> tuple[dict[str, float], list[str]]:
    """The amount of work of each step, by verb, and what was assumed."""
    images, remarks = _images(settings)
    steps = get_pipeline(settings.pipeline).steps
    return {verb: step.work(settings.options, images) for verb, step in steps.items()}, remarks


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
            return Images(count, ASSUMED_MEGAPIXELS), [f"{count} photos, taken as of 1920×1080"]
    count = settings.options["frames"] or ASSUMED_IMAGES
    return Images(count, ASSUMED_MEGAPIXELS), [
        f"{count} images of 1920×1080 are assumed for prepare"
    ]
