"""The batch script of an array whose tasks are shards; pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from maquette.runners.step_command import with_this_python
from maquette.stages.commands import ShardCommand

VARIABLE = "MAQUETTE_SLURM_ARRAYS"  # in the step's environment: what its arrays are made with
LARGEST = 500  # tasks of one array; a cluster's MaxArraySize is 1001 unless somebody changed it
BLIND_NODE = 78  # a task's exit code: its node does not see where the log belongs
_END = 'exec >> "$log" 2>&1 || exit {code}\nexec "${{command[@]}}"\n'


@dataclass(frozen=True)
class ArrayOptions:
    """What all arrays of one step have in common.

    Attributes:
        name: Of the jobs, by which those of an earlier start are found.
        at_once: How many tasks may run at the same time.
        more: What a person adds to sbatch's command line.
        folder: Where the tasks begin.
    """

    name: str
    at_once: int
    more: tuple[str, ...]
    folder: str

    def to_text(self) -> str:
        """The value of VARIABLE."""
        return json.dumps(vars(self))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read what `to_text` wrote."""
        values: dict[str, Any] = json.loads(text)
        return cls(**{**values, "more": tuple(values["more"])})

    def argv(self, count: int) -> list[str]:
        """Sbatch's command line for an array of `count` tasks."""
        return [
            "sbatch",
            "--parsable",
            f"--job-name={self.name}",
            "--comment=maquette: shards",
            f"--array=0-{count - 1}%{self.at_once}",
            "--output=/dev/null",
            f"--chdir={self.folder}",
            "--nodes=1",
            "--ntasks=1",
            "--export=ALL",
            "--no-requeue",
            *self.more,
        ]


def script(commands: Sequence[ShardCommand]) -> str:
    """A batch script whose task I runs the I-th command."""
    cases = [
        f"{index}) log={shlex.quote(str(command.log))}\n"
        f"  command=({shlex.join(with_this_python(list(command.argv)))}) ;;"
        for index, command in enumerate(commands)
    ]
    threads = 'export OMP_NUM_THREADS="${SLURM_CPUS_ON_NODE:-1}"'
    lines = ["#!/bin/bash", threads, 'case "$SLURM_ARRAY_TASK_ID" in', *cases, "esac"]
    return "\n".join(lines) + "\n" + _END.format(code=BLIND_NODE)
