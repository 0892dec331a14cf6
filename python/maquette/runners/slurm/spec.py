"""From a job to what sbatch is told; pure, and without secrets."""

from __future__ import annotations

import math
from pathlib import Path

from maquette.errors import ConfigError
from maquette.jobs.spec import JobSpec
from maquette.runners.base import Request
from maquette.runners.slurm import arrays, sbatch_options
from maquette.runners.slurm.arrays import ArrayOptions
from maquette.runners.slurm.options import SlurmOptions
from maquette.runners.slurm.script import TERM_AHEAD_S, BatchScript
from maquette.runners.step_command import require_ours, with_paths, with_this_python
from maquette.stages.commands import LAUNCHER

LAUNCHER_MODULE = "maquette.runners.slurm.launcher"
_LEAST_MINUTES = 1 + TERM_AHEAD_S // 60


def build(job: JobSpec) -> Request:
    """Say exactly what will be submitted.

    Raises:
        ConfigError: the settings do not fit together.
    """
    require_ours(job)
    asked, records = job.of(SlurmOptions), job.log.parent / "history"
    end, stop = records / f"{job.id}.end", records / f"{job.id}.stop"
    gpus = int(job.spec.get("resources", {}).get("gpu", 0))
    source = job.input.outside
    script = BatchScript(
        end=end,
        stop=stop,
        command=_command(job, asked.apptainer_image, gpus, source),
        environment={**({"CUDA_VISIBLE_DEVICES": ""} if gpus == 0 else {}), **_spread(job)},
        limit_s=asked.max_hours * 3600,
        arrays=_arrays_of(job) if _spread(job) else "",
        seen=[str(job.scene), *([source] if source else []), *_own_image(asked.apptainer_image)],
    )
    return {
        "job_id": job.id,
        "argv": [*_fixed(job), *_time(asked.max_hours), *_more(asked)],
        "script": script.text(),
        "gpus": gpus,
        "options_file": str(job.scene / job.options_file),
        "options": job.options,
        "scene": str(job.scene),
        "log": str(job.log),
        "end": str(end),
        "stop": str(stop),
    }


def _fixed(job: JobSpec) -> list[str]:
    return [
        "sbatch",
        "--parsable",
        f"--job-name={job.id}",
        f"--comment=maquette: {job.step} of {job.model}",
        f"--output={str(job.log).replace('%', '%%')}",
        "--open-mode=append",
        f"--chdir={job.logs}",
        "--nodes=1",
        "--ntasks=1",
        "--export=ALL",
        "--requeue",
        f"--signal=B:TERM@{TERM_AHEAD_S}",
    ]


def _time(max_hours: float) -> list[str]:
    """The time limit in whole minutes; without MAX_HOURS the partition's.

    Raises:
        ConfigError: the step would be asked to stop before it has begun.
    """
    if not max_hours:
        return []
    minutes = math.ceil(max_hours * 60)
    if minutes < _LEAST_MINUTES:
        raise ConfigError(
            f"MAX_HOURS={max_hours:g} is too short: a step saves in its last {TERM_AHEAD_S} s",
            hint=f"MAX_HOURS={_LEAST_MINUTES / 60:.2f} is the least",
        )
    return [f"--time={minutes}"]


def _more(asked: SlurmOptions) -> list[str]:
    return sbatch_options.parse(asked.slurm_options, asked.max_hours)


def _arrays_of(job: JobSpec) -> str:
    return f"{job.id}-shards"


def _spread(job: JobSpec) -> dict[str, str]:
    """What has the step spread its shards over the cluster, with WORKERS of them at once.

    Raises:
        ConfigError: the step runs in an image, in which there is no sbatch.
    """
    asked, at_once = job.of(SlurmOptions), int(job.options.get("workers", 1))
    if at_once == 1:
        return {}
    if asked.apptainer_image:
        raise ConfigError(
            f"WORKERS={at_once} needs Slurm's commands, which APPTAINER_IMAGE does not hold",
            hint="leave APPTAINER_IMAGE out, with maquette on a folder that all nodes share",
        )
    more = (*_time(asked.max_hours), *_more(asked))
    options = ArrayOptions(_arrays_of(job), at_once, more, str(job.logs))
    return {LAUNCHER: LAUNCHER_MODULE, arrays.VARIABLE: options.to_text()}


def _command(job: JobSpec, image: str, gpus: int, source: str) -> list[str]:
    """The step's command line, in a container where there is an image."""
    argv = with_paths(job)
    if not image:
        return with_this_python(argv)
    binds = [str(job.scene), *([source] if source else [])]
    return [
        "apptainer",
        "exec",
        *(["--nv"] if gpus else []),
        *(f"--bind={path}" for path in binds),
        image,
        *argv,
    ]


def _own_image(image: str) -> list[str]:
    """The image's file, where it is one."""
    return [str(Path(image).resolve())] if image and "://" not in image else []
