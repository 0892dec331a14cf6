"""The batch script around a step: plain bash, which a person can read and run; pure.

SIGTERM reaches it when a person stops the job, when its time ends and when it is preempted. The
step saves then; the job ends in the first case, in the others it queues again and goes on. How the
step ended is written to a file, since Slurm soon forgets a job.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from maquette.agent.arguments import RESUME_ME, TIME_IS_UP
from maquette.errors import ExitCode

STOP_GRACE_S = 90  # for the step to save
TERM_AHEAD_S = 120  # of the end of the job's time
_LOOK_S = 60  # how often Slurm looks at how long a job runs
_MOST_STARTS = 100
_BODY = r"""
finish() { # tell how the step ended; nothing of it is to run on
  [ -z "$arrays" ] || scancel --quiet --name="$arrays"
  printf '{"job": "%s", "code": %d, "asked": %d, "node": "%s", "started": "%s", "ended": "%s"}\n' \
    "$job" "$1" "$asked" "$node" "$started" "$(now)" > "$end.part" && mv -f "$end.part" "$end"
  exit "$1"
}

refuse() { # say what this node lacks; both texts are JSON
  printf '@maquette {"event": "error", "what": "%s", "detail": "", "hint": "%s", "code": %d}\n' \
    "the node $node $1" "$2" "$not_found"
  finish "$not_found"
}

ask_to_stop() {
  asked=1
  kill_at=$((SECONDS + grace_s))
  [ -z "$step" ] || kill -TERM "$step" 2> /dev/null
}

queue_again() { # unless Slurm ends the job anyway
  [ -e "$stop" ] && return
  [ "${SLURM_RESTART_COUNT:-0}" -lt "$most_starts" ] || return
  [ "$(squeue --noheader --jobs="$job" --format=%T)" = RUNNING ] || return
  scontrol requeue "$job" && exit "$resume"
}

now() { date -u +%Y-%m-%dT%H:%M:%S.%3NZ; }

started=$(now)
node=${SLURMD_NODENAME:-$(hostname)}
job=$SLURM_JOB_ID
step=
asked=0
trap ask_to_stop TERM
rm -f "$end"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$SLURM_CPUS_ON_NODE}"
look_at_node
if [ -e "$stop" ]; then
  asked=1
  finish "$interrupted"
fi
"${command[@]}" &
step=$!
[ "$asked" = 0 ] || ask_to_stop
wait "$step" # a signal ends this, too
while kill -0 "$step" 2> /dev/null; do
  [ "$asked" = 0 ] || [ "$SECONDS" -lt "$kill_at" ] || kill -KILL "$step"
  sleep 0.2
done
wait "$step"
code=$?
if [ "$code" != 0 ] && [ "$asked" = 1 ] && [ ! -e "$stop" ]; then
  if [ -n "$last_s" ] && [ "$SECONDS" -ge "$last_s" ]; then
    finish "$time_is_up"
  fi
  queue_again
elif [ "$code" = "$resume" ]; then
  queue_again
fi
finish "$code"
"""


@dataclass(frozen=True)
class BatchScript:
    """What one batch job does.

    Attributes:
        end: The file that tells how it ended.
        stop: A file that is there once a person wants it to stop.
        environment: Variables that differ from this terminal's.
        limit_s: Seconds after which it is not to go on; 0: at the end of its time it queues again.
        seen: Files and folders that the node must see.
        arrays: The name of the arrays that the step submits; "" where it submits none.
    """

    end: Path
    stop: Path
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    limit_s: float = 0.0
    seen: Sequence[str] = ()
    arrays: str = ""

    def text(self) -> str:
        """The script."""
        last_s = max(0, int(self.limit_s) - TERM_AHEAD_S - _LOOK_S) if self.limit_s else ""
        known = {
            "end": self.end, "stop": self.stop, "arrays": self.arrays,
            "last_s": last_s, "grace_s": STOP_GRACE_S, "most_starts": _MOST_STARTS,
            "resume": RESUME_ME, "time_is_up": TIME_IS_UP, "not_found": int(ExitCode.NOT_FOUND),
            "interrupted": int(ExitCode.INTERRUPTED),
        }  # fmt: skip
        lines = [
            "#!/bin/bash",
            *(f"{name}={shlex.quote(str(value))}" for name, value in known.items()),
            f"command=({shlex.join(self.command)})",
            *(f"export {name}={shlex.quote(value)}" for name, value in self.environment.items()),
            "kill_at=0",
            "look_at_node() {",
            *(f"  {line}" for line in self._looks()),
            "}",
        ]
        return "\n".join(lines) + "\n" + _BODY

    def _looks(self) -> list[str]:
        """Say in a sentence what a node lacks, where the shell would print a line of its own."""
        shared, program = "put it on a folder that all nodes share", self.command[0]
        found = [
            f"[ -e {shlex.quote(path)} ] || {_refuse(f'does not see `{path}`', shared)}"
            for path in self.seen
        ]
        hint = "install maquette on a folder that all nodes share, or set APPTAINER_IMAGE="
        look = f"command -v {shlex.quote(program)} > /dev/null"
        return [*found, f"{look} || {_refuse(f'has no `{program}`', hint)}"]


def _refuse(what: str, hint: str) -> str:
    return shlex.join(["refuse", json.dumps(what)[1:-1], json.dumps(hint)[1:-1]])
