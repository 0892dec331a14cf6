"""Slurm's own commands: asked, and their answers read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable, Sequence

from maquette.errors import ConfigError, JobFailed, Unanswered
from maquette.runners.base import ResponseLost
from maquette.runners.slurm import rows
from maquette.runners.slurm.refusals import refusal
from maquette.runners.slurm.rows import ACCOUNTED, COLUMNS, Row

ANSWER_LIMIT_S = 60.0
ASK_EVERY_S = 1.0  # a controller serves thousands: the same question again gets the same answer
_REMOVAL_LIMIT_S = 60.0
_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|ACCESS_KEY|CREDENTIAL|NOTIFY_URL")
_OF_ANOTHER_JOB = re.compile(
    r"SLURM_(?!CONF$|JWT$)|SBATCH_(ARRAY_INX|WAIT|HOLD)$"
)  # in which this may run
_HOLDING = ("PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETING")


def require_slurm() -> None:
    """Refuse where Slurm's commands are not installed.

    Raises:
        ConfigError: they are not.
    """
    if not shutil.which("sbatch"):
        raise ConfigError(
            "there is no `sbatch` on this machine: it belongs to no Slurm cluster",
            hint="run the command on the cluster's login node, or leave BACKEND out",
        )


def sbatch(argv: Sequence[str], script: str) -> str:
    """Submit a batch script; the number of its job.

    Raises:
        ConfigError: there is no Slurm here, or it refuses an option.
        CredentialsError: the account may not.
        ResponseLost: nobody answered; the job may be queued.
    """
    require_slurm()
    try:
        done = subprocess.run(
            argv, input=script, env=_environment(), capture_output=True, text=True, check=False,
            timeout=ANSWER_LIMIT_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ResponseLost(
            f"Slurm did not answer within {ANSWER_LIMIT_S:.0f} s: the job may be queued",
            hint="run the same command again in a minute: it looks for the job first",
        ) from error
    _forget()
    number = done.stdout.strip().partition(";")[0]
    if done.returncode == 0 and number.isdigit():
        return number
    raise refusal(done.stderr)


def jobs(numbers: Iterable[str]) -> dict[str, Row]:
    """What Slurm knows of some jobs, and of each task of arrays; those it has forgotten lack.

    Raises:
        Unanswered: nobody answered.
    """
    return _rows(f"--jobs={','.join(numbers)}")


def named(name: str) -> Row | None:
    """The job of a name of ours, the newest where there are several; None if Slurm knows none."""
    found = _rows(f"--name={name}") or _accounted(f"--name={name}")
    return max(found.values(), key=lambda row: _number(row.id), default=None)


def accounted(numbers: Iterable[str]) -> dict[str, Row]:
    """What the accounting remembers of some jobs; nothing where there is none."""
    return _accounted(f"--jobs={','.join(numbers)}")


def job(number: str, *, now: bool = False) -> Row | None:
    """What Slurm knows of one job, as of a moment ago; None when it has forgotten it.

    Args:
        now: The answer of a moment ago is known to be old.
    """
    with _guard:
        asked_at, row = _recent.get(number, (float("-inf"), None))
    if not now and time.monotonic() - asked_at < ASK_EVERY_S:
        return row
    row = jobs([number]).get(number)
    with _guard:
        _recent[number] = (time.monotonic(), row)
    return row


def cancel(number: str) -> None:
    """Take a waiting job from the queue, or send SIGTERM to the script of a running one."""
    _forget()
    _ask("scancel", "--state=PENDING", number)
    _ask("scancel", "--signal=TERM", "--batch", number)
    _forget()


def remove(numbers: Sequence[str]) -> None:
    """End jobs, or tasks of arrays: SIGTERM, and SIGKILL when that did not help."""
    if numbers:
        _ask("scancel", *numbers)


def remove_named(name: str) -> None:
    """End all jobs of a name of ours, and wait for a while until nothing of them runs."""
    deadline = time.monotonic() + _REMOVAL_LIMIT_S
    while any(row.word in _HOLDING for row in _rows(f"--name={name}").values()):
        _ask("scancel", f"--name={name}")
        if time.monotonic() > deadline:  # a node that is gone keeps its tasks for long
            return
        threading.Event().wait(ASK_EVERY_S)


_guard = threading.Lock()
_recent: dict[str, tuple[float, Row | None]] = {}


def _forget() -> None:
    with _guard:
        _recent.clear()


def _rows(which: str) -> dict[str, Row]:
    wanted = ",".join(f"{column}:|" for column in COLUMNS)
    done = _ask("squeue", "--noheader", "--states=all", "--array", which, f"--Format={wanted}")
    if done.returncode != 0:
        if "Invalid job id" in done.stderr:
            return {}
        raise _unanswered("squeue", done.stderr)
    return rows.read(done.stdout)


def _accounted(which: str) -> dict[str, Row]:
    columns = ",".join(ACCOUNTED)
    done = _ask("sacct", "--noheader", "--parsable2", "--allocations", "--starttime=now-30days",
                f"--format={columns}", which)  # fmt: skip
    if done.returncode != 0:  # most small clusters keep no accounting
        return {}
    return rows.read_accounted(done.stdout)


def _ask(*argv: str) -> subprocess.CompletedProcess[str]:
    """Ask a command of Slurm.

    Raises:
        Unanswered: it does not answer.
        ConfigError: there is none.
    """
    require_slurm()
    environment = {**_environment(), "SLURM_TIME_FORMAT": "%s"}
    try:
        return subprocess.run(
            argv, env=environment, capture_output=True, text=True, check=False,
            timeout=ANSWER_LIMIT_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise _unanswered(argv[0], f"no answer within {ANSWER_LIMIT_S:.0f} s") from error


def _unanswered(command: str, said: str) -> JobFailed:
    return Unanswered(
        "Slurm does not tell how the job is",
        detail=f"{command}: {' '.join(said.split())[:300]}",
        hint="`scontrol ping` tells whether its controller answers",
    )


def _environment() -> dict[str, str]:
    """The environment here, without keys and tokens: a batch job gets it too."""
    return {
        name: text
        for name, text in os.environ.items()
        if not _SECRET.search(name) and not _OF_ANOTHER_JOB.match(name)
    }


def _number(identity: str) -> int:
    return int(re.split(r"[_+.]", identity)[0])
