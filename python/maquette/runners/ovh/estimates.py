"""How long, how much memory and how much money a scene will take on rented machines."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from maquette.config.settings import Settings
from maquette.jobs.ledger import copies
from maquette.pipelines.pipeline import Images
from maquette.pipelines.registry import get_pipeline
from maquette.planning.building import build_job
from maquette.planning.estimating import (
    UNKNOWN_GPU_FACTOR,
    Estimate,
    Run,
    StepEstimate,
    fit,
    measured_runs,
    memory_gib,
    works_of,
)
from maquette.runners.ovh import agent_job, prices, spec
from maquette.runners.ovh.options import OvhOptions

UNKNOWN_CPU_FACTOR = 3.0  # between two CPU cores and four of another make
OVERHEAD_S = (60.0, 600.0)  # the image's and the scene's way to the machine, from users' reports


def estimate(settings: Settings) -> Estimate:
    """Estimate the steps of a scene with the flavors and prices of now."""
    problem = prices.refresh(settings.of(OvhOptions).ovh_catalogue)
    works, remarks = works_of(settings)
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
    if ours["pipeline"] != pipeline or ours["request"].get("workers"):  # its work was shared
        return None
    options = ours["request"].get("options") or {}
    step = get_pipeline(pipeline).steps[ours["step"]]
    work = step.work(options, Images(0, 0.0))  # 0 where it depends on images, which nobody knows
    flavor = ours["request"]["body"]["resources"]["flavor"]
    return Run(ours["step"], work, status["duration"], None, flavor) if work else None


def _step(step: str, work: float, runs: list[Run], settings: Settings) -> StepEstimate:
    """Of one step; with worker jobs from all being shared evenly to nothing being shared at all."""
    job = build_job(step, settings)
    resources, jobs = spec.body_of(job)["resources"], 1 + agent_job.workers_of(job)
    flavor = str(resources["flavor"])
    mine = [run for run in runs if run.step == step and run.flavor == flavor]
    used = mine or [run for run in runs if run.step == step and not run.flavor]
    factor, power, error = fit(used)
    seconds = factor * work**power
    low = seconds / error / (1.0 if mine else _unknown_factor(flavor)) / jobs
    high = seconds * error
    price = prices.of_resources(resources).eur_per_minute
    return StepEstimate(
        step=step,
        flavor=flavor,
        low_s=low,
        high_s=high,
        memory_gib=memory_gib(used, work),
        low_eur=price and round(_minutes(low + OVERHEAD_S[0]) * price * jobs, 2),
        high_eur=price and round(_minutes(high + OVERHEAD_S[1]) * price * jobs, 2),
    )


def _unknown_factor(flavor: str) -> float:
    known = prices.known().get(flavor)
    return UNKNOWN_CPU_FACTOR if known is not None and not known.gpu else UNKNOWN_GPU_FACTOR


def _minutes(seconds: float) -> int:
    return math.ceil(seconds / 60)
