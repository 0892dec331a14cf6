"""The options of jobs on a Slurm cluster."""

from __future__ import annotations

from dataclasses import dataclass

from maquette.pipelines.options import option
from maquette.runners.agent_options import TimeLimitOptions


@dataclass(frozen=True)
class SlurmOptions(TimeLimitOptions):
    """Options of the backend."""

    slurm_options: str = option(
        "", "more for sbatch: `--partition=gpu --gres=gpu:1 --cpus-per-task=8 --account=x`"
    )
    apptainer_image: str = option(
        "", "a .sif file or docker:// address to run steps in; empty: this Python, if shared"
    )


OPTIONS = SlurmOptions
