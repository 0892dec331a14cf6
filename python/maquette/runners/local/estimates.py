"""How long a scene will take on this machine, and whether it has the memory."""

from __future__ import annotations

import json
import os
from typing import Any

from maquette.agent import machine
from maquette.config.settings import Settings
from maquette.counting import counted
from maquette.errors import JobFailed
from maquette.pipelines.pipeline import COMMON
from maquette.pipelines.registry import get_pipeline
from maquette.planning.estimating import (
    MEASURED_CORES,
    UNKNOWN_GPU_FACTOR,
    Estimate,
    Run,
    StepEstimate,
    fit,
    measured_runs,
    memory_gib,
    works_of,
)
from maquette.scene.paths import Scene

_GIB = 1 << 30


def estimate(settings: Settings) -> Estimate:
    """Estimate the steps of a scene on this machine, beside what they took when they ran."""
    works, remarks = works_of(settings)
    cores, gpu = len(os.sched_getaffinity(0)), _gpu(settings)
    memory = machine.memory_bytes() / _GIB
    known, ran = list(measured_runs(settings.pipeline)), _last_runs(settings)
    of_step = {step: [run for run in known if run.step == step] for step in works}
    steps = tuple(
        _step(step, works[step], runs, cores, gpu, ran.get(step))
        for step, runs in of_step.items()
        if runs
    )
    remarks += [f"{step}: nothing was measured of it yet" for step in works if not of_step[step]]
    remarks.append(_precision(cores, gpu))
    remarks += [
        f"{step.step} needs about {step.memory_gib:.1f} GiB, this machine has {memory:.1f}: "
        f"{get_pipeline(settings.pipeline).steps[step.step].smaller} needs less"
        for step in steps
        if step.memory_gib and step.memory_gib > memory
    ]
    return Estimate(steps, tuple(remarks))


def _step(
    step: str, work: float, runs: list[Run], cores: int, gpu: str, ran: tuple[float, float] | None
) -> StepEstimate:
    """The range: at best all cores or the GPU help in full, at worst more than two help nothing."""
    factor, power, error = fit(runs)
    seconds = factor * work**power
    more = MEASURED_CORES / cores
    best = min(more, 1 / UNKNOWN_GPU_FACTOR) if gpu else min(more, 1.0)
    return StepEstimate(
        step=step,
        flavor=f"{counted(cores, 'core')}{f', {gpu}' if gpu else ''}",
        low_s=seconds * best / error,
        high_s=seconds * max(more, 1.0) * error,
        memory_gib=memory_gib(runs, work),
        low_eur=0.0,
        high_eur=0.0,
        ran_s=ran and round(ran[0], 1),
        ran_gib=round(ran[1], 1) or None if ran else None,
    )


def _precision(cores: int, gpu: str) -> str:
    told = f"times come from a machine of {MEASURED_CORES} cores without a GPU"
    if gpu:
        return f"{told}: nothing was measured on {gpu}, where training may take far less"
    if cores != MEASURED_CORES:
        return f"{told}: how much {counted(cores, 'core')} change is only bounded"
    return f"{told}, and are right to about a factor of two where that is as fast as this one"


def _gpu(settings: Settings) -> str:
    """The GPU that training would use; empty without one."""
    try:
        found = machine.find_gpus() if settings.gpu else []
    except JobFailed:  # a driver that does not answer will not compute
        return ""
    return found[0].name if found else ""


def _last_runs(settings: Settings) -> dict[str, tuple[float, float]]:
    """Seconds and GiB of each step, as the scene's report tells; the stages that ran last."""
    try:
        report = json.loads(Scene(settings.scene_dir).report.read_text(encoding="utf-8"))
        stages: list[dict[str, Any]] = report["stages"]
        found: dict[str, tuple[float, float]] = {}
        for stage in stages:
            if stage["pipeline"] in (COMMON, settings.pipeline):
                seconds, peak = found.get(stage["step"], (0.0, 0.0))
                held = float(stage.get("peak_bytes") or 0) / _GIB
                found[stage["step"]] = seconds + float(stage["wall_s"]), max(peak, held)
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found
